"""Why an override was rejected.

Revision: 0004
Follows: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("class_override", sa.Column("rejection", sa.Text(), nullable=True, comment="why it was rejected"))


def downgrade() -> None:
    op.drop_column("class_override", "rejection")
