"""How long each kind of data is kept: periods that a company sets, counted beforehand, applied every night."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core import audit, clock
from app.core.db import ReadSession, WriteSession
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.http.etag import check_version
from app.core.jobs import Interrupted, JobContext
from app.core.retention import Retained
from app.governance.models import retention_period
from app.identity.actor import SYSTEM, Actor, Scope

READ = "retention:read"
WRITE = "retention:write"
CHUNK = 5_000
_kinds: dict[str, Retained] = {}
_p = retention_period.c


def add(kinds: Sequence[Retained]) -> None:
    """Let these be forgotten, too."""
    _kinds.update({each.kind: each for each in kinds})


async def every(session: ReadSession, actor: Actor) -> list[dict[str, Any]]:
    """Every kind with its period, and how many rows are older. Raises `Forbidden`."""
    _check(actor, READ)
    return [await _shown(session, kind) for kind in _kinds.values()]


async def one(session: ReadSession, actor: Actor, key: str, *, days: int | None = None) -> dict[str, Any]:
    """One kind; with `days`, how many rows would be older if that were its period. Raises `NotFound`, `Forbidden`."""
    _check(actor, READ)
    return await _shown(session, _kind(key), days=days)


async def keep(
    session: WriteSession, actor: Actor, key: str, days: int | None, *, expected: int | None
) -> dict[str, Any]:
    """Set the period in days; None keeps for ever. Raises `Invalid` below what others rely on."""
    _check(actor, WRITE)
    kind = _kind(key)
    if days is not None and days < kind.at_least:
        raise Invalid.at("/body/days", f"{kind.title} are kept for {kind.at_least} days at least: others rely on them")
    before = await _shown(session, kind)
    check_version(before["version"], expected)
    values = {"days": days, "version": before["version"] + 1, "updated_at": func.now()}
    await session.execute(
        upsert(retention_period).values(kind=key, **values).on_conflict_do_update(index_elements=["kind"], set_=values)
    )
    was, becomes = {"days": before["days"]}, {"days": days}
    audit.record(session, actor, "retention.changed", "retention", key, before=was, after=becomes)
    return await _shown(session, kind)


async def apply(context: JobContext) -> None:
    """The job: forget whatever has had its time, in chunks; the trail says how much went."""
    for kind in _kinds.values():
        gone = 0
        while done := await _chunk(context, kind, gone):
            gone += done
            if context.stopping.is_set():
                raise Interrupted


async def _chunk(context: JobContext, kind: Retained, gone: int) -> int:
    async with context.database.transaction() as session:
        days, _ = await _period(session, kind)
        if days is None:
            return 0
        done = await kind.forget(session, _before(days), CHUNK)
        if done:
            after = {"days": days, "rows": done, "rows_before": gone}
            audit.record(session, SYSTEM, "retention.applied", "retention", kind.kind, after=after)
        return done


async def _shown(session: ReadSession, kind: Retained, *, days: int | None = None) -> dict[str, Any]:
    kept, version = await _period(session, kind)
    asked = kept if days is None else days
    due = 0 if asked is None else await kind.due(session, _before(asked))
    return {
        "kind": kind.kind,
        "title": kind.title,
        "days": kept,
        "at_least": kind.at_least,
        "due": due,
        "version": version,
    }


async def _period(session: ReadSession, kind: Retained) -> tuple[int | None, int]:
    row = await session.first(select(_p.days, _p.version).where(_p.kind == kind.kind))
    return (kind.days, 0) if row is None else (row["days"], row["version"])


def _before(days: int) -> datetime:
    return clock.now() - timedelta(days=days)


def _kind(key: str) -> Retained:
    if key not in _kinds:
        raise NotFound(f"There is no kind {key} that is kept for a time; there are: {', '.join(_kinds)}")
    return _kinds[key]


def _check(actor: Actor, permission: str) -> None:
    if actor.scope(permission) is not Scope.ALL:
        raise Forbidden(f"How long data is kept is the whole company's: it needs {permission} with the scope all")
