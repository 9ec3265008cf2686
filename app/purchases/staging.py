"""Where rows of a purchases file wait between reading and merging.

Unlogged: a crash of the server empties it, the import notices and reads the file again.
"""

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, Numeric, SmallInteger, Table, Text

from app.core.db import metadata

purchase_import_row = Table(
    "purchase_import_row",
    metadata,
    Column("import_number", Integer, nullable=False),
    Column("bucket", SmallInteger, nullable=False),
    Column("customer_ref", Text, nullable=False, info={"personal": "contact"}),
    Column("line", BigInteger, nullable=False),
    Column("order_ref", Text),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("amount", Numeric(18, 4), nullable=False),
    Column("currency", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("product_ref", Text),
    Column("product_name", Text),
    Column("category", Text),
    Column("quantity", Numeric(18, 4), nullable=False),
    Column("content_hash", BigInteger, nullable=False),
    Index("ix_purchase_import_row_bucket", "import_number", "bucket"),
    prefixes=["UNLOGGED"],
)
