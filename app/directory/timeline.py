"""What happened with a customer, whichever package knows of it, the latest first."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    collate,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy import Uuid as UuidType

from app.core.db import Prepared, ReadSession
from app.core.errors import Invalid
from app.core.http.paging import Page
from app.customers.document import check_visible, visible_to
from app.customers.models import customer
from app.customers.timeline import TimelinePart
from app.identity.actor import SYSTEM, Actor, Scope
from app.identity.scopes import scope_params

_READ = "customers:read"
_parts: dict[str, TimelinePart] = {}


def add(parts: Mapping[str, TimelinePart]) -> None:
    """Kinds of entries, by name."""
    _parts.update(parts)
    _statement.cache_clear()


async def page_of_timeline(
    session: ReadSession, actor: Actor, customer_id: UUID, page: Page, *, kinds: Sequence[str]
) -> str:
    """A page of the entries of these kinds, or of all, as JSON text. What the actor may not read is not on it.

    Raises `NotFound` out of the actor's reach, `Invalid` for a kind that no package has.
    """
    unknown = sorted(set(kinds) - set(_parts))
    if unknown:
        raise Invalid.at("/query/kind", f"there is no kind {unknown[0]}; there are: {', '.join(sorted(_parts))}")
    asked = sorted(set(kinds) or set(_parts))
    after = page.after(asked)
    readable = tuple(kind for kind in asked if actor.may(_parts[kind].permission))
    rows = []
    if readable:
        scopes = tuple((name, actor.scope(name)) for name in sorted({_READ, *(_parts[k].permission for k in readable)}))
        params = {"customer_id": customer_id, "limit": page.limit + 1, **scope_params(actor), **_position(after)}
        rows = await session.all(_statement(readable, scopes, follows=after is not None), params)
    if not rows:
        await check_visible(session, actor, customer_id)
    on_it = rows[: page.limit]
    last = [on_it[-1][name] for name in ("at", "kind", "id")] if on_it else []
    cursor = page.next_cursor(rows, last, asked)
    items = ",".join(row["entry"] for row in on_it)
    return f'{{"items":[{items}],"next_cursor":{json.dumps(cursor)}}}'


def _position(after: Sequence[Any] | None) -> dict[str, Any]:
    if after is None:
        return {}
    return {"after_at": datetime.fromisoformat(after[0]), "after_kind": after[1], "after_id": after[2]}


@lru_cache(maxsize=256)
def _statement(kinds: tuple[str, ...], scopes: tuple[tuple[str, Scope | None], ...], *, follows: bool) -> Prepared:
    """The statement for all actors of these scopes: run it with `scope_params(actor)`."""
    reader = replace(SYSTEM, permissions={name: scope for name, scope in scopes if scope is not None})
    limit = bindparam("limit", type_=Integer)
    every = union_all(*(_entries(reader, kind, follows=follows).limit(limit) for kind in kinds)).subquery("every").c
    fields = ("kind", "id", "at", "details")
    entry = func.json_build_object(*(part for name in fields for part in (literal(name, Text), every[name])))
    return Prepared(
        select(cast(entry, Text).label("entry"), every.at, every.kind, every.id)
        .order_by(every.at.desc(), every.kind.desc(), every.id.desc())
        .limit(limit)
    )


def _entries(reader: Actor, kind: str, *, follows: bool) -> Select[Any]:
    """One kind's entries: each part of the union reads a page from its own index and no more."""
    part = _parts[kind]
    e = part.entries.subquery().c
    # Byte by byte, so that the order is the same in every database and in the cursor.
    name, entry_id = collate(literal(kind, Text), "C"), collate(e.id, "C")
    return (
        select(name.label("kind"), entry_id.label("id"), e.at, e.details)
        .join(customer, customer.c.id == e.customer_id)
        .where(
            e.customer_id == bindparam("customer_id", type_=UuidType),
            visible_to(reader, _READ),
            visible_to(reader, part.permission),
            *([_after(e.at, name, entry_id)] if follows else []),
        )
        .order_by(e.at.desc(), entry_id.desc())
    )


def _after(at: ColumnElement[Any], name: ColumnElement[Any], entry_id: ColumnElement[Any]) -> ColumnElement[bool]:
    instant = bindparam("after_at", type_=DateTime(timezone=True))
    last_kind, last_id = bindparam("after_kind", type_=Text), bindparam("after_id", type_=Text)
    # The first condition says nothing new: by it the index is entered where the page begins.
    return and_(at <= instant, or_(at < instant, name < last_kind, and_(name == last_kind, entry_id < last_id)))
