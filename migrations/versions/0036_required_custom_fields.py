"""Custom fields that every customer needs a value of, and that are indexed.

Revision: 0036
Follows: 0035
"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("custom_field", sa.Column("required", sa.Boolean(), server_default="false", nullable=False))
    op.add_column(
        "custom_field",
        sa.Column(
            "indexed",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="whether a job has made indexes of it",
        ),
    )


def downgrade() -> None:
    op.drop_column("custom_field", "indexed")
    op.drop_column("custom_field", "required")
