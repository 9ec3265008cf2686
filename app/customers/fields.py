"""Fields of the record that a predicate may name; contact data is not among them."""

import re
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Text, literal_column, type_coerce

from app.core.comparisons import Spelled
from app.core.errors import Invalid
from app.customers.models import customer

FIELDS = (
    "id",
    "kind",
    "name",
    "title",
    "company_id",
    "region",
    "source",
    "language",
    "owner_id",
    "unit_id",
    "created_at",
    "updated_at",
)


CUSTOM = "custom."
"""Begins the name of a custom field, which its key ends."""
OF_CUSTOM = re.compile(r"custom\.[a-z][a-z0-9_]{0,62}")


def field(name: str, record: FromClause = customer, pointer: str = "") -> ColumnElement[Any]:
    """The column behind a field, or what the record holds of a custom one. Raises `Invalid` for one there is not."""
    if OF_CUSTOM.fullmatch(name):
        # Written out, not a parameter: an index holds the same expression.
        key: ColumnElement[str] = literal_column(f"'{name.removeprefix(CUSTOM)}'", Text)
        return type_coerce(record.c.custom.op("->>", return_type=Text())(key), Spelled())
    if name not in FIELDS:
        known = ", ".join([*FIELDS, f"{CUSTOM}<key>"])
        raise Invalid.at(pointer, f"there is no field {name} to compare; there are: {known}")
    return record.c[name]


def has_tag(tag: str, record: FromClause = customer) -> ColumnElement[bool]:
    """Whether the record carries the tag."""
    condition: ColumnElement[bool] = record.c.tags.contains([tag])
    return condition
