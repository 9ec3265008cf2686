"""Where rows of an interactions file wait between reading and merging.

Unlogged: a crash of the server empties it, the import notices and reads the file again.
"""

from sqlalchemy import BigInteger, Column, Date, DateTime, Index, Integer, SmallInteger, Table, Text

from app.core.db import metadata

interaction_import_row = Table(
    "interaction_import_row",
    metadata,
    Column("import_number", Integer, nullable=False),
    Column("bucket", SmallInteger, nullable=False),
    Column("customer_ref", Text, nullable=False, info={"personal": "contact"}),
    Column("line", BigInteger, nullable=False),
    Column("reference", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("direction", Text),
    Column("outcome", Text),
    Column("duration_seconds", Integer),
    Column("subject", Text, info={"personal": "note"}),
    Column("minutes", Text, info={"personal": "note"}),
    Column("matter", Text),
    Column("next_step", Text, info={"personal": "note"}),
    Column("next_step_due_on", Date, info={"personal": "note"}),
    Index("ix_interaction_import_row_bucket", "import_number", "bucket"),
    prefixes=["UNLOGGED"],
)
