"""The index that finds the customers who are due for a review.

Revision: 0003
Follows: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INDEX = "ix_customer_metrics_next_review_at"


def upgrade() -> None:
    # Concurrently: customers go on being classified while it is made.
    with op.get_context().autocommit_block():
        op.create_index(INDEX, "customer_metrics", ["next_review_at"], postgresql_concurrently=True, if_not_exists=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(INDEX, "customer_metrics", postgresql_concurrently=True, if_exists=True)
