"""Tables of purchases. An order of one customer and kind is one purchase; its rows are its lines.

No foreign keys: whoever inserts holds the customer's row, so none can vanish meanwhile (decision 008).
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy import Uuid as UuidType

from app.core.db import metadata

purchase = Table(
    "purchase",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("order_ref", Text),
    Column("kind", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("occurred_on", Date, nullable=False, comment="local day in the business time zone"),
    Column("amount", Numeric(18, 4), nullable=False, comment="as recorded, never negative"),
    Column("currency", Text, nullable=False),
    Column("base_amount", Numeric(18, 4), nullable=False, comment="base currency; a refund is negative"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("customer_id", "order_ref", "kind"),
    CheckConstraint("kind IN ('purchase', 'refund')", name="kind"),
    CheckConstraint("amount >= 0", name="amount"),
    CheckConstraint("(base_amount < 0) = (kind = 'refund')", name="sign"),
    # Covers the metrics: they are computed from this index alone, customer by customer, day by day.
    Index(
        "ix_purchase_metrics",
        "customer_id",
        "occurred_on",
        postgresql_include=["occurred_at", "base_amount"],
    ),
    Index(
        "ix_purchase_refunds",
        "customer_id",
        postgresql_include=["occurred_at", "base_amount"],
        postgresql_where=text("base_amount < 0"),
    ),
    Index("ix_purchase_latest", "occurred_at", "customer_id", "id"),
)

purchase_line = Table(
    "purchase_line",
    metadata,
    # A line is known by what it says: the same line twice in one order is occurrence 1 and 2, so that
    # importing a file again finds every line where it was.
    Column("customer_id", UuidType, primary_key=True),
    Column("purchase_id", UuidType, primary_key=True),
    Column("content_hash", BigInteger, primary_key=True),
    Column("occurrence", Integer, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("product_ref", Text),
    Column("product_name", Text),
    Column("category", Text),
    Column("quantity", Numeric(18, 4), nullable=False),
    Column("amount", Numeric(18, 4), nullable=False),
)

exchange_rate = Table(
    "exchange_rate",
    metadata,
    Column("currency", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("rate", Numeric(18, 8), nullable=False, comment="base currency for one unit of this currency"),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("rate > 0", name="rate"),
)

KEPT_OF_A_CUSTOMER = (purchase, purchase_line)
"""What is handed over to whom it is about."""
