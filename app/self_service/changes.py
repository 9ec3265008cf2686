"""Another e-mail address or phone number: it waits until a code that was sent there comes back.

The code is computed and not kept. Where the service sends e-mail, it sends those of e-mail addresses itself. Who sends
the others hears `customer.change_requested` and asks for them, so that they are in no event, job or log.
"""

import hashlib
import hmac
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update

from app.core import audit, clock
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Invalid, NotFound, Problem
from app.core.events import publish
from app.customers import service as customers
from app.customers.document import check_visible
from app.customers.models import customer, customer_identity
from app.customers.schemas import IdentityIn
from app.identity.actor import Actor
from app.identity.tokens import derived_key
from app.mail import post
from app.self_service import oneself
from app.self_service.events import ProfileChangeRequested
from app.self_service.models import profile_change
from app.self_service.oneself import Oneself

DELIVER = "profile_changes:deliver"
LASTS = timedelta(minutes=30)
TRIES = 5
CODE = "profile_change_code"
"""The letter with the code."""
DIGITS = 8
_p = profile_change.c
_i = customer_identity.c


class WrongCode(Invalid):
    type = "wrong-code"
    title = "This is not the code that was sent"
    keeps_changes = True  # that it was tried


class NoSuchChange(Problem):
    status = 410
    type = "change-expired"
    title = "No change waits for this code: it was made, expired, or was tried too often; ask for it again"


async def request(session: WriteSession, me: Oneself, field: str, value: str) -> None:
    """Have the value wait, in the place of one that waited before, until it is confirmed. The customer is held."""
    await session.execute(delete(profile_change).where(_p.customer_id == me.customer_id, _p.field == field))
    expires_at = clock.now().replace(microsecond=0) + LASTS
    values = {"customer_id": me.customer_id, "field": field, "value": value, "expires_at": expires_at}
    change_id = await session.scalar(insert(profile_change).values(values).returning(profile_change.c.id))
    after = {"field": field, "expires_at": expires_at}
    audit.record(session, me.account, ProfileChangeRequested.name, "customer", me.customer_id, after=after)
    await publish(session, ProfileChangeRequested(me.customer_id, change_id, field, expires_at))
    if field == "email" and post.is_on():
        await post.queue(session, CODE, customer_id=me.customer_id, change_id=change_id)


async def waiting(session: ReadSession, customer_id: UUID) -> list[dict[str, Any]]:
    """What waits for its code."""
    rows = await session.all(
        select(_p.field, _p.value, _p.expires_at).where(_p.customer_id == customer_id, _open()).order_by(_p.field)
    )
    return [dict(row) for row in rows]


async def confirm(session: WriteSession, actor: Actor, field: str, code: str, *, secret: str) -> UUID:
    """Make the change for which this is the code; gives the customer's id.

    Raises `NoCustomer`, `WrongCode`, `NoSuchChange`, and `IdentityTaken` for what identifies another customer.
    """
    me = await oneself.find(session, actor)
    own = me.may(customers.WRITE)
    before = await customers.locked(session, own, me.customer_id, customers.WRITE)
    this = (_p.customer_id == me.customer_id, _p.field == field)
    tried = update(profile_change).where(*this, _open()).values(tries=_p.tries + 1)
    change = await session.first(tried.returning(profile_change))
    if change is None:
        raise NoSuchChange
    if not hmac.compare_digest(code_of(secret, change), code):
        raise WrongCode.at("/body/code", f"{WrongCode.title}; {TRIES - change['tries']} tries are left")
    await session.execute(delete(profile_change).where(*this))
    await _replace_identity(session, own, before, field, change["value"])
    fresh = await session.first(select(customer).where(customer.c.id == me.customer_id))
    assert fresh is not None
    await customers.apply(session, own, fresh, {field: change["value"]})
    audit.record(session, actor, "customer.change_confirmed", "customer", me.customer_id, after={"field": field})
    return me.customer_id


async def to_deliver(
    session: ReadSession, actor: Actor, customer_id: UUID, change_id: UUID, *, secret: str, request_id: str | None
) -> dict[str, Any]:
    """The code, and where to send it, for whoever sends messages. That it was read is audited. Raises `NotFound`."""
    await check_visible(session, actor, customer_id, DELIVER)
    found = await open_change(session, customer_id, change_id, secret=secret)
    if found is None:
        raise NotFound("No such change waits for a code")
    what = {"field": found["field"], "change_id": change_id}
    await audit.record_reading(
        session, actor, "customer.change_code_read", "customer", customer_id, what=what, request_id=request_id
    )
    return found


async def open_change(
    session: ReadSession, customer_id: UUID, change_id: UUID, *, secret: str
) -> dict[str, Any] | None:
    """The change that waits, with its `code` and the customer's `language`; None when it waits no more."""
    row = await session.first(
        select(profile_change, customer.c.language)
        .join(customer, customer.c.id == _p.customer_id)
        .where(_p.customer_id == customer_id, _p.id == change_id, _open())
    )
    return None if row is None else {**row, "code": code_of(secret, row)}


async def forget(session: WriteSession, customer_id: UUID) -> None:
    """Nothing waits any more of a customer who is gone."""
    await session.execute(delete(profile_change).where(_p.customer_id == customer_id))


def code_of(secret: str, change: Record) -> str:
    """The digits that confirm this change and no other; a new request has new ones."""
    about = change["id"].bytes + f"{change['field']}\0{change['value']}".encode()
    digest = hmac.new(derived_key(secret, "profile change"), about, hashlib.sha256).digest()
    return f"{int.from_bytes(digest[:8]) % 10**DIGITS:0{DIGITS}}"


async def _replace_identity(session: WriteSession, own: Actor, before: Record, field: str, value: str) -> None:
    """Where the old value identifies the customer, the new one does from now on."""
    old = before[field]
    if old is None:
        return
    spelled = func.lower(_i.value) == old.lower()
    known = await session.first(select(_i.value).where(_i.customer_id == before["id"], _i.kind == field, spelled))
    if known is not None:
        await customers.remove_identity(session, own, before["id"], field, known["value"])
        await customers.add_identity(session, own, before["id"], IdentityIn(kind=field, value=value))


def _open() -> Any:
    return (_p.expires_at > clock.now()) & (_p.tries < TRIES)
