"""Consents: what customers agreed to, per channel and purpose. History is added to; the latest of each stands."""

from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import distinct_on

from app.core import audit, clock
from app.core.db import ReadSession, WriteSession
from app.core.errors import NotFound
from app.core.events import publish
from app.core.http.paging import Page
from app.customers.document import check_visible
from app.customers.events import ConsentGiven, ConsentWithdrawn
from app.customers.models import customer_consent
from app.customers.queries import held
from app.customers.schemas import ConsentIn
from app.identity.actor import Actor
from app.identity.scopes import scope_params

READ = "consents:read"
WRITE = "consents:write"
_PERSONAL = frozenset({"source"})
_EVENTS: dict[str, type[ConsentGiven] | type[ConsentWithdrawn]] = {
    "given": ConsentGiven,
    "withdrawn": ConsentWithdrawn,
}
_c = customer_consent.c


async def record(session: WriteSession, actor: Actor, customer_id: UUID, body: ConsentIn) -> dict[str, Any]:
    """Write down what the customer said; what was said later than that goes on standing. Raises `NotFound`."""
    if await session.first(held(actor, WRITE), {"customer_id": customer_id, **scope_params(actor)}) is None:
        raise NotFound("There is no such customer among those you may change")
    said = {**body.model_dump(), "at": body.at or clock.business_now()}
    row = await session.first(
        insert(customer_consent)
        .values(customer_id=customer_id, recorded_by=session.principal, **said)
        .returning(customer_consent)
    )
    assert row is not None
    event = _EVENTS[body.status](customer_id, body.channel, body.purpose, said["at"])
    audit.record(session, actor, event.name, "customer", customer_id, after=said, personal=_PERSONAL)
    await publish(session, event)
    return dict(row)


async def standing(session: ReadSession, actor: Actor, customer_id: UUID) -> dict[str, Any]:
    """The latest of each channel and purpose. Raises `NotFound`."""
    await check_visible(session, actor, customer_id, READ)
    rows = await session.all(
        select(customer_consent)
        .ext(distinct_on(_c.channel, _c.purpose))
        .where(_c.customer_id == customer_id)
        .order_by(_c.channel, _c.purpose, _c.at.desc(), _c.id.desc())
    )
    return {"items": [dict(row) for row in rows], "next_cursor": None}


async def history(session: ReadSession, actor: Actor, customer_id: UUID, page: Page) -> dict[str, Any]:
    """Whatever was written down, the latest entry first. Raises `NotFound`."""
    await check_visible(session, actor, customer_id, READ)
    return await page.latest_first(session, select(customer_consent).where(_c.customer_id == customer_id))
