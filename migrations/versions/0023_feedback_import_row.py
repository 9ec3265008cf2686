"""Where rows of a feedback file wait.

Revision: 0023
Follows: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

TABLE = "feedback_import_row"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("import_number", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("customer_ref", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("measure", sa.Text()),
        sa.Column("score", sa.SmallInteger()),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text()),
        sa.Column("text", sa.Text()),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_feedback_import_row_bucket", TABLE, ["import_number", "bucket"])


def downgrade() -> None:
    op.drop_table(TABLE)
