"""The chain of seals over the audit trail (see decision 013)."""

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, Table, func
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
