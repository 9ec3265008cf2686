"""Classes that a person sets: asked for, decided by a second person where the first may not, ended by time or by hand.

An override is in force while its period contains the business time; `movement` reads it there. Here it is written,
and the customer is decided again in the same transaction.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import (
    ColumnElement,
    DateTime,
    Select,
    String,
    and_,
    case,
    func,
    insert,
    literal,
    select,
    update,
)

from app.classification import schemes
from app.classification.engine import Scheme
from app.classification.failures import decide_again
from app.classification.models import class_override
from app.classification.queries import READ
from app.core import audit, clock
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.http.paging import Page
from app.core.jobs import JobContext
from app.customers.document import visible_to
from app.customers.models import customer
from app.customers.queries import held
from app.identity import permissions
from app.identity.actor import SYSTEM, Actor
from app.identity.scopes import scope_params

PROPOSE = permissions.declare("classes:propose_override")
OVERRIDE = permissions.declare("classes:override")
LONGEST = timedelta(days=3653)
CHUNK = 1000
# What people write about a customer is not copied into the audit.
PERSONAL = frozenset({"reason", "rejection"})

o = class_override.c


class OwnProposal(Forbidden):
    type = "own-proposal"
    title = "A second person decides upon a proposal, not the one who made it"


class ProposalWaits(Conflict):
    type = "proposal-waits"
    title = "Somebody else's proposal waits for a decision"


# ---- changes ---------------------------------------------------------------------------------------------------------


async def put(
    session: WriteSession,
    actor: Actor,
    customer_id: UUID,
    key: str,
    *,
    name: str,
    reason: str,
    expires_at: datetime | None,
) -> dict[str, Any]:
    """Set a customer's class: at once by who may override, as a proposal by who may only propose.

    Raises `Invalid` for a class that the scheme does not have and for an end that has passed or is more than ten years
    ahead, `ProposalWaits` for a proposal where somebody else's waits.
    """
    decides = await _hold(session, actor, customer_id, PROPOSE)
    each = await schemes.get(session, key)
    now = clock.business_now()
    _check(each, name, expires_at, now)
    await _make_way(session, actor, customer_id, key, now, decides=decides)
    who = session.principal
    values: dict[str, Any] = {"class_": name, "reason": reason, "expires_at": expires_at}
    values |= {"customer_id": customer_id, "scheme": key, "proposed_by": who, "proposed_at": now}
    if decides:
        values |= {"status": "active", "decided_by": who, "decided_at": now}
        values["period"] = func.tstzrange(_instant(now), _instant(expires_at))
    else:
        values["status"] = "proposed"
    row = await _written(session, insert(class_override).values(values).returning(*_shown(now)))
    _record(session, actor, "override.put" if decides else "override.proposed", row)
    if decides:
        await decide_again(session, [customer_id], as_of=now, cause="override")
    return dict(row)


async def approve(session: WriteSession, actor: Actor, customer_id: UUID, key: str) -> dict[str, Any]:
    """Put the waiting proposal in force. Raises `OwnProposal`, `Conflict` for a proposal that no longer makes sense."""
    waiting = await _to_decide(session, actor, customer_id, key)
    each = await schemes.get(session, key)
    now = clock.business_now()
    if waiting["expires_at"] is not None and waiting["expires_at"] <= now:
        raise Conflict("The proposal would have ended already; reject it")
    if waiting["class"] not in each.document.class_names:
        raise Conflict(f"{key} has no class {waiting['class']} any more; reject the proposal")
    await _end(session, actor, customer_id, key, now)
    statement = (
        update(class_override)
        .where(o.customer_id == customer_id, o.id == waiting["id"])
        .values(
            status="active",
            period=func.tstzrange(_instant(now), o.expires_at),
            decided_by=session.principal,
            decided_at=now,
        )
        .returning(*_shown(now))
    )
    row = await _written(session, statement)
    _record(session, actor, "override.approved", row)
    await decide_again(session, [customer_id], as_of=now, cause="override")
    return dict(row)


async def reject(session: WriteSession, actor: Actor, customer_id: UUID, key: str, *, reason: str) -> dict[str, Any]:
    """Do not follow the waiting proposal. Raises `OwnProposal`."""
    waiting = await _to_decide(session, actor, customer_id, key)
    now = clock.business_now()
    rejected = o.id == waiting["id"]
    row = await _reject(session, actor, customer_id, rejected, now, action="override.rejected", reason=reason)
    assert row is not None
    return dict(row)


async def remove(session: WriteSession, actor: Actor, customer_id: UUID, key: str) -> None:
    """End what is in force, which takes `classes:override`; or withdraw one's own waiting proposal."""
    decides = await _hold(session, actor, customer_id, PROPOSE)
    await schemes.get(session, key)
    now = clock.business_now()
    if decides and await _end(session, actor, customer_id, key, now):
        await decide_again(session, [customer_id], as_of=now, cause="override")
        return
    own = and_(o.scheme == key, o.proposed_by == session.principal)
    if await _reject(session, actor, customer_id, own, now, action="override.withdrawn"):
        return
    if not decides and await session.first(_of(customer_id, key, now, _is_in_force(now))):
        raise Forbidden(f"This needs the permission {OVERRIDE}")
    raise NotFound("No override of this customer and scheme is in force, and no proposal of yours waits")


