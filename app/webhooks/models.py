"""The tables of webhooks. A secret signs, so it must be read again: it is kept under lock, and shown once."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.db import metadata

webhook = Table(
    "webhook",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("url", Text, nullable=False),
    Column("types", ARRAY(Text), nullable=False, comment="names of events, kinds as segment.*, or *"),
    Column("description", Text),
    Column("active", Boolean, nullable=False, server_default=text("true"), comment="as people want it"),
    Column("paused_at", DateTime(timezone=True), comment="the endpoint kept failing"),
    Column("paused_reason", Text),
    Column("failing_since", DateTime(timezone=True), comment="the first failure since the last success"),
    Column("secret", Text, nullable=False, info={"secret": True}),
    Column("previous_secret", Text, info={"secret": True}),
    Column("previous_secret_until", DateTime(timezone=True)),
    Column("after_transaction_id", BigInteger, nullable=False, comment="the last event that was taken from the outbox"),
    Column("after_event_id", UuidType, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("webhook_id", UuidType, ForeignKey("webhook.id", ondelete="CASCADE"), primary_key=True),
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("event_id", UuidType, comment="null: a test"),
    Column("type", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0", comment="since it was made, or replayed"),
    Column("due_at", DateTime(timezone=True), comment="the next attempt, or when the one under way is given up"),
    Column("attempted_at", DateTime(timezone=True)),
    Column("response_status", Integer),
    Column("error", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("status IN ('pending', 'delivered', 'dead')", name="status"),
    CheckConstraint("(status = 'pending') = (due_at IS NOT NULL)", name="due_while_pending"),
    Index("ix_webhook_delivery_webhook_id_due_at", "webhook_id", "due_at", postgresql_where=text("status = 'pending'")),
    Index("ix_webhook_delivery_webhook_id_status_id", "webhook_id", "status", "id"),
)
