"""Putting in force: breakpoints, and with them a version, for everybody at once, when no request is evaluating."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import any_, func, insert, select, update

from app.classification import schemes
from app.classification.definitions import BaseDocument, Document
from app.classification.definitions.references import check_against
from app.classification.engine import Scheme, exclude_evaluation
from app.classification.events import SchemePublished
from app.classification.fitting import Fit
from app.classification.models import breakpoints, recalculation, scheme, scheme_version
from app.core import audit, work
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, NotFound
from app.core.events import publish
from app.core.invalidation import announce
from app.identity.actor import Actor

DEFINITIONS_LOCK = 0x57A70


async def one_editor_at_a_time(session: WriteSession) -> None:
    """Definitions refer to each other: until this transaction ends, nobody else changes one."""
    await session.all(select(func.pg_advisory_xact_lock(DEFINITIONS_LOCK)))


async def check_fits(session: ReadSession, key: str, document: BaseDocument, *, pointer: str = "") -> None:
    """Raises `Invalid` when the document does not fit those in force: unknown classes, a cycle, a class that is asked
    for and would be missing."""
    check_against({**await schemes.documents(session), key: document}, key, pointer)


async def put_breakpoints_in_force(
    session: WriteSession, fits: Sequence[Fit], *, as_of: datetime, recalculation_id: UUID
) -> None:
    """Record new breakpoints of the versions in force and judge by them from now on. Raises `Cancelled`."""
    await _pass_the_switch(session, recalculation_id)
    for each in fits:
        fitted_id = await _recorded(session, each, as_of=as_of, recalculation_id=recalculation_id)
        # A version that was put in force meanwhile keeps its own.
        is_same = (scheme.c.key == each.scheme.key) & (scheme.c.version == each.scheme.version)
        await session.execute(update(scheme).where(is_same).values(breakpoints_id=fitted_id))


async def put_version_in_force(
    session: WriteSession, each: Scheme, fit: Fit | None, *, as_of: datetime, recalculation_id: UUID
) -> None:
    """From now on this version decides, by these breakpoints or by the newest that it has.

    Raises `Cancelled`, and `Conflict` when the scheme was deleted or what the version reads is no longer there.
    """
    await one_editor_at_a_time(session)
    run = await _pass_the_switch(session, recalculation_id)
    await check_fits(session, each.key, each.document)
    if fit is None:
        fitted_id = await newest_breakpoints(session, each.key, each.version)
    else:
        fitted_id = await _recorded(session, fit, as_of=as_of, recalculation_id=recalculation_id)
    await switch(session, each.key, each.version, breakpoints_id=fitted_id, by=run["requested_by"])


async def switch(session: WriteSession, key: str, version: int, *, breakpoints_id: UUID | None, by: str) -> None:
    """Retire the version in force and put this one in its place; the caller excludes evaluation. Raises `Conflict`."""
    before = await session.first(
        select(scheme.c.version, scheme.c.retired_at).where(scheme.c.key == key).with_for_update()
    )
    if before is None or before["retired_at"] is not None:
        raise Conflict(f"{key} was deleted")
    v = scheme_version.c
    await session.execute(
        update(scheme_version)
        .where(v.scheme == key, v.status == "published", v.version != version)
        .values(status="retired", retired_at=func.now())
    )
    note = await session.scalar(
        update(scheme_version)
        .where(v.scheme == key, v.version == version)
        .values(status="published", published_by=by, published_at=func.now(), retired_at=None)
        .returning(v.note)
    )
    await session.execute(
        update(scheme)
        .where(scheme.c.key == key)
        .values(
            version=version,
            breakpoints_id=breakpoints_id,
            error=None,
            stale_since=None,
            updated_at=func.clock_timestamp(),
        )
    )
    replaces = before["version"] or None
    audit.record(
        session,
        requester(by),
        "scheme.published",
        "scheme",
        key,
        before={"version": replaces},
        after={"version": version, "breakpoints_id": breakpoints_id},
    )
    await publish(session, SchemePublished(key, replaces, version, {"cause": "publish", "note": note}))
    await announce(session, schemes.TOPIC)


async def _pass_the_switch(session: WriteSession, recalculation_id: UUID) -> Record:
    """Whatever this transaction puts in force is in force once: a successor goes on with the classes."""
    run = await work.keep(session, recalculation, recalculation_id, phase="classes", position=None)
    await exclude_evaluation(session)
    return run


async def _recorded(session: WriteSession, fit: Fit, *, as_of: datetime, recalculation_id: UUID) -> UUID:
    fitted_id: UUID = await session.scalar(
        insert(breakpoints)
        .values(
            scheme=fit.scheme.key,
            version=fit.scheme.version,
            as_of=as_of,
            population=fit.population,
            values=fit.values,
            recalculation_id=recalculation_id,
            previous_id=fit.previous_id,
            moved=fit.moved,
        )
        .returning(breakpoints.c.id)
    )
    return fitted_id


async def newest_breakpoints(session: ReadSession, key: str, version: int) -> UUID | None:
    """The latest breakpoints that this version had; None when it never had any."""
    b = breakpoints.c
    found: UUID | None = await session.scalar(
        select(b.id).where(b.scheme == key, b.version == version).order_by(b.fitted_at.desc(), b.id.desc()).limit(1)
    )
    return found


async def newest_values(session: ReadSession, each: Scheme) -> Any:
    """The values of the latest breakpoints of a version: none are needed for some documents, None when some are."""
    if not each.document.breakpoint_paths:
        return {}
    found = await newest_breakpoints(session, each.key, each.version)
    return await session.scalar(select(breakpoints.c["values"]).where(breakpoints.c.id == found))


async def error_of(session: ReadSession, key: str) -> str:
    """Why a scheme cannot be evaluated."""
    return str(await session.scalar(select(scheme.c.error).where(scheme.c.key == key)))


async def replaced_by(session: ReadSession, key: str, version: int) -> int | None:
    """The version that was in force until this one was put in its place, in one moment."""
    v, before = scheme_version.c, scheme_version.alias("before")
    same = (before.c.scheme == v.scheme) & (before.c.status == "retired") & (before.c.retired_at == v.published_at)
    found: int | None = await session.scalar(
        select(before.c.version).join_from(scheme_version, before, same).where(v.scheme == key, v.version == version)
    )
    return found


async def replaced_at(session: ReadSession, key: str, version: int) -> datetime | None:
    """The business instant from which on another version than this retired one gave classes; None when unknown."""
    r, v = recalculation.c, scheme_version.c
    found: datetime | None = await session.scalar(
        select(r.as_of)
        .join_from(scheme_version, recalculation, v.scheme == any_(r.schemes))
        .where(v.scheme == key, v.version == version, r.publishes.is_not(None))
        # Recalculations come one at a time: this one was running when the version was retired.
        .where(v.retired_at >= r.started_at, v.retired_at <= func.coalesce(r.finished_at, func.now()))
        .order_by(r.id.desc())
        .limit(1)
    )
    return found


async def is_first(session: ReadSession, key: str, version: int) -> bool:
    """Whether no other version of the scheme was ever in force."""
    v = scheme_version.c
    others = select(v.version).where(v.scheme == key, v.version != version, v.status != "draft").limit(1)
    return await session.scalar(others) is None


async def to_publish(session: ReadSession, key: str, version: int) -> Scheme:
    """A version as it will be in force. Raises `NotFound`, and `SchemeFailing` when its document is none any more."""
    row = await session.first(
        select(scheme_version.c.document, scheme.c.title)
        .join(scheme, scheme.c.key == scheme_version.c.scheme)
        .where(scheme_version.c.scheme == key, scheme_version.c.version == version)
    )
    if row is None:
        raise NotFound(f"{key} has no version {version}")
    document: Document | str = schemes.read_document(row["document"])
    if isinstance(document, str):
        raise schemes.SchemeFailing(document)
    return Scheme(key, version, row["title"], document)


def requester(principal: str) -> Actor:
    """Who asked for work that is carried out later, from the name that was kept."""
    kind, _, actor_id = principal.partition(":")
    try:
        return Actor(kind, UUID(actor_id), principal)
    except ValueError:
        return Actor(kind, None, principal)
