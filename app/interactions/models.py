"""Tables of interactions: each as it stands, and what it said before it was corrected.

No foreign keys: whoever inserts holds the customer's row, so none can vanish meanwhile (decision 008).
"""

from typing import Any

from sqlalchemy import CheckConstraint, Column, Date, DateTime, Index, Integer, Table, Text, func, text
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.core.db import metadata


def _said() -> list[Column[Any]]:
    """What a version of an interaction says, and who wrote it."""
    return [
        Column("version", Integer, nullable=False, server_default="1"),
        Column("reference", Text, comment="by which another system knows it; one of a customer's"),
        Column("kind", Text, nullable=False),
        Column("direction", Text),
        Column("outcome", Text),
        Column("occurred_at", DateTime(timezone=True), nullable=False),
        Column("duration_seconds", Integer),
        Column("subject", Text, info={"personal": "note"}),
        Column("minutes", Text, info={"personal": "note"}),
        Column("matter", Text),
        Column("staff_ids", ARRAY(UuidType), nullable=False, server_default="{}"),
        Column("contacts", JSONB, nullable=False, server_default="[]", info={"personal": "name"}),
        Column("next_step", Text, info={"personal": "note"}),
        Column("next_step_due_on", Date, info={"personal": "note"}),
        Column("attachments", JSONB, nullable=False, server_default="[]", info={"personal": "file"}),
        Column("written_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("written_by", Text, nullable=False),
        Column("reason", Text, comment="why the version before was corrected", info={"personal": "note"}),
    ]


interaction = Table(
    "interaction",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    *_said(),
    CheckConstraint("kind IN ('call', 'email', 'meeting', 'chat', 'visit', 'web_event')", name="kind"),
    CheckConstraint("direction IN ('inbound', 'outbound')", name="direction"),
    CheckConstraint("matter IN ('product', 'service', 'other')", name="matter"),
    CheckConstraint("duration_seconds >= 0", name="duration"),
    CheckConstraint("next_step_due_on IS NULL OR next_step IS NOT NULL", name="next_step"),
    Index(
        "uq_interaction_reference",
        "customer_id",
        "reference",
        unique=True,
        postgresql_where=text("reference IS NOT NULL"),
    ),
    # Covers what a customer's interactions are summed up from.
    Index("ix_interaction_of_customer", "customer_id", "occurred_at", "id", postgresql_include=["matter"]),
    Index("ix_interaction_occurred_at", "occurred_at", "customer_id", "id"),
)

interaction_version = Table(
    "interaction_version",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("id", UuidType, primary_key=True),
    *(column for column in _said() if column.name != "version"),
    Column("version", Integer, primary_key=True),
    comment="what interactions said before they were corrected",
)

PERSONAL = frozenset(column.name for column in interaction.columns if "personal" in column.info)

KEPT_OF_A_CUSTOMER = (interaction, interaction_version)
"""What is handed over to whom it is about."""
