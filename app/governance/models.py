"""The chain of seals over the audit trail (see decision 013), who was erased, what data
subjects asked for, how long data is kept.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
)
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

data_request = Table(
    "data_request",
    metadata,
    # Stays when the record goes, too: that a person was answered, and when, must be shown afterwards.
    Column("customer_id", UuidType, primary_key=True),
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="received"),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("due_on", Date, nullable=False),
    Column("note", Text, info={"personal": "note"}),
    Column("reason", Text, comment="why it was rejected", info={"personal": "note"}),
    Column("recorded_by", Text, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", DateTime(timezone=True)),
    Column("file_expires_at", DateTime(timezone=True), comment="until then the archive is handed out"),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("kind IN ('export', 'erasure')", name="kind"),
    CheckConstraint("status IN ('received', 'completed', 'rejected', 'cancelled')", name="status"),
    CheckConstraint("(status = 'received') = (decided_at IS NULL)", name="decided"),
    Index("ix_data_request_id", "id"),
    Index("ix_data_request_due_on", "due_on", "id"),
)

KEPT_OF_A_CUSTOMER = (data_request,)
"""What is handed over to whom it is about."""

retention_period = Table(
    "retention_period",
    metadata,
    # Only what a company has set: other kinds are kept as their package says.
    Column("kind", Text, primary_key=True),
    Column("days", Integer, comment="null: for ever"),
    Column("version", Integer, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
