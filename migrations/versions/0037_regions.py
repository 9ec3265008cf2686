"""The tree of regions.

Revision: 0037
Follows: 0036
"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "region",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text()),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text()),
        sa.Column("name_zh", sa.Text(), nullable=False),
        sa.CheckConstraint("level IN ('country', 'province', 'city', 'county')", name=op.f("ck_region_level")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_region")),
        sa.ForeignKeyConstraint(["parent"], ["region.code"], name=op.f("fk_region_parent_region")),
    )
    op.create_index(op.f("ix_region_parent"), "region", ["parent"])


def downgrade() -> None:
    op.drop_table("region")
