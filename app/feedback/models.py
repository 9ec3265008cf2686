"""Tables of surveys and feedback. What a customer said is a row of `feedback`, whatever brought it.

No foreign keys to customers: whoever inserts holds the customer's row, so none can vanish meanwhile (decision 008).
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.core.db import metadata

survey = Table(
    "survey",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="open"),
    Column("published_version", Integer, comment="the one that is asked; null before the first is published"),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("status IN ('open', 'closed')", name="status"),
)

survey_version = Table(
    "survey_version",
    metadata,
    Column("survey_id", UuidType, ForeignKey("survey.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("status", Text, nullable=False, server_default="draft"),
    Column("document", JSONB, nullable=False),
    Column("revision", Integer, nullable=False, server_default="1", comment="counts up while it is a draft"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("created_by", Text, nullable=False),
    Column("published_at", DateTime(timezone=True)),
    CheckConstraint("status IN ('draft', 'published')", name="status"),
    CheckConstraint("(status = 'published') = (published_at IS NOT NULL)", name="published_at"),
)

survey_invitation = Table(
    "survey_invitation",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("survey_id", UuidType, nullable=False),
    Column("survey_version", Integer, nullable=False),
    Column("channel", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("created_by", Text, nullable=False),
    Column("response_id", UuidType, comment="the answers; null until they are given"),
    Column("revoked_at", DateTime(timezone=True), comment="since when its link no longer works"),
    Index("ix_survey_invitation_survey_id_id", "survey_id", "id"),
    comment="each has a link that is computed from it, and not kept",
)

survey_response = Table(
    "survey_response",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("survey_id", UuidType, nullable=False),
    Column("survey_version", Integer, nullable=False),
    Column("channel", Text, nullable=False),
    Column("answered_at", DateTime(timezone=True), nullable=False),
    Column("written_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("written_by", Text, nullable=False),
    Index("ix_survey_response_survey_id_id", "survey_id", "id"),
    comment="one filled-in survey; its answers are rows of feedback",
)

feedback = Table(
    "feedback",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("kind", Text, nullable=False),
    Column("measure", Text, comment="of an answer: on which scale its score is"),
    Column("score", SmallInteger),
    Column("channel", Text, nullable=False),
    Column("topic", Text),
    Column("text", Text, info={"personal": "note"}),
    Column("choices", ARRAY(Text)),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("reference", Text, comment="by which another system knows it; one of a customer's"),
    Column("response_id", UuidType, comment="of an answer to a survey"),
    Column("question", Text, comment="the key of the survey's question"),
    Column("written_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("written_by", Text, nullable=False),
    CheckConstraint("kind IN ('answer', 'suggestion', 'review', 'complaint')", name="kind"),
    CheckConstraint("measure IS NULL OR (kind = 'answer' AND score IS NOT NULL)", name="measure"),
    CheckConstraint(
        "CASE WHEN score IS NULL THEN true WHEN measure = 'nps' THEN score BETWEEN 0 AND 10"
        " WHEN measure = 'ces' THEN score BETWEEN 1 AND 7 WHEN measure = 'csat' OR kind = 'review'"
        " THEN score BETWEEN 1 AND 5 ELSE false END",
        name="score",
    ),
    CheckConstraint("(response_id IS NULL) = (question IS NULL)", name="question"),
    Index(
        "uq_feedback_reference",
        "customer_id",
        "reference",
        unique=True,
        postgresql_where=text("reference IS NOT NULL"),
    ),
    Index("ix_feedback_customer_occurred_at", "customer_id", "occurred_at", "id"),
    Index("ix_feedback_occurred_at", "occurred_at", "customer_id", "id"),
    Index("ix_feedback_response", "customer_id", "response_id", postgresql_where=text("response_id IS NOT NULL")),
)

PERSONAL = frozenset(column.name for column in feedback.columns if "personal" in column.info)

KEPT_OF_A_CUSTOMER = (survey_invitation, survey_response, feedback)
"""What is handed over to whom it is about."""
