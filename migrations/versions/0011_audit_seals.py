"""Seals over the audit trail, neither of which can be changed; and the index that says what somebody did.

Revision: 0011
Follows: 0010
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.migrations import concurrently

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INDEX = "ix_audit_event_actor"
KEPT = ("audit_event", "audit_seal")


def upgrade() -> None:
    # Concurrently: everything that is done writes into this table. First, because it is not part of the transaction.
    with concurrently(INDEX):
        op.create_index(INDEX, "audit_event", ["actor_id", "id"], postgresql_concurrently=True, if_not_exists=True)
    op.create_table(
        "audit_seal",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "settled",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="every event whose id is older was committed when this seal looked for events",
        ),
        sa.Column(
            "events", postgresql.ARRAY(sa.Uuid()), nullable=False, comment="ids of the events under this seal, in order"
        ),
        sa.Column("previous", sa.LargeBinary(), nullable=False, comment="hash of the seal before; zeros for the first"),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_seal")),
    )
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN RAISE EXCEPTION 'rows of % are kept as they are', TG_TABLE_NAME"
        " USING ERRCODE = 'insufficient_privilege'; END $$"
    )
    for table in KEPT:
        op.execute(
            f"CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    op.execute("DROP TRIGGER kept ON audit_event")
    op.drop_table("audit_seal")
    op.execute("DROP FUNCTION refuse_change()")
    with concurrently():
        op.drop_index(INDEX, "audit_event", postgresql_concurrently=True, if_exists=True)
