"""Standing in for somebody who is absent: for some days, with her rights, and under one's own name.

The delegate says with each request for whom it is made (`X-On-Behalf-Of`), so the audit knows, too. What outlasts the
days is not delegated: users, roles, units, API keys, memberships, webhooks, and delegating on.
"""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg import Range
from sqlalchemy import delete, insert, select

from app.core import audit, clock, invalidation
from app.core.db import Database, ReadSession, Record, WriteSession
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.http.paging import Page
from app.identity import queries, users
from app.identity.actor import EVERYTHING, Actor, Scope, permissions_from, widest
from app.identity.dated import DelegationIn
from app.identity.errors import DelegationOverlaps, NotDelegated
from app.identity.models import delegation, user_account
from app.identity.permissions import known_permissions

LONGEST = timedelta(days=366)
KEPT_BACK = frozenset(
    {"users:write", "roles:write", "units:write", "api_keys:write", "delegations:write", "webhooks:write"}
)
"""With these a delegate could go on when the days are over; a webhook goes on telling its address what happens."""


async def stand_in(database: Database, actor: Actor, absent_id: UUID, until: datetime) -> tuple[Actor, datetime]:
    """The actor with the rights of the absent user, and until when that may be remembered.

    What the absent user holds as somebody's delegate is not among them. Raises `NotDelegated`.
    """
    day = clock.business_day(clock.now())
    if actor.kind != "user" or actor.id is None:
        raise NotDelegated
    row = await database.reading().first(queries.absent_user(absent_id, actor.id, day))
    if row is None:
        raise NotDelegated
    held = widest(permissions_from(grant) for grant in row["grants"])
    if EVERYTHING in held:
        held = dict.fromkeys(known_permissions(), Scope.ALL)
    standing_in = Actor(
        kind=actor.kind,
        id=actor.id,
        name=actor.name,
        permissions={name: scope for name, scope in held.items() if name not in KEPT_BACK},
        unit_ids=queries.unit_ids_of(row),
        subtree_ids=tuple(row["subtree_ids"]),
        session_id=actor.session_id,
        roles=tuple(row["roles"]),
        on_behalf_of=absent_id,
    )
    return standing_in, min(until, clock.start_of_day(day + timedelta(days=1)))


async def page_of(session: ReadSession, actor: Actor, page: Page) -> dict[str, Any]:
    """The delegations of those whom the actor's permission reaches, and those to the actor; the latest made first."""
    return await page.latest_first(session, queries.delegations_within(actor, "delegations:read"))


async def read(session: ReadSession, actor: Actor, delegation_id: UUID, permission: str = "delegations:read") -> Record:
    """One delegation; `NotFound` for one out of reach."""
    reached = queries.delegations_within(actor, permission)
    row = await session.first(reached.where(delegation.c.id == delegation_id))
    if row is None:
        raise NotFound
    return row


async def create(session: WriteSession, actor: Actor, body: DelegationIn) -> Record:
    """Let somebody stand in for the actor, or for a user whom the actor's permission reaches.

    Raises `Escalation` for a user with rights beyond the actor's, and `DelegationOverlaps`.
    """
    absent_id = body.absent_id or (actor.id if actor.kind == "user" else None)
    if absent_id is None:
        raise Invalid.at("/body/absent_id", "An API key is never absent: say who is")
    await _check_may_delegate(session, actor, absent_id)
    if body.delegate_id == absent_id:
        raise Invalid.at("/body/delegate_id", "Nobody stands in for oneself")
    active = select(user_account.c.id).where(
        user_account.c.id == body.delegate_id, user_account.c.active, ~user_account.c.for_customer
    )
    if await session.first(active.with_for_update(key_share=True, read=True)) is None:
        raise Invalid.at("/body/delegate_id", "There is no such active user")
    during = _range(body)
    values = {"absent_id": absent_id, "delegate_id": body.delegate_id, "during": during}
    try:
        made = insert(delegation).values(**values, created_by=actor.id).returning(delegation.c.id)
        delegation_id = await session.scalar(made)
    except asyncpg.ExclusionViolationError as error:
        raise DelegationOverlaps from error
    after = {
        "absent_id": absent_id,
        "delegate_id": body.delegate_id,
        "starts_on": during.lower,
        "ends_on": body.ends_on,
    }
    audit.record(session, actor, "delegation.created", "delegation", delegation_id, after=after)
    await invalidation.announce(session, "identity")
    row = await session.first(queries.every_delegation().where(delegation.c.id == delegation_id))
    assert row is not None
    return row


async def remove(session: WriteSession, actor: Actor, delegation_id: UUID) -> None:
    """The delegate, who may hand it back, too, stops seeing what the absent one sees; the audit keeps what was."""
    before = await read(session, actor, delegation_id, "delegations:write")
    await session.execute(delete(delegation).where(delegation.c.id == delegation_id))
    gone = {name: before[name] for name in ("absent_id", "delegate_id", "starts_on", "ends_on")}
    audit.record(session, actor, "delegation.ended", "delegation", delegation_id, before=gone)
    await invalidation.announce(session, "identity")


async def _check_may_delegate(session: WriteSession, actor: Actor, absent_id: UUID) -> None:
    user = await _reached(session, actor, absent_id)
    if absent_id != actor.id:
        await users.check_beyond(session, actor, user)


async def _reached(session: WriteSession, actor: Actor, absent_id: UUID) -> Record:
    reached = queries.users_within(actor, "delegations:write").where(user_account.c.id == absent_id)
    user = await session.first(reached.with_for_update(of=user_account))
    if user is None:
        raise Forbidden("Your delegations:write does not reach the one who is absent")
    return user


def _range(body: DelegationIn) -> Range:
    today = clock.business_day(clock.now())
    starts_on: date = body.starts_on or today
    if starts_on < today:
        raise Invalid.at("/body/starts_on", "Nobody can have stood in already; begin today or later")
    if not starts_on <= body.ends_on <= starts_on + LONGEST:
        raise Invalid.at("/body/ends_on", f"The last day lies at most {LONGEST.days} days after the first")
    return Range(starts_on, body.ends_on + timedelta(days=1))
