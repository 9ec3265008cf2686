"""What a scheme, a segment or a group is for, in words.

Revision: 0041
Follows: 0040
"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "scheme",
        sa.Column("description", sa.Text(), nullable=True, comment="what it is for, whichever version is in force"),
    )


def downgrade() -> None:
    op.drop_column("scheme", "description")
