"""SELECTs over the customer record."""

from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Select, bindparam, func, select
from sqlalchemy import Uuid as UuidType

from app.core.db import Prepared, ReadSession, WriteSession
from app.core.errors import NotFound
from app.customers.document import visible_to
from app.customers.models import customer
from app.identity.actor import Actor, Scope
from app.identity.scopes import scope_params


def customer_ids_between(after: BindParameter[Any], up_to: BindParameter[Any]) -> Select[Any]:
    """Ids of the customers with `after` < id <= `up_to`."""
    return select(customer.c.id).where(customer.c.id > after, customer.c.id <= up_to)


async def customer_count(session: ReadSession) -> int:
    """How many customers there are."""
    return int(await session.scalar(select(func.count()).select_from(customer)))


async def nth_customer_after(session: ReadSession, after: UUID, n: int) -> UUID | None:
    """The last id of a chunk of `n` customers after this one; None when none are left."""
    ids = select(customer.c.id).where(customer.c.id > after).order_by(customer.c.id).limit(n).subquery()
    rows = await session.all(select(ids.c.id).order_by(ids.c.id.desc()).limit(1))
    return rows[0]["id"] if rows else None


_locks: dict[Scope | None, Prepared] = {}


async def lock_visible(session: WriteSession, actor: Actor, customer_id: UUID, permission: str) -> None:
    """Hold the customer's row until the transaction ends; `NotFound` when the permission does not reach it."""
    scope = actor.scope(permission)
    prepared = _locks.get(scope)
    if prepared is None:
        prepared = _locks[scope] = Prepared(
            select(customer.c.id)
            .where(customer.c.id == bindparam("customer_id", type_=UuidType), visible_to(actor, permission))
            .with_for_update(key_share=True)
        )
    if await session.first(prepared, {"customer_id": customer_id, **scope_params(actor)}) is None:
        raise NotFound("There is no such customer among those you may see")
