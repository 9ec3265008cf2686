"""SELECTs over the customer record."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Select, any_, bindparam, func, literal, select
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.db import ReadSession, WriteSession
from app.customers.document import visible_to
from app.customers.models import customer, customer_contact, customer_merge
from app.identity.actor import Actor

DELETION_LOCK = 0x57A7C


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


def merged_into(customer_id: UUID) -> Select[Any]:
    """The ids of those for whom this customer stands."""
    m = customer_merge.c
    return select(m.merged_id).where(m.customer_id == customer_id, m.undone_at.is_(None))


def held(actor: Actor, permission: str) -> Select[Any]:
    """The customer `:customer_id`, its row held until the transaction ends; no row out of the permission's reach."""
    return (
        select(customer.c.id)
        .where(customer.c.id == bindparam("customer_id", type_=UuidType), visible_to(actor, permission))
        .with_for_update(key_share=True)
    )


async def keep_all(session: WriteSession) -> None:
    """No customer is deleted until this transaction ends: for statements that write about many of them.

    An advisory lock, shared by all who keep and exclusive for who deletes; locking their rows would write each.
    """
    await session.all(select(func.pg_advisory_xact_lock_shared(DELETION_LOCK)))


async def before_deletion(session: WriteSession) -> None:
    """Wait for those who write about many customers."""
    await session.all(select(func.pg_advisory_xact_lock(DELETION_LOCK)))


async def hold(session: WriteSession, customer_ids: Sequence[UUID]) -> set[UUID]:
    """Hold these customers' rows until the transaction ends, in key order, so that nobody waits in a circle.

    Those that are held: whoever was merged or deleted while this waited is not among them.
    """
    rows = await session.all(
        select(customer.c.id)
        .where(customer.c.id == any_(literal(list(customer_ids), ARRAY(UuidType))))
        .order_by(customer.c.id)
        .with_for_update(key_share=True)
    )
    return {row["id"] for row in rows}


async def hold_reached(session: WriteSession, actor: Actor, permission: str, customer_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these customers whom the permission reaches; held until the transaction ends, in key order."""
    rows = await session.all(
        select(customer.c.id)
        .where(customer.c.id == any_(literal(list(customer_ids), ARRAY(UuidType))), visible_to(actor, permission))
        .order_by(customer.c.id)
        .with_for_update(key_share=True)
    )
    return {row["id"] for row in rows}


def contact_of(customer_id: UUID) -> Select[Any]:
    """At which companies the person is a contact, as what, and since when."""
    c = customer_contact.c
    return select(c.id, c.customer_id, c.role, c.since, c.until, c.is_primary).where(c.person_id == customer_id)
