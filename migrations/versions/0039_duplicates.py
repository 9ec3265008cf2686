"""Possible duplicates: pairs, what customers are compared by, who is to be looked at, and who is not the same.

Revision: 0039
Follows: 0038
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "customer_duplicate",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=False, comment="0 to 100, by all reasons"),
        sa.Column(
            "plain_score",
            sa.SmallInteger(),
            nullable=False,
            comment="by the reasons that tell nothing of contact data",
        ),
        sa.Column("reasons", postgresql.JSONB(), nullable=False, comment="reason to weight"),
        sa.Column("found_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("customer_id < other_id", name=op.f("ck_customer_duplicate_order")),
        sa.PrimaryKeyConstraint("customer_id", "other_id", name=op.f("pk_customer_duplicate")),
        comment="who may be the same customer, as found last",
    )
    op.create_index("ix_customer_duplicate_id", "customer_duplicate", ["id"])
    op.create_index("ix_customer_duplicate_other_id", "customer_duplicate", ["other_id"])
    op.create_index("ix_customer_duplicate_score", "customer_duplicate", ["score", "customer_id", "other_id"])
    op.create_table(
        "customer_duplicate_key",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "key", name=op.f("pk_customer_duplicate_key")),
        comment="what customers are compared by: whoever has a key in common is looked at",
    )
    op.create_index("ix_customer_duplicate_key_key", "customer_duplicate_key", ["key", "customer_id"])
    op.create_table(
        "customer_duplicate_due",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "id", name=op.f("pk_customer_duplicate_due")),
        comment="who changed since duplicates were looked for",
    )
    op.create_table(
        "duplicate_dismissal",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("dismissed_by", sa.Text(), nullable=False),
        sa.Column("dismissed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "other_id", name=op.f("pk_duplicate_dismissal")),
        comment="two customers of whom somebody said that they are not the same",
    )
    op.create_index("ix_duplicate_dismissal_other_id", "duplicate_dismissal", ["other_id"])
    # Whoever is there already is looked at by the first run of the job.
    op.execute("INSERT INTO customer_duplicate_due (customer_id) SELECT id FROM customer")


def downgrade() -> None:
    for table in ("duplicate_dismissal", "customer_duplicate_due", "customer_duplicate_key", "customer_duplicate"):
        op.drop_table(table)