async def end_all(session: WriteSession, key: str, actor: str) -> None:
    """A scheme is deleted: nothing of it is overridden any more, and no proposal waits."""
    now = clock.business_now()
    await session.execute(
        update(class_override)
        .where(o.scheme == key, o.status == "active")
        .values(status="ended", ended_by=actor, period=_until(now))
    )
    await session.execute(
        update(class_override)
        .where(o.scheme == key, o.status == "proposed")
        .values(status="rejected", decided_by=actor, decided_at=now)
    )


async def end_expired(context: JobContext) -> None:
    """The job: overrides whose time is over say so. Their customers come back by their reviews."""
    now = clock.business_now()
    while True:
        async with context.database.transaction(correlation_id=context.correlation_id) as session:
            over = (
                select(o.customer_id, o.id)
                .where(o.status == "active", func.upper(o.period) <= now)
                .order_by(o.customer_id, o.id)
                .limit(CHUNK)
                .with_for_update(skip_locked=True)
                .cte("over")
            )
            rows = await session.all(
                update(class_override)
                .where(o.customer_id == over.c.customer_id, o.id == over.c.id)
                .values(status="ended", ended_by=SYSTEM.kind)
                .returning(*_shown(now))
            )
            for row in rows:
                _record(session, SYSTEM, "override.expired", row)
        if len(rows) < CHUNK:
            return


async def _hold(session: WriteSession, actor: Actor, customer_id: UUID, permission: str) -> bool:
    """Hold the customer; whether the actor may override its classes. Raises `NotFound` out of the actor's reach."""
    reached = held(actor, permission).add_columns(visible_to(actor, OVERRIDE).label("decides"))
    row = await session.first(reached, {"customer_id": customer_id, **scope_params(actor)})
    if row is None:
        raise NotFound("There is no such customer among those whose classes you may set")
    return bool(row["decides"])


def _check(each: Scheme, name: str, expires_at: datetime | None, now: datetime) -> None:
    if name not in each.document.class_names:
        known = ", ".join(each.document.class_names)
        raise Invalid.at("/body/class", f"{each.key} has no class {name}; it has: {known}")
    if expires_at is not None and expires_at <= now:
        raise Invalid.at("/body/expires_at", "this instant has passed")
    if expires_at is not None and expires_at > now + LONGEST:
        raise Invalid.at("/body/expires_at", "this lies more than ten years ahead; null means until somebody ends it")


async def _make_way(
    session: WriteSession, actor: Actor, customer_id: UUID, key: str, now: datetime, *, decides: bool
) -> None:
    """Putting one ends the former one: whatever waits, and for who decides, what is in force."""
    waiting = await session.first(_of(customer_id, key, now, o.status == "proposed"))
    if waiting is not None:
        if not decides and waiting["proposed_by"] != session.principal:
            raise ProposalWaits("Have it approved or rejected first")
        await _reject(session, actor, customer_id, o.id == waiting["id"], now, action="override.replaced")
    if decides:
        await _end(session, actor, customer_id, key, now)


async def _end(session: WriteSession, actor: Actor, customer_id: UUID, key: str, now: datetime) -> bool:
    """End what counts as active; whether anything was still in force."""
    over = func.upper(o.period)
    rows = await session.all(
        update(class_override)
        .where(o.customer_id == customer_id, o.scheme == key, o.status == "active")
        .values(
            status="ended",
            ended_by=case((over <= now, SYSTEM.kind), else_=session.principal),
            period=_until(now),
        )
        .returning(*_shown(now))
    )
    for row in rows:
        expired = row["ended_by"] == SYSTEM.kind
        _record(session, SYSTEM if expired else actor, "override.expired" if expired else "override.ended", row)
    return any(row["ended_by"] != SYSTEM.kind for row in rows)


