"""Tables of files that are made by jobs. They live here until they expire."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.core import work
from app.core.db import metadata

export = Table(
    "export",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("format", Text, nullable=False),
    Column("asked", JSONB, nullable=False, comment="which customers, as it was asked", info={"personal": "search"}),
    Column("actor", JSONB, nullable=False, comment="whose rights the file has"),
    Column("position", UuidType, comment="the last customer written"),
    Column("pieces", Integer, nullable=False, server_default="0"),
    Column("processed", BigInteger, nullable=False, server_default="0"),
    Column("total", BigInteger),
    Column("size", BigInteger, nullable=False, server_default="0", comment="bytes of the file"),
    Column("expires_at", DateTime(timezone=True), comment="until when it can be fetched; earlier when withdrawn"),
    Column("requested_by", Text, nullable=False),
    *work.columns(),
    CheckConstraint("format IN ('csv', 'ndjson')", name="format"),
    Index("ix_export_requested_by", "requested_by", "id"),
)

export_piece = Table(
    "export_piece",
    metadata,
    Column("export_id", UuidType, ForeignKey("export.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    # So that a file can be withdrawn when somebody in it is deleted.
    Column("first_customer_id", UuidType),
    Column("last_customer_id", UuidType),
    Column("customer_ids", ARRAY(UuidType), nullable=False),
    # Compressed before it comes here: PostgreSQL is told not to try again (SET STORAGE EXTERNAL).
    Column("data", LargeBinary, nullable=False, info={"personal": "file"}),
)
