"""Transfers of many customers at once, as long work.

Revision: 0031
Follows: 0030
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

JSONB = postgresql.JSONB(astext_type=sa.Text())


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "transfer",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("asked", JSONB, nullable=False, comment="whose and where to, as it was asked"),
        sa.Column("actor", JSONB, nullable=False, comment="who asked; its rights are those of when it is carried out"),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Uuid(), nullable=True, comment="the last customer looked at"),
        _count("processed"),
        sa.Column("total", sa.BigInteger(), nullable=True),
        _count("moved"),
        _count("unchanged"),
        _count("out_of_reach"),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'completed', 'failed', 'cancelled')", name=op.f("ck_transfer_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer")),
    )
    op.create_index("ix_transfer_requested_by", "transfer", ["requested_by", "id"], unique=False)


def downgrade() -> None:
    op.drop_table("transfer")
