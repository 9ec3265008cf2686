"""A mapping is checked before anything is read."""

from typing import Any

import pytest

from app.core.errors import Invalid
from app.imports.kinds import ImportColumn, Options
from app.imports.plan import Plan, Skip, map_columns, rows_to_skip

COLUMNS = [
    ImportColumn("ref", required=True),
    ImportColumn("amount", required=True, product=True),
    ImportColumn("note"),
]
HEADER = ["ref", "Quantity", "UnitPrice", "Quantity * UnitPrice", "note", "twice", "twice"]


@pytest.mark.parametrize(
    ("header", "mapping", "positions"),
    [
        (["amount", "ref"], None, {"ref": [1], "amount": [0]}),
        (["amount", "ref", "note"], None, {"ref": [1], "amount": [0], "note": [2]}),
        (["amount", "ref", "note"], {"note": None}, {"ref": [1], "amount": [0]}),
        (HEADER[:3], {"amount": "Quantity * UnitPrice"}, {"ref": [0], "amount": [1, 2]}),
        (HEADER[:3], {"amount": " Quantity×UnitPrice "}, {"ref": [0], "amount": [1, 2]}),
        (HEADER[:3], {"amount": "UnitPrice*UnitPrice"}, {"ref": [0], "amount": [2, 2]}),
        (HEADER, {"amount": "Quantity * UnitPrice"}, {"ref": [0], "amount": [3], "note": [4]}),
        (["a", "b"], {"ref": "b", "amount": "a"}, {"ref": [1], "amount": [0]}),
        (["ref", "amount"], {"ref": "amount"}, {"ref": [1], "amount": [1]}),
    ],
)
def test_columns_are_found(header: list[str], mapping: dict[str, str] | None, positions: dict[str, list[int]]) -> None:
    assert map_columns(COLUMNS, header, mapping) == positions


@pytest.mark.parametrize(
    ("mapping", "pointer", "says"),
    [
        ({"amount": "Total"}, "/body/mapping/amount", "no column 'Total'"),
        ({"amount": "Quantity * Price"}, "/body/mapping/amount", "no column 'Price'"),
        ({"amount": "Quantity *"}, "/body/mapping/amount", "no column ''"),
        ({"amount": "note*note*note*note*note"}, "/body/mapping/amount", "4 factors"),
        ({"amount": "twice"}, "/body/mapping/amount", "several columns"),
        ({}, "/body/mapping/amount", "Say which column"),
        ({"amount": None}, "/body/mapping/amount", "Say which column"),
        ({"amount": 3}, "/body/mapping/amount", "Give the name"),
        ({"amount": ""}, "/body/mapping/amount", "Give the name"),
        ({"amount": "x" * 1000}, "/body/mapping/amount", "Give the name"),
        ({"amount": "note", "colour": "note"}, "/body/mapping/colour", "no column 'colour'"),
        ({"amount": "note", "a/b~c": "note"}, "/body/mapping/a~1b~0c", "no column"),
        ({"ref": "Quantity * UnitPrice * note", "amount": "note"}, "/body/mapping/ref", "no column"),
        (["amount"], "/body/mapping", "JSON object"),
        ({f"c{n}": "note" for n in range(51)}, "/body/mapping", "50 entries"),
    ],
)
def test_a_mapping_that_names_nothing_is_refused(mapping: Any, pointer: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        map_columns(COLUMNS, HEADER, mapping)
    assert pointer in [error.pointer for error in caught.value.errors]
    assert any(says in error.message for error in caught.value.errors)


def test_every_wrong_entry_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        map_columns(COLUMNS, HEADER, {"ref": "nowhere", "amount": "nothing", "colour": "note"})
    assert {error.pointer.rsplit("/", 1)[1] for error in caught.value.errors} == {"ref", "amount", "colour"}


def test_rows_are_left_out_by_value_and_by_prefix() -> None:
    assert rows_to_skip(["a", "b"], {"b": ["C*", "test"], "a": "x"}) == [
        Skip(1, ("test",), ("C",)),
        Skip(0, ("x",), ()),
    ]
    assert rows_to_skip(["a"], None) == []


@pytest.mark.parametrize(
    ("skip_when", "pointer"),
    [
        ({"c": "x"}, "/body/skip_when/c"),
        ({"a": 3}, "/body/skip_when/a"),
        ({"a": ["x", None]}, "/body/skip_when/a"),
        ({"a": ["x"] * 101}, "/body/skip_when/a"),
        ("a", "/body/skip_when"),
    ],
)
def test_a_condition_on_nothing_is_refused(skip_when: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        rows_to_skip(["a", "b"], skip_when)
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_a_plan_survives_its_json() -> None:
    plan = Plan("csv", ";", True, ["a"], {"ref": [0]}, [Skip(0, ("x",), ("C",))], Options(True, "EUR", None))
    assert Plan.from_json(plan.as_json()) == plan
