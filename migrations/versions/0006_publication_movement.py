"""How a publication moves classes: as its document says, or at once.

Revision: 0006
Follows: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLE = "recalculation"


def upgrade() -> None:
    op.add_column(
        TABLE,
        sa.Column(
            "movement",
            sa.Text(),
            nullable=True,
            comment="at_once: a publication that does not wait for the document's movement rules",
        ),
    )
    op.add_column(
        TABLE,
        sa.Column(
            "released_from",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="only classes given since then move at once; null: all",
        ),
    )


def downgrade() -> None:
    op.drop_column(TABLE, "released_from")
    op.drop_column(TABLE, "movement")
