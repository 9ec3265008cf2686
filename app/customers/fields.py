"""Fields of the record that a predicate may name; contact data is not among them."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause

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


def field(name: str, record: FromClause = customer, pointer: str = "") -> ColumnElement[Any]:
    """The column behind a field. Raises `Invalid` for one that is not listed."""
    if name not in FIELDS:
        raise Invalid.at(pointer, f"there is no field {name} to compare; there are: {', '.join(FIELDS)}")
    return record.c[name]


def has_tag(tag: str, record: FromClause = customer) -> ColumnElement[bool]:
    """Whether the record carries the tag."""
    condition: ColumnElement[bool] = record.c.tags.contains([tag])
    return condition
