"""Tables of self-service."""

from sqlalchemy import CheckConstraint, Column, DateTime, Integer, Table, Text, func
from sqlalchemy import Uuid as UuidType

from app.core.db import metadata

customer_account = Table(
    "customer_account",
    metadata,
    # Of several, which only a merge brings together, the first stands (decision 022). A user is of one customer: it is
    # written while the user's row is held.
    Column("customer_id", UuidType, primary_key=True),
    Column("user_id", UuidType, primary_key=True, index=True),
    Column("linked_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("linked_by", Text, nullable=False),
)

shown_scheme = Table(
    "shown_scheme",
    metadata,
    Column("scheme", Text, primary_key=True),
    Column("shown_since", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("shown_by", Text, nullable=False),
    comment="whose classes customers see of themselves",
)

profile_change = Table(
    "profile_change",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("id", UuidType, nullable=False, server_default=func.uuidv7(), comment="another one with each request"),
    Column("value", Text, nullable=False, info={"personal": "contact"}),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("requested_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("field IN ('email', 'phone')", name="field"),
    comment="waits for a code that is computed from it, and not kept",
)

KEPT_OF_A_CUSTOMER = (customer_account, profile_change)
"""What is handed over to whom it is about."""
