"""A file of customers has birthdays and custom fields.

Revision: 0045
Follows: 0044
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

TABLE = "customer_import_row"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("birthday", sa.Date(), nullable=True))
    op.add_column(TABLE, sa.Column("custom", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column(TABLE, "custom")
    op.drop_column(TABLE, "birthday")
