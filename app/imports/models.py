"""Tables of imports. A file lives here from its upload until its import ends."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
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

imports = Table(
    "import",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    # Short, because it stands in every staged row.
    Column("number", Integer, Identity(always=True), nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("file_name", Text, info={"personal": "file"}),
    Column("plan", JSONB, nullable=False, comment="how the file is to be read: see plan.Plan"),
    Column("dry_run", Boolean, nullable=False),
    Column("requested_by", UuidType),
    Column("actor", JSONB, nullable=False, comment="whose rights the import has"),
    Column("job_id", UuidType),
    Column("phase", Text, nullable=False, server_default="reading"),
    # Counts the starts. A checkpoint names its run, so that a worker that was given up cannot write any more.
    Column("run", Integer, nullable=False, server_default="0"),
    Column("size", BigInteger, nullable=False, server_default="0", comment="bytes as uploaded"),
    Column("bytes_read", BigInteger, nullable=False, server_default="0"),
    Column("rows_read", BigInteger, nullable=False, server_default="0"),
    Column("staged", BigInteger, nullable=False, server_default="0", comment="rows that wait in the staging table"),
    Column("accepted", BigInteger, nullable=False, server_default="0"),
    Column("rejected", BigInteger, nullable=False, server_default="0"),
    Column("skipped", BigInteger, nullable=False, server_default="0"),
    Column("total", BigInteger, comment="rows of the file, once it was read to its end"),
    Column("customers_created", BigInteger, nullable=False, server_default="0"),
    Column("changed", BigInteger, nullable=False, server_default="0", comment="records made or altered"),
    Column(
        "forgotten",
        ARRAY(Text),
        nullable=False,
        server_default="{}",
        comment="marks of references whose customers were erased meanwhile: their rows are not merged",
    ),
    *work.columns(),
    CheckConstraint("phase IN ('reading', 'merging')", name="phase"),
    Index("ix_import_requested_by", "requested_by", "id"),
)

import_chunk = Table(
    "import_chunk",
    metadata,
    Column("import_id", UuidType, ForeignKey("import.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    # Compressed before it comes here: PostgreSQL is told not to try again (SET STORAGE EXTERNAL).
    Column("data", LargeBinary, nullable=False, info={"personal": "file"}),
)

import_error = Table(
    "import_error",
    metadata,
    Column("import_id", UuidType, ForeignKey("import.id", ondelete="CASCADE"), primary_key=True),
    Column("line", BigInteger, primary_key=True),
    Column("field", Text),
    Column("reason", Text, nullable=False),
)
