"""What was decided last, beside the metrics: whoever is decided alike need not be compared with what stands.

Revision: 0007
Follows: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "customer_metrics",
        sa.Column(
            "decided",
            sa.Text(),
            nullable=True,
            comment="the decisions that stand, as they were last; null: some wait, or nobody knows",
        ),
    )


def downgrade() -> None:
    op.drop_column("customer_metrics", "decided")
