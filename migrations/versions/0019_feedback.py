"""Surveys in versions, what was answered, and everything else that customers say.

Revision: 0019
Follows: 0018
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _surveys()
    op.create_table(
        "survey_response",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.func.uuidv7(), nullable=False),
        sa.Column("survey_id", sa.Uuid(), nullable=False),
        sa.Column("survey_version", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("written_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "id", name=op.f("pk_survey_response")),
        comment="one filled-in survey; its answers are rows of feedback",
    )
    op.create_index("ix_survey_response_survey_id_id", "survey_response", ["survey_id", "id"])
    _feedback()


def _surveys() -> None:
    op.create_table(
        "survey",
        sa.Column("id", sa.Uuid(), server_default=sa.func.uuidv7(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column(
            "published_version", sa.Integer(), comment="the one that is asked; null before the first is published"
        ),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("status IN ('open', 'closed')", name=op.f("ck_survey_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_survey")),
    )
    op.create_table(
        "survey_version",
        sa.Column("survey_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), server_default="draft", nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column(
            "revision", sa.Integer(), server_default="1", nullable=False, comment="counts up while it is a draft"
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("status IN ('draft', 'published')", name=op.f("ck_survey_version_status")),
        sa.CheckConstraint(
            "(status = 'published') = (published_at IS NOT NULL)", name=op.f("ck_survey_version_published_at")
        ),
        sa.ForeignKeyConstraint(["survey_id"], ["survey.id"], name=op.f("fk_survey_version_survey_id_survey")),
        sa.PrimaryKeyConstraint("survey_id", "number", name=op.f("pk_survey_version")),
    )


def _feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.func.uuidv7(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), comment="of an answer: on which scale its score is"),
        sa.Column("score", sa.SmallInteger()),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text()),
        sa.Column("text", sa.Text()),
        sa.Column("choices", postgresql.ARRAY(sa.Text())),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reference", sa.Text(), comment="by which another system knows it; one of a customer's"),
        sa.Column("response_id", sa.Uuid(), comment="of an answer to a survey"),
        sa.Column("question", sa.Text(), comment="the key of the survey's question"),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("written_by", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('answer', 'suggestion', 'review', 'complaint')", name=op.f("ck_feedback_kind")),
        sa.CheckConstraint(
            "measure IS NULL OR (kind = 'answer' AND score IS NOT NULL)", name=op.f("ck_feedback_measure")
        ),
        sa.CheckConstraint(
            "CASE WHEN score IS NULL THEN true WHEN measure = 'nps' THEN score BETWEEN 0 AND 10"
            " WHEN measure = 'ces' THEN score BETWEEN 1 AND 7 WHEN measure = 'csat' OR kind = 'review'"
            " THEN score BETWEEN 1 AND 5 ELSE false END",
            name=op.f("ck_feedback_score"),
        ),
        sa.CheckConstraint("(response_id IS NULL) = (question IS NULL)", name=op.f("ck_feedback_question")),
        sa.PrimaryKeyConstraint("customer_id", "id", name=op.f("pk_feedback")),
    )
    op.create_index(
        "uq_feedback_reference",
        "feedback",
        ["customer_id", "reference"],
        unique=True,
        postgresql_where=sa.text("reference IS NOT NULL"),
    )
    op.create_index("ix_feedback_customer_occurred_at", "feedback", ["customer_id", "occurred_at", "id"])
    op.create_index("ix_feedback_occurred_at", "feedback", ["occurred_at", "customer_id", "id"])
    op.create_index(
        "ix_feedback_response",
        "feedback",
        ["customer_id", "response_id"],
        postgresql_where=sa.text("response_id IS NOT NULL"),
    )


def downgrade() -> None:
    for table in ("feedback", "survey_response", "survey_version", "survey"):
        op.drop_table(table)
