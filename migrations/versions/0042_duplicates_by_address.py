"""Duplicates by birthday and address: a score for whoever may not read addresses; keys are made anew.

Revision: 0042
Follows: 0041
"""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "customer_duplicate",
        sa.Column(
            "contact_score",
            sa.SmallInteger(),
            server_default="0",
            nullable=False,
            comment="by the reasons that tell nothing of addresses",
        ),
    )
    # No pair has been found by an address before.
    op.execute("UPDATE customer_duplicate SET contact_score = score")
    # Keys are others now, and there are more: everybody is looked at again by the next run of the job.
    op.execute("INSERT INTO customer_duplicate_due (customer_id) SELECT id FROM customer")


def downgrade() -> None:
    op.drop_column("customer_duplicate", "contact_score")
    op.execute("INSERT INTO customer_duplicate_due (customer_id) SELECT id FROM customer")
