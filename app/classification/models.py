"""Tables of classification: what is measured, what is decided, and why.

What belongs to a customer has no foreign key to it: rows are written only while the customer's row, or the
metrics row that stands for it, is held (decision 008).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    func,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.core.db import metadata

customer_metrics = Table(
    "customer_metrics",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("frequency", Integer, nullable=False, comment="distinct purchases; refunds do not count"),
    Column("monetary", Numeric(20, 4), nullable=False, comment="purchases minus refunds, base currency"),
    Column("refunded", Numeric(20, 4), nullable=False),
    Column("frequency_365d", Integer, nullable=False),
    Column("monetary_365d", Numeric(20, 4), nullable=False),
    Column("first_purchase_at", DateTime(timezone=True)),
    Column("last_purchase_at", DateTime(timezone=True)),
    Column("first_purchase_on", Date),
    Column("last_purchase_on", Date),
    Column("purchase_days", Integer, nullable=False, comment="distinct local days with a purchase"),
    Column("as_of", DateTime(timezone=True), nullable=False, comment="instant of the last change of this row"),
    # Counts the writes: who computed from an older row than stands here now must not write its result.
    Column("revision", Integer, nullable=False, server_default="1"),
)

dirty_customer = Table(
    "dirty_customer",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
)

scheme = Table(
    "scheme",
    metadata,
    Column("key", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("version", Integer, nullable=False, comment="the published version"),
    Column("breakpoints_id", UuidType, comment="the breakpoints in force"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

scheme_version = Table(
    "scheme_version",
    metadata,
    Column("scheme", Text, ForeignKey("scheme.key"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", JSONB, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("published_at", DateTime(timezone=True)),
    CheckConstraint("status IN ('draft', 'published', 'retired')", name="status"),
)

breakpoints = Table(
    "breakpoints",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("scheme", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("population", BigInteger, nullable=False),
    Column("values", JSONB, nullable=False),
    Column("recalculation_id", UuidType),
    Column("fitted_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["scheme", "version"], ["scheme_version.scheme", "scheme_version.version"]),
    Index("ix_breakpoints_scheme_fitted_at", "scheme", "fitted_at"),
)

customer_class = Table(
    "customer_class",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("scheme", Text, primary_key=True),
    Column("class", Text, key="class_", nullable=False),
    Column("score", Integer, comment="as the scheme's kind packs it, such as 543 for R5 F4 M3"),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("version", Integer, nullable=False),
    Column("breakpoints_id", UuidType),
    Index("ix_customer_class_scheme_class", "scheme", "class_", "customer_id"),
)

class_change = Table(
    "class_change",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    # A number, not a UUID: a first recalculation writes millions of them, and making a UUID costs more than its row.
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("scheme", Text, nullable=False),
    Column("from_class", Text),
    Column("to_class", Text),
    Column("at", DateTime(timezone=True), nullable=False, comment="business time of the decision"),
    Column("as_of", DateTime(timezone=True), nullable=False, comment="instant whose facts decided"),
    Column("version", Integer, nullable=False),
    Column("breakpoints_id", UuidType),
    Column("inputs", ARRAY(Numeric), nullable=False, comment="the metrics that the document reads, in its order"),
    Column("score", Integer, comment="as the scheme's kind packs it, such as 543 for R5 F4 M3"),
    Column("cause", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("correlation_id", Text),
)

recalculation = Table(
    "recalculation",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("schemes", ARRAY(Text), nullable=False),
    Column("scope", Text, nullable=False),
    Column("as_of", DateTime(timezone=True), comment="null: the moment it runs"),
    Column("refit", Boolean, nullable=False),
    Column("cause", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="queued"),
    Column("phase", Text, nullable=False, server_default="metrics"),
    Column("position", UuidType, comment="the last customer done in this phase"),
    Column("done", BigInteger, nullable=False, server_default="0", comment="customers done, all phases together"),
    Column("customers", BigInteger, comment="customers to do in each phase"),
    Column("changed", BigInteger, nullable=False, server_default="0"),
    Column("error", Text),
    Column("requested_by", Text, nullable=False),
    Column("correlation_id", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    CheckConstraint("status IN ('queued', 'running', 'completed', 'failed', 'cancelled')", name="status"),
    CheckConstraint("scope IN ('all', 'dirty')", name="scope"),
    CheckConstraint("phase IN ('metrics', 'fit', 'classes')", name="phase"),
)
