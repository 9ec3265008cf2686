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
    text,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSTZRANGE, ExcludeConstraint

from app.core import work
from app.core.db import metadata

_PURCHASES = {"from": "purchases"}
"""Marks the columns that are measured from a customer's purchases."""
_INTERACTIONS = {"from": "interactions"}
"""Likewise; each package's summary names its own (see `summaries`)."""
_FEEDBACK = {"from": "feedback"}


def _count_of(name: str, source: dict[str, str], comment: str | None = None) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default="0", comment=comment, info=source)


customer_metrics = Table(
    "customer_metrics",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("frequency", Integer, nullable=False, comment="distinct purchases; refunds do not count", info=_PURCHASES),
    Column(
        "monetary", Numeric(20, 4), nullable=False, comment="purchases minus refunds, base currency", info=_PURCHASES
    ),
    Column("refunded", Numeric(20, 4), nullable=False, info=_PURCHASES),
    Column("frequency_365d", Integer, nullable=False, info=_PURCHASES),
    Column("monetary_365d", Numeric(20, 4), nullable=False, info=_PURCHASES),
    Column("first_purchase_at", DateTime(timezone=True), info=_PURCHASES),
    Column("last_purchase_at", DateTime(timezone=True), info=_PURCHASES),
    Column("first_purchase_on", Date, info=_PURCHASES),
    Column("last_purchase_on", Date, info=_PURCHASES),
    Column("purchase_days", Integer, nullable=False, comment="distinct local days with a purchase", info=_PURCHASES),
    Column(
        "categories",
        ARRAY(Text),
        comment="categories bought; null until a published scheme asks for their number",
    ),
    Column(
        "window_first_at",
        DateTime(timezone=True),
        comment="the earliest purchase or refund within 365 days",
        info=_PURCHASES,
    ),
    _count_of("interactions", _INTERACTIONS),
    _count_of("product_interactions", _INTERACTIONS, "those about a product"),
    _count_of("service_interactions", _INTERACTIONS, "those about a service"),
    _count_of("interactions_90d", _INTERACTIONS),
    Column("last_interaction_at", DateTime(timezone=True), info=_INTERACTIONS),
    Column(
        "interactions_first_at",
        DateTime(timezone=True),
        comment="the earliest interaction within 90 days",
        info=_INTERACTIONS,
    ),
    Column("csat", Integer, comment="the latest answer, 1 to 5", info=_FEEDBACK),
    Column("nps_score", Integer, comment="the latest answer, 0 to 10", info=_FEEDBACK),
    _count_of("complaints_90d", _FEEDBACK),
    Column(
        "complaints_first_at",
        DateTime(timezone=True),
        comment="the earliest complaint within 90 days",
        info=_FEEDBACK,
    ),
    Column("next_fact_at", DateTime(timezone=True), comment="when the next recorded fact begins to count"),
    Column("probability_alive", Numeric(12, 8), comment="0 to 1, by the prediction model in force"),
    Column("expected_purchases_365d", Numeric(20, 6)),
    Column("predicted_value_365d", Numeric(20, 4)),
    Column("next_review_at", DateTime(timezone=True), comment="when a class can next change by time alone"),
    Column("decided", Text, comment="the decisions that stand, as they were last; null: some wait, or nobody knows"),
    Column("as_of", DateTime(timezone=True), nullable=False, comment="instant of the last change of this row"),
    # Counts the writes: who computed from an older row than stands here now must not write its result.
    Column("revision", Integer, nullable=False, server_default="1"),
    Index("ix_customer_metrics_next_review_at", "next_review_at"),
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
    Column("description", Text, comment="what it is for, whichever version is in force"),
    Column("version", Integer, nullable=False, comment="the published version; 0 before the first"),
    Column("breakpoints_id", UuidType, comment="the breakpoints in force"),
    Column("error", Text, comment="why the scheme cannot be evaluated; its classes stand as they were"),
    Column("stale_since", DateTime(timezone=True), comment="since when it cannot"),
    Column("retired_at", DateTime(timezone=True), comment="deleted: no longer evaluated, its history stays"),
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
    Column("note", Text, comment="what this version changes, in its author's words"),
    Column("edits", Integer, nullable=False, server_default="1", comment="counts the edits of a draft"),
    Column("created_by", Text, nullable=False, server_default="system"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("published_by", Text),
    Column("published_at", DateTime(timezone=True)),
    Column("retired_at", DateTime(timezone=True)),
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
    Column("previous_id", UuidType, comment="the breakpoints in force before, of the same version"),
    Column("moved", BigInteger, comment="customers whom these breakpoints decide otherwise than the previous"),
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
    Column("pending_class", Text, comment="what the class becomes unless the customer's decision changes"),
    Column("pending_on", Date, comment="the business day on which it does"),
    Column("overridden", Boolean, nullable=False, server_default="false", comment="a person set the class"),
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
    Column(
        "facts",
        ARRAY(Text),
        comment="whatever else it reads: fields, tags, classes, events, in its order",
        info={"personal": "fields"},
    ),
    Column("score", Integer, comment="as the scheme's kind packs it, such as 543 for R5 F4 M3"),
    Column("cause", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("correlation_id", Text),
    # Grows at its end only: changes are written in the order of time.
    Index("ix_class_change_scheme_at", "scheme", "at", "id"),
)

class_override = Table(
    "class_override",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("scheme", Text, nullable=False),
    Column("class", Text, key="class_", nullable=False),
    Column("reason", Text, nullable=False, info={"personal": "note"}),
    Column("status", Text, nullable=False, comment="proposed waits for a second person; ended by time or by hand"),
    Column("period", TSTZRANGE, comment="when it is in force; null before it is approved"),
    Column("expires_at", DateTime(timezone=True), comment="null: until somebody ends it"),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", DateTime(timezone=True), nullable=False),
    Column("decided_by", Text, comment="who approved or rejected"),
    Column("decided_at", DateTime(timezone=True)),
    Column("rejection", Text, comment="why it was rejected", info={"personal": "note"}),
    Column("ended_by", Text),
    CheckConstraint("status IN ('proposed', 'rejected', 'active', 'ended')", name="status"),
    CheckConstraint("(period IS NULL) = (status IN ('proposed', 'rejected'))", name="period"),
    # At any instant one override of a customer and scheme at most.
    ExcludeConstraint(
        ("customer_id", "="), ("scheme", "="), ("period", "&&"), name="ex_class_override_period", using="gist"
    ),
    Index("ix_class_override_waiting", "scheme", "customer_id", postgresql_where=text("status = 'proposed'")),
)

segment_member = Table(
    "segment_member",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("scheme", Text, primary_key=True),
    Column("added_by", Text, nullable=False),
    Column("added_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ix_segment_member_scheme", "scheme", "customer_id"),
)

simulation = Table(
    "simulation",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("scheme", Text, ForeignKey("scheme.key"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("against", Integer, comment="another version of the scheme; null: the classes that stand"),
    # A draft may be edited or thrown away while it is simulated and afterwards.
    Column("documents", JSONB, nullable=False, comment="what was simulated, per version"),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("refit", Boolean, nullable=False),
    Column("position", UuidType, comment="the last customer done"),
    Column("processed", BigInteger, nullable=False, server_default="0"),
    Column("total", BigInteger),
    Column("breakpoints", JSONB, comment="what the population decided, per version"),
    Column("outcome", JSONB, comment="counts, movement, revenue and workload"),
    Column("requested_by", Text, nullable=False),
    *work.columns(),
)

_NO_CLASS = "empty: in no class"
# Up to the whole base is written with these: comparing bytes is cheaper than comparing words.
_CLASS = Text(collation="C")

simulation_move = Table(
    "simulation_move",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("simulation_id", UuidType, primary_key=True),
    Column("from_class", _CLASS, nullable=False, comment=_NO_CLASS),
    Column("to_class", _CLASS, nullable=False, comment=_NO_CLASS),
    Column("monetary", Numeric(20, 4), nullable=False),
    Index("ix_simulation_move_simulation_id", "simulation_id", "from_class", "to_class", "customer_id"),
)

simulation_count = Table(
    "simulation_count",
    metadata,
    Column("simulation_id", UuidType, primary_key=True),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("position", UuidType, nullable=False, comment="the customer after whom the counted chunk begins"),
    Column("owner_id", UuidType),
    Column("unit_id", UuidType),
    Column("from_class", _CLASS, nullable=False, comment=_NO_CLASS),
    Column("to_class", _CLASS, nullable=False, comment=_NO_CLASS),
    Column("customers", BigInteger, nullable=False),
    Column("monetary", Numeric(24, 4), nullable=False),
    Column("at_once", BigInteger, nullable=False, comment="of these, who would move at once"),
    Column("pending", BigInteger, nullable=False, comment="of these, who would wait for their movement"),
    Column("overridden", BigInteger, nullable=False, comment="of these, who are held by an override"),
)
"""Kept while a simulation runs: what its chunks counted."""

prediction = Table(
    "prediction",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("estimable", Boolean, comment="null while it runs"),
    Column("reason", Text, comment="why nothing can be estimated"),
    Column("population", BigInteger),
    Column("parameters", JSONB, comment="maximum-likelihood estimates by model, their log-likelihood"),
    Column("position", UuidType, comment="the last customer written"),
    Column("processed", BigInteger, nullable=False, server_default="0"),
    Column("total", BigInteger),
    Column("requested_by", Text, nullable=False),
    *work.columns(),
)

recalculation = Table(
    "recalculation",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("schemes", ARRAY(Text), nullable=False),
    Column("scope", Text, nullable=False),
    Column("as_of", DateTime(timezone=True), comment="null: the moment it runs"),
    Column("refit", Boolean, nullable=False),
    Column("publishes", Integer, comment="the version of its one scheme that it puts in force"),
    Column("movement", Text, comment="at_once: a publication that does not wait for the document's movement rules"),
    Column("released_from", DateTime(timezone=True), comment="only classes given since then move at once; null: all"),
    Column("held_on", Date, comment="the business day on which classes of a past day stand"),
    Column("cause", Text, nullable=False),
    Column("phase", Text, nullable=False, server_default="metrics"),
    Column("position", UuidType, comment="the last customer done in this phase"),
    Column("done", BigInteger, nullable=False, server_default="0", comment="customers done, all phases together"),
    Column("customers", BigInteger, comment="customers to do in each phase"),
    Column("changed", BigInteger, nullable=False, server_default="0"),
    Column("requested_by", Text, nullable=False),
    Column("correlation_id", Text),
    *work.columns(),
    CheckConstraint("scope IN ('all', 'dirty')", name="scope"),
    CheckConstraint("phase IN ('metrics', 'fit', 'classes')", name="phase"),
)

KEPT_OF_A_CUSTOMER = (customer_metrics, customer_class, class_change, class_override, segment_member)
"""What is handed over to whom it is about."""
