"""Every column of every table that could hold something personal says whether it does."""

from typing import Any

import pytest
from sqlalchemy import Column, Date, Integer, LargeBinary, MetaData, Numeric, String, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, CIDR, INET, JSON, JSONB

from app.core import personal
from app.features import FEATURES, metadata

OF_A_CUSTOMER = [
    table
    for table in metadata.sorted_tables
    if table.name == "customer" or {"customer_id", "customer_ref"} & {*table.c.keys()}
]
TECHNICAL = {
    "dirty_customer",
    "customer_duplicate",
    "customer_duplicate_key",
    "customer_duplicate_due",
    "erasure",
    "simulation_move",
    "customer_import_row",
    "purchase_import_row",
    "interaction_import_row",
    "feedback_import_row",
}
"""Work under way and tombstones: nothing of them is handed over."""
PLAIN = {
    "api_key": "name prefix permissions",
    "audit_event": "actor_kind action resource resource_id before after request_id",
    "customer_account": "linked_by",
    "profile_change": "field",
    "customer_transfer": "transferred_by",
    "customer_duplicate": "reasons",
    "duplicate_dismissal": "dismissed_by",
    "class_change": "scheme from_class to_class cause actor correlation_id inputs",
    "class_override": "scheme class_ status proposed_by decided_by ended_by",
    "customer": "kind region source language tags",
    "customer_address": "kind region country",
    "customer_class": "scheme class_ pending_class pending_on",
    "customer_consent": "channel purpose status recorded_by",
    "customer_contact": "role since until",
    "customer_identity": "kind",
    "customer_import_row": "kind region source language tags",
    "customer_merge": "moved merged_by undone_by",
    "customer_merge_row": "place",
    "customer_metrics": "categories decided monetary refunded monetary_365d"
    " first_purchase_on last_purchase_on probability_alive expected_purchases_365d predicted_value_365d",
    "customer_note": "created_by updated_by",
    "data_request": "kind status recorded_by decided_by due_on",
    "erasure": "erased_by",
    "export": "format actor requested_by status error",
    "transfer": "actor requested_by status error",
    "external_account": "issuer",
    "external_session": "key",
    "idempotency_key": "principal key path fingerprint headers",
    "import": "kind plan actor phase status error forgotten",
    "import_error": "field reason",
    "job": "name payload status error correlation_id",
    "login_attempt": "subject",
    "outbox_event": "name payload correlation_id",
    "webhook": "url types description paused_reason",
    "webhook_delivery": "type status error",
    "feedback": "kind measure channel topic choices reference question written_by",
    "feedback_import_row": "reference kind measure channel topic",
    "interaction": "reference kind direction outcome matter written_by",
    "interaction_version": "reference kind direction outcome matter written_by",
    "interaction_import_row": "reference kind direction outcome matter",
    "purchase": "order_ref kind currency occurred_on amount base_amount",
    "purchase_line": "product_ref product_name category quantity amount",
    "purchase_import_row": "order_ref currency kind product_ref product_name category amount quantity",
    "segment_member": "scheme added_by",
    "survey_invitation": "channel created_by",
    "survey_response": "channel written_by",
    "simulation_count": "from_class to_class",
    "simulation_move": "from_class to_class monetary",
}
"""Columns of texts and documents that hold nothing personal, looked at one by one."""
OF_NOBODY = {
    "audit_seal",
    "breakpoints",
    "custom_field",
    "exchange_rate",
    "org_unit",
    "prediction",
    "recalculation",
    "region",
    "retention_period",
    "role",
    "scheme",
    "scheme_version",
    "shown_scheme",
    "simulation",
    "survey",
    "survey_version",
}
"""What a company says of itself: none of their columns is about a person."""
OF_SOMEBODY = {"customer_id", "customer_ref", "user_id", "username", "subject", "owner_id"}
COULD = (Text, String, JSON, JSONB, LargeBinary, INET, CIDR)
FIGURES = (Date, Numeric)
"""What can be somebody's day of birth or income."""
SAID = {"personal", "secret"}


EVERY = pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)


@EVERY
def test_a_column_that_could_hold_something_personal_says_so_or_is_known_not_to(table: Table) -> None:
    assert undecided(table) == set(), 'give the column info={"personal": ...}, or add it to PLAIN'


@EVERY
def test_what_is_said_of_a_column_is_said_once(table: Table) -> None:
    known = {*PLAIN.get(table.name, "").split()}
    tagged = {column.key for column in personal.columns_of(table)}
    assert known <= {column.key for column in table.columns if _could(table, column.type)}
    assert not known & tagged
    if table.name in OF_NOBODY:
        assert not known | tagged | (OF_SOMEBODY & {*table.c.keys()}), f"{table.name} is about somebody"


def test_tables_that_are_known_are_there() -> None:
    assert {*PLAIN} | OF_NOBODY | TECHNICAL <= {table.name for table in metadata.sorted_tables}


def test_a_column_of_which_nothing_is_said_is_found() -> None:
    kinds: dict[str, Any] = dict(zip("abcdef", (Text, ARRAY(Text), JSONB, JSON, LargeBinary, INET), strict=True))
    day = Table("customer", MetaData(), Column("day", Date), Column("income", Numeric), Column("number", Integer))
    assert undecided(day) == {"day", "income"}
    told = Column("told", Text, info={"personal": "note"})
    secret = Column("hash", Text, info={"secret": True})
    columns: list[Column[Any]] = [Column(name, kind) for name, kind in kinds.items()]
    table = Table("session", MetaData(), told, secret, Column("number", Integer), *columns)
    assert undecided(table) == {*kinds}


def undecided(table: Table) -> set[str]:
    """Columns that could hold something personal, and of which nobody has said whether they do."""
    if table.name in OF_NOBODY:
        return set()
    could = {column.key for column in table.columns if _could(table, column.type) and not column.info.keys() & SAID}
    return could - {*PLAIN.get(table.name, "").split()}


def _could(table: Table, kind: object) -> bool:
    of_one = table.name in {each.name for each in OF_A_CUSTOMER}
    return isinstance(kind.item_type if isinstance(kind, ARRAY) else kind, COULD + FIGURES if of_one else COULD)


def test_whatever_belongs_to_a_customer_is_handed_over() -> None:
    handed_over = {table.name for feature in FEATURES for table in feature.customer_tables}
    assert handed_over == {table.name for table in OF_A_CUSTOMER} - TECHNICAL


@pytest.mark.parametrize("table", OF_A_CUSTOMER, ids=lambda table: table.name)
def test_what_is_erased_leaves_nothing_or_what_says_so(table: Table) -> None:
    for column in personal.columns_of(table):
        assert column.nullable or column.server_default is not None or isinstance(column.type, Text)
