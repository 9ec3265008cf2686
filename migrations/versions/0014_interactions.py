"""Interactions, and what they said before they were corrected.

Revision: 0014
Follows: 0013
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def _said() -> list[sa.Column[Any]]:
    return [
        sa.Column("reference", sa.Text(), comment="by which another system knows it; one of a customer's"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text()),
        sa.Column("outcome", sa.Text()),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_seconds", sa.Integer()),
        sa.Column("subject", sa.Text()),
        sa.Column("minutes", sa.Text()),
        sa.Column("matter", sa.Text()),
        sa.Column("staff_ids", postgresql.ARRAY(sa.Uuid()), server_default="{}", nullable=False),
        sa.Column("contacts", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("next_step", sa.Text()),
        sa.Column("next_step_due_on", sa.Date()),
        sa.Column("attachments", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("written_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), comment="why the version before was corrected"),
    ]


def upgrade() -> None:
    op.create_table(
        "interaction",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.func.uuidv7(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        *_said(),
        sa.CheckConstraint(
            "kind IN ('call', 'email', 'meeting', 'chat', 'visit', 'web_event')", name=op.f("ck_interaction_kind")
        ),
        sa.CheckConstraint("direction IN ('inbound', 'outbound')", name=op.f("ck_interaction_direction")),
        sa.CheckConstraint("matter IN ('product', 'service', 'other')", name=op.f("ck_interaction_matter")),
        sa.CheckConstraint("duration_seconds >= 0", name=op.f("ck_interaction_duration")),
        sa.CheckConstraint("next_step_due_on IS NULL OR next_step IS NOT NULL", name=op.f("ck_interaction_next_step")),
        sa.PrimaryKeyConstraint("customer_id", "id", name=op.f("pk_interaction")),
    )
    op.create_index(
        "uq_interaction_reference",
        "interaction",
        ["customer_id", "reference"],
        unique=True,
        postgresql_where=sa.text("reference IS NOT NULL"),
    )
    op.create_index("ix_interaction_customer_occurred_at", "interaction", ["customer_id", "occurred_at", "id"])
    op.create_index("ix_interaction_occurred_at", "interaction", ["occurred_at", "customer_id", "id"])
    op.create_table(
        "interaction_version",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        *_said(),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "id", "version", name=op.f("pk_interaction_version")),
        comment="what interactions said before they were corrected",
    )


def downgrade() -> None:
    op.drop_table("interaction_version")
    op.drop_table("interaction")
