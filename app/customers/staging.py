"""Where rows of a customers file wait between reading and merging.

Unlogged: a crash of the server empties it, the import notices and reads the file again.
"""

from sqlalchemy import BigInteger, Column, Date, Index, Integer, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.core.db import metadata

customer_import_row = Table(
    "customer_import_row",
    metadata,
    Column("import_number", Integer, nullable=False),
    Column("bucket", SmallInteger, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("customer_ref", Text, nullable=False, info={"personal": "contact"}),
    Column("kind", Text),
    Column("name", Text, info={"personal": "name"}),
    Column("title", Text, info={"personal": "name"}),
    Column("birthday", Date, info={"personal": "birth"}),
    Column("region", Text),
    Column("source", Text),
    Column("language", Text),
    Column("phone", Text, info={"personal": "contact"}),
    Column("email", Text, info={"personal": "contact"}),
    Column("tags", ARRAY(Text)),
    Column("custom", JSONB, info={"personal": "custom"}),
    Index("ix_customer_import_row_bucket", "import_number", "bucket"),
    prefixes=["UNLOGGED"],
)
