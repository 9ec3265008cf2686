"""SELECTs over merges: what was merged, and who stands for a customer who was."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from app.core.db import ReadSession
from app.core.errors import NotFound
from app.core.http.paging import Page
from app.customers.document import visible_to
from app.customers.models import customer, customer_merge
from app.identity.actor import Actor

PERMISSION = "customers:merge"
_m = customer_merge.c
_shown = select(
    *(_m.id, _m.customer_id, _m.survivor_id, _m.merged_id, _m.moved),
    *(_m.merged_by, _m.merged_at, _m.undone_by, _m.undone_at),
)


def standing_merge_of(merged_id: UUID) -> Select[Any]:
    """Who stands for a customer who was merged: the survivor, or whoever that one was merged into since."""
    return select(_m.customer_id).where(_m.merged_id == merged_id, _m.undone_at.is_(None))


async def stands_for(session: ReadSession, customer_id: UUID) -> UUID:
    """The customer's id, or that of whoever it was merged into."""
    survivor: UUID | None = await session.scalar(standing_merge_of(customer_id))
    return survivor or customer_id


def _visible(actor: Actor) -> Select[Any]:
    """Merges into customers whom the actor may merge."""
    return _shown.join(customer, customer.c.id == _m.customer_id).where(visible_to(actor, PERMISSION))


async def read(session: ReadSession, actor: Actor, merge_id: UUID) -> dict[str, Any]:
    """One merge. Raises `NotFound`."""
    row = await session.first(_visible(actor).where(_m.id == merge_id))
    if row is None:
        raise NotFound("There is no such merge among the customers you may merge")
    return dict(row)


async def page(session: ReadSession, actor: Actor, page: Page) -> dict[str, Any]:
    """Merges, the latest first."""
    return await page.latest_first(session, _visible(actor))


async def successor(session: ReadSession, actor: Actor, customer_id: UUID) -> UUID | None:
    """Who stands for this customer, if that one was merged and the actor may see the survivor."""
    found = standing_merge_of(customer_id).join(customer, customer.c.id == _m.customer_id).where(visible_to(actor))
    survivor: UUID | None = await session.scalar(found)
    return survivor