def _until(now: datetime) -> ColumnElement[Any]:
    """The period, cut off. Never before it began, wherever the clock was put since: then it was in force at no time."""
    begun, over = func.lower(o.period), func.upper(o.period)
    return func.tstzrange(begun, func.greatest(begun, func.least(over, _instant(now))))


async def _reject(
    session: WriteSession,
    actor: Actor,
    customer_id: UUID,
    which: ColumnElement[bool],
    now: datetime,
    *,
    action: str,
    reason: str | None = None,
) -> Record | None:
    row = await session.first(
        update(class_override)
        .where(o.customer_id == customer_id, o.status == "proposed", which)
        .values(status="rejected", decided_by=session.principal, decided_at=now, rejection=reason)
        .returning(*_shown(now))
    )
    if row is not None:
        _record(session, actor, action, row)
    return row


async def _to_decide(session: WriteSession, actor: Actor, customer_id: UUID, key: str) -> Record:
    await _hold(session, actor, customer_id, OVERRIDE)
    await schemes.get(session, key)
    waiting = await session.first(_of(customer_id, key, clock.business_now(), o.status == "proposed"))
    if waiting is None:
        raise NotFound("No proposal waits for this customer and scheme")
    if waiting["proposed_by"] == session.principal:
        raise OwnProposal("You made this proposal; have somebody else decide, or withdraw it")
    return waiting


async def _written(session: WriteSession, statement: Any) -> Record:
    try:
        row = await session.first(statement)
    except asyncpg.ExclusionViolationError as error:
        # Only where the business clock was put back: what is written lies before what stands.
        raise Conflict("Another override stands at a later time; the business clock was put back") from error
    assert row is not None
    return row


def _record(session: WriteSession, actor: Actor, action: str, row: Record) -> None:
    kept = ("customer_id", "scheme", "class", "reason", "status", "expires_at", "rejection")
    after = {name: row[name] for name in kept}
    audit.record(session, actor, action, "override", row["id"], after=after, personal=PERSONAL)


# ---- questions -------------------------------------------------------------------------------------------------------


def _instant(value: datetime | None) -> ColumnElement[datetime | None]:
    return literal(value, DateTime(timezone=True))


def _is_in_force(now: datetime) -> ColumnElement[bool]:
    return and_(o.status == "active", o.period.contains(_instant(now)))


def _status(now: datetime) -> ColumnElement[str]:
    """As it is now: what has expired counts as ended before the job has come to it."""
    return case((and_(o.status == "active", func.upper(o.period) <= now), literal("ended", String)), else_=o.status)


def _shown(now: datetime) -> list[ColumnElement[Any]]:
    hidden = ("period", "status")
    columns = [column for column in class_override.columns if column.name not in hidden]
    return [*columns, _status(now).label("status"), func.lower(o.period).label("since")]


def _of(customer_id: UUID, key: str, now: datetime, which: ColumnElement[bool]) -> Select[Any]:
    return select(*_shown(now)).where(o.customer_id == customer_id, o.scheme == key, which)


async def of_customer(session: ReadSession, customer_id: UUID, key: str) -> dict[str, Any]:
    """What is in force and what waits."""
    now = clock.business_now()
    in_force = await session.first(_of(customer_id, key, now, _is_in_force(now)))
    proposed = await session.first(_of(customer_id, key, now, o.status == "proposed"))
    return {"in_force": in_force and dict(in_force), "proposed": proposed and dict(proposed)}


async def page_of_overrides(
    session: ReadSession, actor: Actor, page: Page, *, status: str | None, scheme: str | None, without_expiry: bool
) -> dict[str, Any]:
    """Overrides of the customers whose classes the actor may read, the latest first."""
    now = clock.business_now()
    statement = select(*_shown(now)).join(customer, customer.c.id == o.customer_id).where(visible_to(actor, READ))
    if status is not None:
        statement = statement.where(_status(now) == status)
    if scheme is not None:
        statement = statement.where(o.scheme == scheme)
    if without_expiry:
        statement = statement.where(o.expires_at.is_(None))
    return await page.latest_first(session, statement, scope=[status, scheme, without_expiry])
