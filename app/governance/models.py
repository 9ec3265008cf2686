"""The chain of seals over the audit trail (see decision 013), who was erased, how long data is kept."""

from sqlalchemy import BigInteger, Column, DateTime, Integer, LargeBinary, Table, Text, func
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.db import metadata

audit_seal = Table(
    "audit_seal",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column(
        "settled",
        DateTime(timezone=True),
        nullable=False,
        comment="every event whose id is older was committed when this seal looked for events",
    ),
    Column("events", ARRAY(UuidType), nullable=False, comment="ids of the events under this seal, in order"),
    Column("previous", LargeBinary, nullable=False, comment="hash of the seal before; zeros for the first"),
    Column("hash", LargeBinary, nullable=False),
)

erasure = Table(
    "erasure",
    metadata,
    # Stays when the record goes, too: a backup that brings the person back is told by it.
    Column("customer_id", UuidType, primary_key=True),
    Column("id", UuidType, nullable=False, server_default=func.uuidv7(), comment="the order of the list"),
    Column("erased_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("erased_by", Text, nullable=False),
)

retention_period = Table(
    "retention_period",
    metadata,
    # Only what a company has set: other kinds are kept as their package says.
    Column("kind", Text, primary_key=True),
    Column("days", Integer, comment="null: for ever"),
    Column("version", Integer, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
