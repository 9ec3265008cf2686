"""Tables of long work over customers: files, which live here until they expire, and transfers of many."""

from sqlalchemy import (
    BigInteger,
    Boolean,
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

transfer = Table(
    "transfer",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("asked", JSONB, nullable=False, comment="whose and where to, as it was asked", info={"personal": "search"}),
    Column("actor", JSONB, nullable=False, comment="who asked; its rights are those of when it is carried out"),
    Column("dry_run", Boolean, nullable=False),
    Column("position", UuidType, comment="the last customer looked at"),
    Column("processed", BigInteger, nullable=False, server_default="0"),
    Column("total", BigInteger),
    Column("moved", BigInteger, nullable=False, server_default="0"),
    Column("unchanged", BigInteger, nullable=False, server_default="0"),
    Column("out_of_reach", BigInteger, nullable=False, server_default="0"),
    Column("requested_by", Text, nullable=False),
    *work.columns(),
    Index("ix_transfer_requested_by", "requested_by", "id"),
)
