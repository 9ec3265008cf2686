"""Where rows of an interactions file wait.

Revision: 0015
Follows: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TABLE = "interaction_import_row"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("import_number", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("customer_ref", sa.Text(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("direction", sa.Text()),
        sa.Column("outcome", sa.Text()),
        sa.Column("duration_seconds", sa.Integer()),
        sa.Column("subject", sa.Text()),
        sa.Column("minutes", sa.Text()),
        sa.Column("matter", sa.Text()),
        sa.Column("next_step", sa.Text()),
        sa.Column("next_step_due_on", sa.Date()),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_interaction_import_row_bucket", TABLE, ["import_number", "bucket"])


def downgrade() -> None:
    op.drop_table(TABLE)
