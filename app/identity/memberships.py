"""Further units of a person, each from one day to another; what one sees follows the memberships of today.

A user's `unit_id` is the home unit: a membership without dates. A day is one of the business time zone, by real time.
"""

from datetime import date
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg import Range
from sqlalchemy import delete, func, insert, update

from app.core import audit, clock, invalidation
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.http.etag import check_version
from app.core.http.paging import Page
from app.identity import queries, rules, users
from app.identity.actor import Actor, permissions_from, widest
from app.identity.dated import MembershipIn, MembershipPatch
from app.identity.errors import Escalation, MembershipOverlaps
from app.identity.models import unit_membership


async def page_of(session: ReadSession, actor: Actor, user_id: UUID, page: Page) -> dict[str, Any]:
    """A user's memberships, past and to come, the latest made first; `NotFound` for a user out of sight."""
    await users.read(session, actor, user_id)
    return await page.latest_first(session, queries.memberships_of(user_id))


async def read(session: ReadSession, actor: Actor, user_id: UUID, membership_id: UUID) -> Record:
    """One membership; `NotFound` for a user out of sight."""
    await users.read(session, actor, user_id)
    return await _row(session, user_id, membership_id)


async def create(session: WriteSession, actor: Actor, user_id: UUID, body: MembershipIn) -> Record:
    """Put the user into one more unit for some days.

    Raises `Escalation` when the user's roles reach further there than the actor's, and `MembershipOverlaps`.
    """
    await _check_may_put(session, actor, user_id, body.unit_id)
    starts_on = body.starts_on or today()
    during = _range(starts_on, body.ends_on)
    inserting = insert(unit_membership).values(user_id=user_id, unit_id=body.unit_id, during=during)
    try:
        membership_id = await session.scalar(inserting.returning(unit_membership.c.id))
    except asyncpg.ExclusionViolationError as error:
        raise MembershipOverlaps from error
    except asyncpg.ForeignKeyViolationError as error:
        raise Invalid.at("/body/unit_id", "There is no such unit") from error
    after = {"unit_id": body.unit_id, "starts_on": starts_on, "ends_on": body.ends_on}
    audit.record(session, actor, "user.unit_joined", "user", user_id, after=after)
    await invalidation.announce(session, "identity")
    return await _row(session, user_id, membership_id)


async def change(
    session: WriteSession,
    actor: Actor,
    user_id: UUID,
    membership_id: UUID,
    body: MembershipPatch,
    *,
    expected: int | None,
) -> Record:
    """Move the last day. Raises as `create` does: a longer membership is given anew."""
    await users.locked(session, actor, user_id, None)
    before = await _row(session, user_id, membership_id)
    await _check_may_put(session, actor, user_id, before["unit_id"])
    check_version(before["version"], expected)
    was, becomes = audit.changed(before, body.model_dump(exclude_unset=True))
    if not becomes:
        return before
    changing = update(unit_membership).where(unit_membership.c.id == membership_id)
    versioned = {"version": unit_membership.c.version + 1, "updated_at": func.now()}
    try:
        await session.execute(changing.values(during=_range(before["starts_on"], body.ends_on), **versioned))
    except asyncpg.ExclusionViolationError as error:
        raise MembershipOverlaps from error
    audit.record(session, actor, "user.unit_changed", "user", user_id, before=was, after=becomes)
    await invalidation.announce(session, "identity")
    return await _row(session, user_id, membership_id)


async def remove(
    session: WriteSession, actor: Actor, user_id: UUID, membership_id: UUID, *, expected: int | None
) -> None:
    """Take the membership back as if it had not been; the audit keeps it."""
    await users.locked(session, actor, user_id, None)
    before = await _row(session, user_id, membership_id)
    check_version(before["version"], expected)
    await session.execute(delete(unit_membership).where(unit_membership.c.id == membership_id))
    gone = {name: before[name] for name in ("unit_id", "starts_on", "ends_on")}
    audit.record(session, actor, "user.unit_left", "user", user_id, before=gone)
    await invalidation.announce(session, "identity")


def today() -> date:
    """The day by which memberships hold."""
    return clock.business_day(clock.now())


async def _row(session: ReadSession, user_id: UUID, membership_id: UUID) -> Record:
    row = await session.first(queries.memberships_of(user_id).where(unit_membership.c.id == membership_id))
    if row is None:
        raise NotFound
    return row


async def _check_may_put(session: WriteSession, actor: Actor, user_id: UUID, unit_id: UUID) -> None:
    """Hold the user. Raises unless the actor may say that this one is in the unit."""
    await users.locked(session, actor, user_id, None)
    users.check_not_oneself(actor, user_id)
    if not rules.reaches_unit(actor, "users:write", unit_id):
        raise Forbidden("Your users:write does not reach this unit")
    grants = await session.all(queries.grants_of(user_id))
    held = widest(permissions_from(grant["permissions"]) for grant in grants)
    if too_much := rules.beyond(actor, held, unit_id=unit_id):
        raise Escalation.by(too_much)


def _range(starts_on: date, ends_on: date | None) -> Range:
    if ends_on is not None and ends_on < starts_on:
        raise Invalid.at("/body/ends_on", "The last day lies before the first")
    return Range(starts_on, ends_on, upper_inc=ends_on is not None)
