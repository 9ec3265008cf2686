"""The index that finds the customers who are due for a review.

Revision: 0003
Follows: 0002
"""

from alembic import op

from app.core.migrations import concurrently

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INDEX = "ix_customer_metrics_next_review_at"


def upgrade() -> None:
    # Concurrently: customers go on being classified while it is made.
    with concurrently(INDEX):
        op.create_index(INDEX, "customer_metrics", ["next_review_at"], postgresql_concurrently=True, if_not_exists=True)


def downgrade() -> None:
    with concurrently():
        op.drop_index(INDEX, "customer_metrics", postgresql_concurrently=True, if_exists=True)
