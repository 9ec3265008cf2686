"""Simulations: asked for, read, cancelled, and forgotten after a month."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from app.classification.models import scheme, scheme_version, simulation, simulation_count, simulation_move
from app.core import audit, clock, work
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Invalid, NotFound
from app.core.http.paging import Page
from app.core.jobs import JobContext
from app.identity.actor import Actor, Scope

READ = "simulations:read"
WRITE = "simulations:write"
KEPT = timedelta(days=30)

_shown = [column for column in simulation.columns if column.name not in ("documents", "outcome", "breakpoints")]


async def request(
    session: WriteSession,
    actor: Actor,
    key: str,
    version: int,
    *,
    against: int | None,
    as_of: datetime | None,
    refit: bool,
) -> UUID:
    """Ask for a simulation. Raises `NotFound` for the version, `Invalid` for what it is to be compared with."""
    now = clock.business_now()
    if as_of is not None and as_of > now:
        raise Invalid.at("/body/as_of", "this instant lies in the future")
    documents = await _documents(session, key, [version] if against is None else [version, against])
    if version not in documents:
        raise NotFound("There is no such version of a scheme")
    if against is not None and (against == version or against not in documents):
        raise Invalid.at("/body/against", f"{key} has no other version {against}")
    simulation_id = await work.queue(
        session,
        simulation,
        "simulations.run",
        scheme=key,
        version=version,
        against=against,
        documents={str(number): document for number, document in documents.items()},
        as_of=as_of or now,
        refit=refit,
    )
    after = {"scheme": key, "version": version, "against": against, "as_of": as_of, "refit": refit}
    audit.record(session, actor, "simulation.requested", "simulation", simulation_id, after=after)
    return simulation_id


async def _documents(session: WriteSession, key: str, versions: list[int]) -> dict[int, Any]:
    v = scheme_version.c
    rows = await session.all(
        select(v.version, v.document)
        .join(scheme, scheme.c.key == v.scheme)
        .where(v.scheme == key, v.version.in_(versions), scheme.c.retired_at.is_(None))
    )
    return {row["version"]: row["document"] for row in rows}


async def cancel(session: WriteSession, actor: Actor, simulation_id: UUID) -> None:
    """Stop before the next chunk; what it found is dropped. Raises `NotFound`, and `Conflict` when it has ended."""
    await work.cancel(session, actor, simulation, simulation_id)


async def one(session: ReadSession, actor: Actor, simulation_id: UUID, permission: str = READ) -> dict[str, Any]:
    """A simulation, its progress and, to whom the permission shows everybody, its outcome. Raises `NotFound`."""
    shown = _with_progress(await work.read(session, simulation, simulation_id))
    return shown if actor.scope(permission) is Scope.ALL else {**shown, "outcome": None}


async def page_of(session: ReadSession, page: Page, key: str | None) -> dict[str, Any]:
    """A page of simulations, the latest first."""
    statement = select(*_shown)
    if key is not None:
        statement = statement.where(simulation.c.scheme == key)
    return await page.latest_first(session, statement, _with_progress, scope=key)


def _with_progress(row: Record) -> dict[str, Any]:
    return work.progress(row, row["processed"], row["total"])


async def forget_old(context: JobContext) -> None:
    """Delete simulations after a month, each in a transaction of its own; of cancelled ones, what they had found."""
    s = simulation.c
    old = s.created_at < clock.now() - KEPT
    rows = await context.database.reading().all(select(s.id).where(~work.under_way(simulation), old))
    for row in rows:
        async with context.database.transaction() as session:
            await _forget_moves(session, row["id"])
            await session.execute(delete(simulation).where(s.id == row["id"]))
    unfinished = s.status.in_(["cancelled", "failed"])
    for row in await context.database.reading().all(select(s.id).where(unfinished)):
        async with context.database.transaction() as session:
            await _forget_moves(session, row["id"])


async def _forget_moves(session: WriteSession, simulation_id: UUID) -> None:
    await session.execute(delete(simulation_move).where(simulation_move.c.simulation_id == simulation_id))
    await session.execute(delete(simulation_count).where(simulation_count.c.simulation_id == simulation_id))
