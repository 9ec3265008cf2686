"""Invitations to a survey.

Revision: 0021
Follows: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "survey_invitation",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.func.uuidv7(), nullable=False),
        sa.Column("survey_id", sa.Uuid(), nullable=False),
        sa.Column("survey_version", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("response_id", sa.Uuid(), comment="the answers; null until they are given"),
        sa.PrimaryKeyConstraint("customer_id", "id", name=op.f("pk_survey_invitation")),
        comment="each has a link that is computed from it, and not kept",
    )
    op.create_index("ix_survey_invitation_survey_id_id", "survey_invitation", ["survey_id", "id"])


def downgrade() -> None:
    op.drop_table("survey_invitation")
