"""What a customer's interactions come to, beside the other metrics, and an index that covers it.

Revision: 0017
Follows: 0016
"""

import sqlalchemy as sa
from alembic import op

from app.core.migrations import concurrently

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLE = "customer_metrics"
COUNTS = {
    "interactions": None,
    "product_interactions": "those about a product",
    "service_interactions": "those about a service",
    "interactions_90d": None,
}
INSTANTS = {"last_interaction_at": None, "interactions_first_at": "the earliest interaction within 90 days"}
NEXT = "when the next recorded purchase or refund begins to count"
INDEX, BEFORE = "ix_interaction_of_customer", "ix_interaction_customer_occurred_at"
COLUMNS = ["customer_id", "occurred_at", "id"]


def upgrade() -> None:
    for name, comment in COUNTS.items():
        counted = sa.Column(name, sa.Integer(), server_default="0", nullable=False, comment=comment)
        op.add_column(TABLE, counted, if_not_exists=True)
    for name, comment in INSTANTS.items():
        op.add_column(TABLE, sa.Column(name, sa.DateTime(timezone=True), comment=comment), if_not_exists=True)
    op.alter_column(TABLE, "next_fact_at", existing_comment=NEXT, comment="when the next recorded fact begins to count")
    with concurrently(INDEX):
        # The columns are let go. Whoever has interactions is measured by the next recalculation of the dirty.
        op.execute("INSERT INTO dirty_customer SELECT DISTINCT customer_id FROM interaction ON CONFLICT DO NOTHING")
        op.create_index(
            INDEX,
            "interaction",
            COLUMNS,
            postgresql_include=["matter"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.drop_index(BEFORE, "interaction", postgresql_concurrently=True, if_exists=True)


def downgrade() -> None:
    with concurrently(BEFORE):
        op.create_index(BEFORE, "interaction", COLUMNS, postgresql_concurrently=True, if_not_exists=True)
        op.drop_index(INDEX, "interaction", postgresql_concurrently=True, if_exists=True)
    op.alter_column(TABLE, "next_fact_at", comment=NEXT)
    for name in (*INSTANTS, *COUNTS):
        op.drop_column(TABLE, name)
