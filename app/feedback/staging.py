"""Where rows of a feedback file wait between reading and merging.

Unlogged: a crash of the server empties it, the import notices and reads the file again.
"""

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, SmallInteger, Table, Text

from app.core.db import metadata

feedback_import_row = Table(
    "feedback_import_row",
    metadata,
    Column("import_number", Integer, nullable=False),
    Column("bucket", SmallInteger, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("customer_ref", Text, nullable=False, info={"personal": "contact"}),
    Column("reference", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("measure", Text),
    Column("score", SmallInteger),
    Column("channel", Text, nullable=False),
    Column("topic", Text),
    Column("text", Text, info={"personal": "note"}),
    Index("ix_feedback_import_row_bucket", "import_number", "bucket"),
    prefixes=["UNLOGGED"],
)
