"""Tables of the customer record. Columns with personal data say so in their `info`."""

from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.core.db import metadata

customer = Table(
    "customer",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("kind", Text, nullable=False, server_default="person"),
    Column("name", Text, nullable=False, info={"personal": "name"}),
    Column("title", Text, info={"personal": "name"}),
    Column("birthday", Date, info={"personal": "birth"}),
    # No foreign key: both ends are customer-owned and may live on different nodes. The service checks it.
    Column("company_id", UuidType),
    Column("region", Text),
    Column("source", Text),
    Column("language", Text),
    Column("phone", Text, info={"personal": "contact"}),
    Column("email", Text, info={"personal": "contact"}),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("owner_id", UuidType, ForeignKey("user_account.id")),
    Column("unit_id", UuidType, ForeignKey("org_unit.id")),
    Column("custom", JSONB, nullable=False, server_default="{}", info={"personal": "custom"}),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("kind IN ('person', 'company')", name="kind"),
    Index("ix_customer_owner_id", "owner_id", "id"),
    Index("ix_customer_unit_id", "unit_id", "id"),
    Index("ix_customer_region", "region", "id", postgresql_ops={"region": "text_pattern_ops"}),
    Index("ix_customer_company_id", "company_id"),
    Index("ix_customer_created_at", "created_at", "id"),
    Index("ix_customer_updated_at", "updated_at", "id"),
    Index("ix_customer_name", "name", "id"),
    Index("ix_customer_tags", "tags", postgresql_using="gin"),
    Index(
        "ix_customer_name_trigrams",
        func.lower(text("name")).label("lower_name"),
        postgresql_using="gin",
        postgresql_ops={"lower_name": "gin_trgm_ops"},
    ),
)

