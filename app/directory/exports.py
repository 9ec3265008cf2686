"""Customers as a file, read block by block: the members of a class at once, whatever is found by a job."""

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import ColumnElement, Select, cast, select
from sqlalchemy.dialects.postgresql import JSONB

from app.classification.models import customer_class, customer_metrics
from app.classification.queries import classes_of_customer
from app.core import audit, csv
from app.core.bounds import money_text
from app.core.db import ReadSession, Record
from app.customers.document import READ_CONTACT, contact, visible_to
from app.customers.models import customer
from app.directory.queries import measured
from app.identity.actor import Actor

_k, _c, _m = customer_class.c, customer.c, customer_metrics.c
_BETWEEN = "; "
_RECORD = ("customer_id", "kind", "name", "title", "region", "source", "language", "phone", "email", "tags")
_PLACE, _FIGURES = ("owner_id", "unit_id"), ("frequency", "monetary", "last_purchase_at")
COLUMNS = (*_RECORD, *_PLACE, "class", "since", *_FIGURES)
"""Of the members of a class."""
FOUND = (*_RECORD, *_PLACE, "classes", *_FIGURES)
"""Of customers found otherwise."""
WRITTEN: dict[str, Any] = {
    "monetary": money_text,
    "since": lambda at: at.isoformat(),
    "last_purchase_at": lambda at: at.isoformat(),
    "tags": _BETWEEN.join,
    "classes": lambda classes: _BETWEEN.join(f"{scheme}:{name}" for scheme, name in classes.items()),
}


async def file_of_class(
    session: ReadSession, actor: Actor, key: str, name: str, request_id: str | None
) -> AsyncIterator[str]:
    """The customers of a class whom the actor may see, as CSV by customer; that somebody took them is written down."""
    contact_scope = actor.scope(READ_CONTACT)
    what = {"class": name, "customers": actor.scope("customers:read"), "contact": contact_scope}
    await audit.record_reading(session, actor, "customers.exported", "scheme", key, what=what, request_id=request_id)
    members = members_of(actor, key, name)

    async def after(row: Record | None, limit: int) -> list[Record]:
        rest = members if row is None else members.where(_k.customer_id > row["customer_id"])
        return await session.all(rest.order_by(_k.customer_id).limit(limit))

    return csv.file_of(COLUMNS, after, WRITTEN)


def members_of(actor: Actor, key: str, name: str) -> Select[Any]:
    """The customers of a class whom the actor may see, with `COLUMNS`; the first walks an index."""
    return (
        select(_k.customer_id, *_record(actor), *(_k.class_, _k.since), *_figures())
        .select_from(
            customer_class.join(customer, _c.id == _k.customer_id).outerjoin(
                customer_metrics, _m.customer_id == _k.customer_id
            )
        )
        .where(_k.scheme == key, _k.class_ == name, visible_to(actor))
    )


def found_by(actor: Actor, *conditions: ColumnElement[bool]) -> Select[Any]:
    """The customers for whom this holds, among those whom the actor may see, with `FOUND`."""
    return (
        select(
            _c.id.label("customer_id"), *_record(actor), cast(classes_of_customer, JSONB).label("classes"), *_figures()
        )
        .select_from(measured)
        .where(visible_to(actor), *conditions)
    )


def _record(actor: Actor) -> list[ColumnElement[Any]]:
    """The record's columns, contact data masked where the actor may not read it."""
    shown = contact(visible_to(actor, READ_CONTACT))
    return [
        *(_c[field] for field in ("kind", "name", "title", "region", "source", "language")),
        *(value.label(field) for field, value in shown.items()),
        *(_c.tags, _c.owner_id, _c.unit_id),
    ]


def _figures() -> list[ColumnElement[Any]]:
    return [_m.frequency, _m.monetary, _m.last_purchase_at]
