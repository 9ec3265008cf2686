"""What a customer's feedback comes to, beside the other metrics.

Revision: 0026
Follows: 0025
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

TABLE = "customer_metrics"


def upgrade() -> None:
    for column in (
        sa.Column("csat", sa.Integer(), comment="the latest answer, 1 to 5"),
        sa.Column("nps_score", sa.Integer(), comment="the latest answer, 0 to 10"),
        sa.Column("complaints_90d", sa.Integer(), server_default="0", nullable=False),
        sa.Column("complaints_first_at", sa.DateTime(timezone=True), comment="the earliest complaint within 90 days"),
    ):
        op.add_column(TABLE, column, if_not_exists=True)
    # Whoever said something is measured by the next recalculation of the dirty. The columns' lock is let go before.
    with op.get_context().autocommit_block():
        op.execute("INSERT INTO dirty_customer SELECT DISTINCT customer_id FROM feedback ON CONFLICT DO NOTHING")


def downgrade() -> None:
    for name in ("complaints_first_at", "complaints_90d", "nps_score", "csat"):
        op.drop_column(TABLE, name)
