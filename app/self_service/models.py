"""Tables of self-service."""

from sqlalchemy import Column, DateTime, Table, Text, func
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

KEPT_OF_A_CUSTOMER = (customer_account,)
"""What is handed over to whom it is about."""
