"""Customers have accounts of their own, and see the classes that they are shown.

Revision: 0034
Follows: 0033
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "user_account",
        sa.Column(
            "for_customer",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="self-service is all it may use",
        ),
    )
    op.create_table(
        "customer_account",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("linked_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "user_id", name="pk_customer_account"),
    )
    op.create_index("ix_customer_account_user_id", "customer_account", ["user_id"])
    op.create_table(
        "shown_scheme",
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("shown_since", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("shown_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("scheme", name="pk_shown_scheme"),
        comment="whose classes customers see of themselves",
    )


def downgrade() -> None:
    op.drop_table("shown_scheme")
    op.drop_table("customer_account")
    op.drop_column("user_account", "for_customer")
