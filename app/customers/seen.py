"""Whether somebody sees few customers or many: it decides how a question is put, never what is answered.

A statement is planned without knowing how far the units of an actor reach. Whoever sees fifty customers of a million
would wait while everybody's latest facts are gone through, and whoever sees them all, for a list of them.
"""

import time
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    any_,
    bindparam,
    column,
    func,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.db import Database, Prepared, ReadSession
from app.customers.models import customer
from app.identity.actor import Actor, Scope
from app.identity.scopes import scope_params

FEW = 500
KNOWN_FOR = 60.0
"""Seconds. Who came to see many meanwhile waits a little longer, and is answered as truly."""
_MOST_KNOWN = 10_000

_known: WeakKeyDictionary[Database, dict[tuple[Any, ...], tuple[float, bool]]] = WeakKeyDictionary()
_counts: dict[Scope, Prepared] = {}


async def looked_up_first(
    session: ReadSession, actor: Actor, permission: str, customer_id: ColumnElement[Any]
) -> list[ColumnElement[bool]]:
    """Beside `visible_to`, for who sees few: these customers are looked up, and the rest by their ids; else nothing."""
    return [looked_up(actor, permission, customer_id)] if await sees_few(session, actor, permission) else []


def looked_up(actor: Actor, permission: str, customer_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """That it is one of the customers in an actor's reach, each part of which is found by its index."""
    scope = actor.scope(permission)
    assert scope is not None
    ids = func.array(_ids(actor, scope, None).scalar_subquery(), type_=ARRAY(UuidType))
    return customer_id == any_(ids)


async def sees_few(session: ReadSession, actor: Actor, permission: str) -> bool:
    """Whether the permission reaches a few hundred customers at most, as of a minute ago or less."""
    scope = actor.scope(permission)
    if scope is None or scope is Scope.ALL:
        return False
    params = scope_params(actor)
    known = _known.setdefault(session.database, {})
    key = (scope, actor.owner_id, tuple(params.get(f"actor_{scope}_ids", ())))
    until, few = known.get(key, (0.0, False))
    if time.monotonic() < until:
        return few
    if scope not in _counts:
        some = _ids(actor, scope, FEW + 1).limit(FEW + 1).subquery()
        _counts[scope] = Prepared(select(func.count()).select_from(some))
    few = int(await session.scalar(_counts[scope], params)) <= FEW
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known[key] = (time.monotonic() + KNOWN_FOR, few)
    return few


def _ids(actor: Actor, scope: Scope, most: int | None) -> Select[Any] | CompoundSelect[Any]:
    """Each part by its index, whatever the planner believes of the number of units and of customers in them."""
    mine, theirs = customer.alias("mine"), customer.alias("theirs")
    owned = select(mine.c.id).where(mine.c.owner_id == bindparam("actor_id", actor.owner_id, UuidType)).limit(most)
    if scope is Scope.OWN:
        return owned
    name = f"actor_{scope}_ids"
    given = bindparam(name, scope_params(actor)[name], ARRAY(UuidType))
    unit = func.unnest(given).table_valued(column("id", UuidType), name="unit").render_derived()
    of_unit = select(theirs.c.id).where(theirs.c.unit_id == unit.c.id).limit(most).offset(literal_column("0")).lateral()
    return union_all(owned, select(of_unit.c.id).select_from(unit).join(of_unit, true()))
