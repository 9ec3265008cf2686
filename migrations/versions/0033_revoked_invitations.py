"""An invitation to a survey can be withdrawn: its link no longer works.

Revision: 0033
Follows: 0032
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

TABLE = "survey_invitation"


def upgrade() -> None:
    said = "since when its link no longer works"
    op.add_column(TABLE, sa.Column("revoked_at", sa.DateTime(timezone=True), comment=said))


def downgrade() -> None:
    op.drop_column(TABLE, "revoked_at")
