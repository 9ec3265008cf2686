"""Tables of possible duplicates. Pairs and keys are derived, and found again; a dismissal is somebody's word."""

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Index, SmallInteger, Table, Text, func
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import JSONB

from app.core.db import metadata

customer_duplicate = Table(
    "customer_duplicate",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("other_id", UuidType, primary_key=True),
    Column("id", UuidType, nullable=False, server_default=func.uuidv7()),
    Column("score", SmallInteger, nullable=False, comment="0 to 100, by all reasons"),
    Column(
        "contact_score",
        SmallInteger,
        nullable=False,
        server_default="0",
        comment="by the reasons that tell nothing of addresses",
    ),
    Column("plain_score", SmallInteger, nullable=False, comment="by the reasons that tell nothing of contact data"),
    Column("reasons", JSONB, nullable=False, comment="reason to weight"),
    Column("found_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("customer_id < other_id", name="order"),
    Index("ix_customer_duplicate_id", "id"),
    Index("ix_customer_duplicate_other_id", "other_id"),
    Index("ix_customer_duplicate_score", "score", "customer_id", "other_id"),
    comment="who may be the same customer, as found last",
)

customer_duplicate_key = Table(
    "customer_duplicate_key",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    # A hash, but of something personal: the row goes when its customer goes or is forgotten.
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Index("ix_customer_duplicate_key_key", "key", "customer_id"),
    comment="what customers are compared by: whoever has a key in common is looked at",
)

customer_duplicate_due = Table(
    "customer_duplicate_due",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    comment="who changed since duplicates were looked for",
)

duplicate_dismissal = Table(
    "duplicate_dismissal",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("other_id", UuidType, primary_key=True),
    Column("why", Text, info={"personal": "note"}),
    Column("dismissed_by", Text, nullable=False),
    Column("dismissed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ix_duplicate_dismissal_other_id", "other_id"),
    comment="two customers of whom somebody said that they are not the same",
)

DERIVED = (customer_duplicate, customer_duplicate_key, customer_duplicate_due)
