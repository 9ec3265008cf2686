"""The secret that an API key had before its last rotation, and until when it works.

Revision: 0012
Follows: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "api_key",
        sa.Column("previous_hash", sa.Text(), nullable=True, comment="of the key that the last rotation replaced"),
    )
    op.add_column(
        "api_key",
        sa.Column(
            "previous_expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="until when the replaced key works, too",
        ),
    )


def downgrade() -> None:
    op.drop_column("api_key", "previous_expires_at")
    op.drop_column("api_key", "previous_hash")
