"""Where rows of a file of customers wait between reading and merging.

Revision: 0040
Follows: 0039
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

CELLS = ("kind", "name", "title", "region", "source", "language", "phone", "email")


def upgrade() -> None:
    op.create_table(
        "customer_import_row",
        sa.Column("import_number", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("customer_ref", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in CELLS),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=True),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_customer_import_row_bucket", "customer_import_row", ["import_number", "bucket"])


def downgrade() -> None:
    op.drop_table("customer_import_row")
