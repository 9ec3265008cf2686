"""Who stands in for whom, from one day to another; the audit says on whose behalf something was done.

Revision: 0025
Follows: 0024
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TABLE = "delegation"
BEHALF = "the absent user for whom the actor stood in"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("absent_id", sa.Uuid(), nullable=False),
        sa.Column("delegate_id", sa.Uuid(), nullable=False),
        sa.Column("during", postgresql.DATERANGE(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.func.uuidv7(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False, comment="a user or an API key"),
        sa.ForeignKeyConstraint(["absent_id"], ["user_account.id"], name="fk_delegation_absent_id_user_account"),
        sa.ForeignKeyConstraint(["delegate_id"], ["user_account.id"], name="fk_delegation_delegate_id_user_account"),
        sa.UniqueConstraint("id", name="uq_delegation_id"),
        sa.CheckConstraint("absent_id <> delegate_id", name="ck_delegation_not_to_oneself"),
    )
    op.execute(
        "ALTER TABLE delegation ADD CONSTRAINT pk_delegation"
        " PRIMARY KEY (absent_id, delegate_id, during WITHOUT OVERLAPS)"
    )
    op.create_index("ix_delegation_delegate_id", TABLE, ["delegate_id"])
    op.add_column("audit_event", sa.Column("on_behalf_of", sa.Uuid(), comment=BEHALF))


def downgrade() -> None:
    op.drop_column("audit_event", "on_behalf_of")
    op.drop_table(TABLE)
