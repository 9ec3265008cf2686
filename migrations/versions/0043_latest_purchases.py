"""Purchases of everybody by when they happened: the latest are listed without sorting them all.

Revision: 0043
Follows: 0042
"""

from alembic import op

from app.core.migrations import concurrently

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

INDEX, BEFORE = "ix_purchase_latest", "ix_purchase_occurred_at"


def upgrade() -> None:
    with concurrently(INDEX):
        op.create_index(
            INDEX,
            "purchase",
            ["occurred_at", "customer_id", "id"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.drop_index(BEFORE, "purchase", postgresql_concurrently=True, if_exists=True)


def downgrade() -> None:
    with concurrently(BEFORE):
        op.create_index(
            BEFORE,
            "purchase",
            ["occurred_at"],
            postgresql_using="brin",
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.drop_index(INDEX, "purchase", postgresql_concurrently=True, if_exists=True)
