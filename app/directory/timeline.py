"""What happened with a customer, whichever package knows of it, the latest first."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Select, Text, and_, collate, literal, or_, select, union_all

from app.core.db import ReadSession
from app.core.errors import Invalid
from app.core.http.paging import Page
from app.customers.document import check_visible, visible_to
from app.customers.models import customer
from app.customers.timeline import TimelinePart
from app.identity.actor import Actor

_parts: dict[str, TimelinePart] = {}


def add(parts: Mapping[str, TimelinePart]) -> None:
    """Kinds of entries, by name."""
    _parts.update(parts)


async def page_of_timeline(
    session: ReadSession, actor: Actor, customer_id: UUID, page: Page, *, kinds: Sequence[str]
) -> dict[str, Any]:
    """A page of the entries of these kinds, or of all. What the actor may not read is not on it.

    Raises `NotFound` out of the actor's reach, `Invalid` for a kind that no package has.
    """
    unknown = sorted(set(kinds) - set(_parts))
    if unknown:
        raise Invalid.at("/query/kind", f"there is no kind {unknown[0]}; there are: {', '.join(sorted(_parts))}")
    await check_visible(session, actor, customer_id)
    asked = sorted(set(kinds) or set(_parts))
    after = page.after(asked)
    parts = [
        _entries(actor, kind, customer_id, after).limit(page.limit + 1)
        for kind in asked
        if actor.may(_parts[kind].permission)
    ]
    if not parts:
        return {"items": [], "next_cursor": None}
    every = union_all(*parts).subquery("every")
    latest = select(every).order_by(every.c.at.desc(), every.c.kind.desc(), every.c.id.desc())
    rows = await session.all(latest.limit(page.limit + 1))
    on_it = rows[: page.limit]
    last = [on_it[-1][name] for name in ("at", "kind", "id")] if on_it else []
    return {"items": [dict(row) for row in on_it], "next_cursor": page.next_cursor(rows, last, asked)}


def _entries(actor: Actor, kind: str, customer_id: UUID, after: Sequence[Any] | None) -> Select[Any]:
    """One kind's entries after a position: each part of the union reads a page from its own index and no more."""
    part = _parts[kind]
    e = part.entries.subquery().c
    # Byte by byte, so that the order is the same in every database and in the cursor.
    entry_id = collate(e.id, "C")
    return (
        select(collate(literal(kind, Text), "C").label("kind"), entry_id.label("id"), e.at, e.details)
        .join(customer, customer.c.id == e.customer_id)
        .where(e.customer_id == customer_id, visible_to(actor, part.permission), *_after(kind, e.at, entry_id, after))
        .order_by(e.at.desc(), entry_id.desc())
    )


def _after(
    kind: str, at: ColumnElement[Any], entry_id: ColumnElement[Any], after: Sequence[Any] | None
) -> list[ColumnElement[bool]]:
    if after is None:
        return []
    instant, last_kind, last_id = literal(datetime.fromisoformat(after[0]), DateTime(timezone=True)), after[1], after[2]
    if kind > last_kind:
        return [at < instant]
    if kind < last_kind:
        return [at <= instant]
    return [at <= instant, or_(at < instant, and_(at == instant, entry_id < last_id))]
