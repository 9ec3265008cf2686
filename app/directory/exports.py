"""Customers of a class as a file, read block by block along the index of classes."""

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import Select, func, literal, select

from app.classification.models import customer_class, customer_metrics
from app.core import audit, csv
from app.core.bounds import money_text
from app.core.db import ReadSession, Record
from app.customers.document import READ_CONTACT, contact, visible_to
from app.customers.models import customer
from app.identity.actor import Actor

_k, _c, _m = customer_class.c, customer.c, customer_metrics.c
_TAGS = "; "
COLUMNS = (
    *("customer_id", "kind", "name", "title", "region", "source", "language", "phone", "email", "tags"),
    *("owner_id", "unit_id", "class", "since", "frequency", "monetary", "last_purchase_at"),
)
WRITTEN: dict[str, Any] = {
    "monetary": money_text,
    "since": lambda at: at.isoformat(),
    "last_purchase_at": lambda at: at.isoformat(),
}


async def file_of_class(
    session: ReadSession, actor: Actor, key: str, name: str, request_id: str | None
) -> AsyncIterator[str]:
    """The customers of a class whom the actor may see, as CSV by customer; that somebody took them is written down."""
    contact_scope = actor.scope(READ_CONTACT)
    what = {"class": name, "customers": actor.scope("customers:read"), "contact": contact_scope}
    await audit.record_reading(session, actor, "customers.exported", "scheme", key, what=what, request_id=request_id)
    members = _members(actor, key, name)

    async def after(row: Record | None, limit: int) -> list[Record]:
        rest = members if row is None else members.where(_k.customer_id > row["customer_id"])
        return await session.all(rest.order_by(_k.customer_id).limit(limit))

    return csv.file_of(COLUMNS, after, WRITTEN)


def _members(actor: Actor, key: str, name: str) -> Select[Any]:
    shown = contact(visible_to(actor, READ_CONTACT))
    return (
        select(
            _k.customer_id,
            *(_c[field] for field in ("kind", "name", "title", "region", "source", "language")),
            *(value.label(field) for field, value in shown.items()),
            func.array_to_string(_c.tags, literal(_TAGS)).label("tags"),
            *(_c.owner_id, _c.unit_id, _k.class_, _k.since),
            *(_m.frequency, _m.monetary, _m.last_purchase_at),
        )
        .select_from(
            customer_class.join(customer, _c.id == _k.customer_id).outerjoin(
                customer_metrics, _m.customer_id == _k.customer_id
            )
        )
        .where(_k.scheme == key, _k.class_ == name, visible_to(actor))
    )
