"""Every column of what belongs to a customer that could hold something personal says whether it does."""

import pytest
from sqlalchemy import LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.core import personal
from app.features import FEATURES, metadata

OF_A_CUSTOMER = [
    table
    for table in metadata.sorted_tables
    if table.name == "customer" or {"customer_id", "customer_ref"} & {*table.c.keys()}
]
TECHNICAL = {
    "dirty_customer",
    "erasure",
    "simulation_move",
    "purchase_import_row",
    "interaction_import_row",
    "feedback_import_row",
}
"""Work under way and tombstones: nothing of them is handed over."""
PLAIN = {
    "customer_transfer": "transferred_by",
    "class_change": "scheme from_class to_class cause actor correlation_id",
    "class_override": "scheme class_ status proposed_by decided_by ended_by",
    "customer": "kind region source language tags",
    "customer_class": "scheme class_ pending_class",
    "customer_consent": "channel purpose status recorded_by",
    "customer_identity": "kind",
    "customer_merge": "moved merged_by undone_by",
    "customer_merge_row": "place",
    "customer_metrics": "categories decided",
    "customer_note": "created_by updated_by",
    "erasure": "erased_by",
    "feedback": "kind measure channel topic choices reference question written_by",
    "feedback_import_row": "reference kind measure channel topic",
    "interaction": "reference kind direction outcome matter written_by",
    "interaction_version": "reference kind direction outcome matter written_by",
    "interaction_import_row": "reference kind direction outcome matter",
    "purchase": "order_ref kind currency",
    "purchase_line": "product_ref product_name category",
    "purchase_import_row": "order_ref currency kind product_ref product_name category",
    "segment_member": "scheme added_by",
    "survey_invitation": "channel created_by",
    "survey_response": "channel written_by",
    "simulation_move": "from_class to_class",
}
"""Columns of texts and documents that hold nothing personal, looked at one by one."""


@pytest.mark.parametrize("table", OF_A_CUSTOMER, ids=lambda table: table.name)
def test_a_column_that_could_hold_something_personal_says_so_or_is_known_not_to(table: Table) -> None:
    could = {column.key for column in table.columns if _could(column.type)}
    tagged = {column.key for column in personal.columns_of(table)}
    assert could - tagged == {*PLAIN.get(table.name, "").split()}, (
        'give the column info={"personal": ...}, or add it to PLAIN'
    )


def _could(kind: object) -> bool:
    return isinstance(kind.item_type if isinstance(kind, ARRAY) else kind, Text | JSONB | LargeBinary)


def test_whatever_belongs_to_a_customer_is_handed_over() -> None:
    handed_over = {table.name for feature in FEATURES for table in feature.customer_tables}
    assert handed_over == {table.name for table in OF_A_CUSTOMER} - TECHNICAL


@pytest.mark.parametrize("table", OF_A_CUSTOMER, ids=lambda table: table.name)
def test_what_is_erased_leaves_nothing_or_what_says_so(table: Table) -> None:
    for column in personal.columns_of(table):
        assert column.nullable or column.server_default is not None or isinstance(column.type, Text)
