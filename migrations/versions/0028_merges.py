"""Merges: which customer became part of which, and which rows followed, so that it can be undone.

Revision: 0028
Follows: 0027
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

JSONB = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.create_table(
        "customer_merge",
        sa.Column(
            "customer_id",
            sa.Uuid(),
            nullable=False,
            comment="who stands for both now; follows when merged again",
        ),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("survivor_id", sa.Uuid(), nullable=False, comment="into whom it was merged"),
        sa.Column("merged_id", sa.Uuid(), nullable=False, comment="who is no more, unless the merge was undone"),
        sa.Column("record", JSONB, server_default="{}", nullable=False, comment="the merged record as it stood"),
        sa.Column("before", JSONB, server_default="{}", nullable=False, comment="the survivor's fields that changed"),
        sa.Column("after", JSONB, server_default="{}", nullable=False, comment="what they became"),
        sa.Column("moved", JSONB, server_default="{}", nullable=False, comment="how many rows of which table followed"),
        sa.Column("merged_by", sa.Text(), nullable=False),
        sa.Column("merged_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "id", name=op.f("pk_customer_merge")),
    )
    op.create_index("ix_customer_merge_merged_id", "customer_merge", ["merged_id"])
    op.create_index("ix_customer_merge_id", "customer_merge", ["id"])
    op.create_table(
        "customer_merge_row",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("merge_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("place", sa.Text(), nullable=False, comment="table and column that named the merged customer"),
        sa.Column(
            "key",
            postgresql.ARRAY(sa.Text()),
            server_default="{}",
            nullable=False,
            comment="by which the row is known beside its customer",
        ),
        sa.Column("was", JSONB, nullable=True, comment="what it said before it made room"),
        sa.Column("set_aside", sa.Boolean(), nullable=False, comment="waits here, whole, until the merge is undone"),
        sa.PrimaryKeyConstraint("customer_id", "merge_id", "id", name=op.f("pk_customer_merge_row")),
        comment="which rows a merge moved: they go back when it is undone",
    )


def downgrade() -> None:
    op.drop_table("customer_merge_row")
    op.drop_table("customer_merge")
