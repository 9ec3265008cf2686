"""Simulations: asked for, read, cancelled, and forgotten after a month."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update

from app.classification.models import scheme, scheme_version, simulation, simulation_count, simulation_move
from app.classification.queries import expected_end
from app.classification.simulate import LIVING
from app.core import audit, clock
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, Invalid, NotFound
from app.core.http.paging import Page
from app.core.jobs import JobContext, enqueue
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
    simulation_id: UUID = await session.scalar(
        insert(simulation)
        .values(
            scheme=key,
            version=version,
            against=against,
            documents={str(number): document for number, document in documents.items()},
            as_of=as_of or now,
            refit=refit,
            requested_by=session.principal,
        )
        .returning(simulation.c.id)
    )
    await enqueue(session, "simulations.run", {"simulation_id": str(simulation_id)})
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
    """Stop before the next chunk; what it found so far is dropped. Raises `Conflict` when it has ended."""
    s = simulation.c
    stopped = await session.scalar(
        update(simulation)
        .where(s.id == simulation_id, s.status.in_(LIVING))
        .values(status="cancelled", finished_at=func.now())
        .returning(s.id)
    )
    if stopped is None:
        if await session.scalar(select(s.id).where(s.id == simulation_id)) is None:
            raise NotFound("There is no such simulation")
        raise Conflict("This simulation has ended")
    audit.record(session, actor, "simulation.cancelled", "simulation", simulation_id)


async def one(session: ReadSession, actor: Actor, simulation_id: UUID, permission: str = READ) -> dict[str, Any]:
    """A simulation, its progress and, to whom the permission shows everybody, its outcome. Raises `NotFound`."""
    row = await session.first(select(simulation).where(simulation.c.id == simulation_id))
    if row is None:
        raise NotFound("There is no such simulation")
    shown = _with_progress(row)
    return shown if actor.scope(permission) is Scope.ALL else {**shown, "outcome": None}


async def page_of(session: ReadSession, page: Page, key: str | None) -> dict[str, Any]:
    """A page of simulations, the latest first."""
    s = simulation.c
    statement = select(*_shown).order_by(s.id.desc()).limit(page.limit + 1)
    if key is not None:
        statement = statement.where(s.scheme == key)
    if (after := page.after(key)) is not None:
        statement = statement.where(s.id < UUID(after[0]))
    rows = await session.all(statement)
    shown = rows[: page.limit]
    last = [shown[-1]["id"]] if shown else []
    return {"items": [_with_progress(row) for row in shown], "next_cursor": page.next_cursor(rows, last, key)}


def _with_progress(row: Record) -> dict[str, Any]:
    processed = row["total"] if row["status"] == "completed" else row["processed"]
    return {**row, "processed": processed, "eta": expected_end(row, processed, row["total"] or 0)}


async def forget_old(context: JobContext) -> None:
    """Delete simulations after a month, each in a transaction of its own; of cancelled ones, what they had found."""
    s = simulation.c
    old = s.created_at < clock.now() - KEPT
    rows = await context.database.reading().all(select(s.id).where(s.status.notin_(LIVING), old))
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