customer_identity = Table(
    "customer_identity",
    metadata,
    # Keyed by what it identifies, not by customer: the one place where an identity is unique.
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True, info={"personal": "contact"}),
    Column("customer_id", UuidType, ForeignKey("customer.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

custom_field = Table(
    "custom_field",
    metadata,
    Column("key", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("options", ARRAY(Text), nullable=False, server_default="{}"),
    Column("minimum", Numeric),
    Column("maximum", Numeric),
    Column("required", Boolean, nullable=False, server_default="false"),
    Column("indexed", Boolean, nullable=False, server_default="false", comment="whether a job has made indexes of it"),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("type IN ('text', 'number', 'money', 'date', 'choice', 'multi_choice', 'boolean')", name="type"),
)

region = Table(
    "region",
    metadata,
    # What customers' regions are called. No foreign key leads here: a region may be finer than the tree.
    Column("code", Text, primary_key=True),
    Column("parent", Text, ForeignKey("region.code"), index=True),
    Column("level", Text, nullable=False),
    Column("name_en", Text),
    Column("name_zh", Text, nullable=False),
    CheckConstraint("level IN ('country', 'province', 'city', 'county')", name="level"),
)

customer_consent = Table(
    "customer_consent",
    metadata,
    # Added to and never changed: what stands is the latest of a channel and a purpose.
    Column("customer_id", UuidType, primary_key=True),
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("channel", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("source", Text, nullable=False, info={"personal": "consent"}),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("recorded_by", Text, nullable=False),
    CheckConstraint("channel IN ('email', 'phone', 'sms', 'wechat', 'post')", name="channel"),
    CheckConstraint("status IN ('given', 'withdrawn')", name="status"),
)

customer_note = Table(
    "customer_note",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("text", Text, nullable=False, info={"personal": "note"}),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("created_by", Text, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_by", Text, nullable=False),
)


def _of_several() -> list[Column[Any]]:
    """What every part that a customer can have several of has (see `parts`)."""
    return [
        Column("customer_id", UuidType, primary_key=True),
        Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
        Column("is_primary", Boolean, nullable=False),
        Column("version", Integer, nullable=False, server_default="1"),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ]


customer_address = Table(
    "customer_address",
    metadata,
    *_of_several(),
    Column("kind", Text, nullable=False),
    Column("recipient", Text, info={"personal": "name"}),
    Column("lines", Text, nullable=False, info={"personal": "address"}),
    Column("city", Text, info={"personal": "address"}),
    Column("postal_code", Text, info={"personal": "address"}),
    Column("region", Text),
    Column("country", Text, nullable=False),
    CheckConstraint("kind IN ('billing', 'delivery', 'office', 'store', 'home', 'other')", name="kind"),
    Index("uq_customer_address_primary", "customer_id", "kind", unique=True, postgresql_where=text("is_primary")),
)

customer_contact = Table(
    "customer_contact",
    metadata,
    # No foreign keys, as everywhere within customers (decision 008).
    *_of_several(),
    Column("person_id", UuidType, index=True, comment="the contact's own record, if there is one"),
    Column("name", Text, info={"personal": "name"}),
    Column("role", Text),
    Column("since", Date),
    Column("until", Date),
    CheckConstraint("until >= since", name="period"),
    CheckConstraint("name IS NOT NULL OR person_id IS NOT NULL", name="who"),
    Index("uq_customer_contact_primary", "customer_id", unique=True, postgresql_where=text("is_primary")),
)

customer_transfer = Table(
    "customer_transfer",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    # No foreign keys: an owner who is gone and a unit that was dissolved stay in the history.
    Column("from_owner_id", UuidType),
    Column("to_owner_id", UuidType),
    Column("from_unit_id", UuidType),
    Column("to_unit_id", UuidType),
    Column("transfer_id", UuidType, comment="of the transfer of many that it was part of"),
    Column("transferred_by", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)


def _said(name: str, comment: str) -> Column[Any]:
    """Fields of a record, kept beside it."""
    return Column(name, JSONB, nullable=False, server_default="{}", comment=comment, info={"personal": "record"})


customer_merge = Table(
    "customer_merge",
    metadata,
    Column("customer_id", UuidType, primary_key=True, comment="who stands for both now; follows when merged again"),
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("survivor_id", UuidType, nullable=False, comment="into whom it was merged"),
    Column("merged_id", UuidType, nullable=False, comment="who is no more, unless the merge was undone"),
    Column(
        "record",
        JSONB,
        nullable=False,
        server_default="{}",
        comment="the merged record as it stood",
        info={"personal": "record"},
    ),
    Column(
        "before",
        JSONB,
        nullable=False,
        server_default="{}",
        comment="the survivor's fields that changed",
        info={"personal": "record"},
    ),
    Column(
        "after", JSONB, nullable=False, server_default="{}", comment="what they became", info={"personal": "record"}
    ),
    Column("moved", JSONB, nullable=False, server_default="{}", comment="how many rows of which table followed"),
    Column("merged_by", Text, nullable=False),
    Column("merged_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("undone_by", Text),
    Column("undone_at", DateTime(timezone=True)),
    Index("ix_customer_merge_merged_id", "merged_id"),
    Index("ix_customer_merge_id", "id"),
)

customer_merge_row = Table(
    "customer_merge_row",
    metadata,
    Column("customer_id", UuidType, primary_key=True),
    Column("merge_id", UuidType, primary_key=True),
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("place", Text, nullable=False, comment="table and column that named the merged customer"),
    Column(
        "key",
        ARRAY(Text),
        nullable=False,
        server_default="{}",
        comment="by which the row is known beside its customer",
        info={"personal": "contact"},
    ),
    Column("was", JSONB, comment="what it said before it made room", info={"personal": "record"}),
    Column("set_aside", Boolean, nullable=False, comment="waits here, whole, until the merge is undone"),
    comment="which rows a merge moved: they go back when it is undone",
)

OF_A_CUSTOMER = (
    customer_consent,
    customer_note,
    customer_address,
    customer_contact,
    customer_transfer,
    customer_merge,
    customer_merge_row,
)
"""What goes with a customer who is deleted; identities go by their foreign key."""

GONE_WHEN_ERASED = (
    customer_consent,
    customer_note,
    customer_address,
    customer_contact,
    customer_identity,
    customer_merge_row,
)
"""What goes with a person who is forgotten; that there was a merge is kept, without what it says of anybody."""

KEPT_OF_A_CUSTOMER = (customer, customer_identity, *OF_A_CUSTOMER)
"""What is handed over to whom it is about."""

PERSONAL = frozenset(column.name for column in customer.columns if "personal" in column.info)
