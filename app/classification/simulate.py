"""Running a simulation as background work: in chunks, with progress, cancellable, resumable.

First what the population decides for the documents, kept in the simulation's row; then everybody in chunks, each
chunk one transaction. A killed worker's successor takes back what lies beyond the last checkpoint and goes on there.
"""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update

from app.classification import fitting, outcomes, refresh
from app.classification.comparing import Comparison
from app.classification.engine import Scheme
from app.classification.models import breakpoints, simulation, simulation_count, simulation_move
from app.classification.schemes import document_adapter
from app.core import clock
from app.core.db import Record, WriteSession
from app.core.errors import Problem
from app.core.jobs import Hopeless, Interrupted, JobContext, alone
from app.core.settings import get_settings
from app.customers.queries import customer_count, keep_all, nth_customer_after

CHUNK = 10_000
ONE_AT_A_TIME = 0x57A7D
LIVING = ("queued", "running")


class _Cancelled(Exception):
    pass


async def run_simulation(context: JobContext) -> None:
    """The job: one simulation at a time in the whole installation."""
    simulation_id = UUID(context.payload["simulation_id"])
    async with alone(context, ONE_AT_A_TIME):
        run = await _begin(context, simulation_id)
        if run is None:
            return
        try:
            await _Run(context, run).finish()
        except _Cancelled:
            return
        except Problem as problem:
            raise Hopeless(problem.detail or problem.title) from problem


async def _begin(context: JobContext, simulation_id: UUID) -> Record | None:
    """Take the simulation up where its checkpoint is; None when it has ended."""
    s = simulation.c
    async with context.database.transaction() as session:
        run = await session.first(
            update(simulation)
            .where(s.id == simulation_id, s.status.in_(LIVING))
            .values(
                status="running",
                started_at=func.coalesce(s.started_at, func.now()),
                total=await customer_count(session),
            )
            .returning(*simulation.columns)
        )
        if run is not None:
            await _take_back(session, simulation_id, run["position"] or refresh.NOBODY)
    return run


async def _take_back(session: WriteSession, simulation_id: UUID, position: UUID) -> None:
    """Undo the chunks that lie beyond the checkpoint: they will be done again."""
    counted, moved = simulation_count.c, simulation_move.c
    await session.execute(
        delete(simulation_count).where(counted.simulation_id == simulation_id, counted.position >= position)
    )
    await session.execute(
        delete(simulation_move).where(moved.simulation_id == simulation_id, moved.customer_id > position)
    )


async def simulation_died(session: WriteSession, payload: dict[str, Any], reason: str) -> None:
    """The job is dead: so is the simulation, and it says why."""
    s = simulation.c
    await session.execute(
        update(simulation)
        .where(s.id == UUID(payload["simulation_id"]), s.status.in_(LIVING))
        .values(status="failed", error=reason, finished_at=func.now())
    )


class _Run:
    """One simulation on its way through the customers."""

    def __init__(self, context: JobContext, run: Record) -> None:
        self.database = context.database
        self.stopping = context.stopping
        self.id: UUID = run["id"]
        self.as_of: datetime = run["as_of"]
        self.refit: bool = run["refit"]
        self.fitted: dict[str, Any] | None = run["breakpoints"]
        self.position: UUID = run["position"] or refresh.NOBODY
        self.lanes = get_settings().recalculation_lanes
        self.version = _scheme(run, run["version"])
        self.against = None if run["against"] is None else _scheme(run, run["against"])

    async def finish(self) -> None:
        """Whatever is left of it."""
        if self.fitted is None:
            self.fitted = await self._fit()
        statement = Comparison(self.version, self.against).statement()
        params = self._params(self.fitted)
        while chunks := await self._next_chunks():
            async with asyncio.TaskGroup() as lanes:
                tasks = [lanes.create_task(self._compare(statement, params, chunk)) for chunk in chunks]
            self.position = chunks[-1].up_to
            await self._checkpoint(sum(task.result() for task in tasks))
        await self._end()

    async def _fit(self) -> dict[str, Any]:
        """Breakpoints by version; null for one that was never fitted."""
        fitted: dict[str, Any] = {}
        for each in (self.version, self.against):
            if each is None:
                continue
            if not each.document.breakpoint_paths:
                fitted[str(each.version)] = {}
            elif self.refit:
                found = await fitting.fit(self.database.reading(), each, self.as_of)
                fitted[str(each.version)] = found.values
            else:
                fitted[str(each.version)] = await self._newest(each)
        async with self.database.transaction() as session:
            await session.execute(update(simulation).where(simulation.c.id == self.id).values(breakpoints=fitted))
        return fitted

    async def _newest(self, each: Scheme) -> Any:
        b = breakpoints.c
        return await self.database.reading().scalar(
            select(b["values"])
            .where(b.scheme == each.key, b.version == each.version)
            .order_by(b.fitted_at.desc())
            .limit(1)
        )

    def _params(self, fitted: dict[str, Any]) -> dict[str, Any]:
        at = clock.business_now()
        return {
            "simulation_id": self.id,
            "version_breakpoints": fitted[str(self.version.version)],
            "against_breakpoints": self.against and fitted[str(self.against.version)],
            "as_of": self.as_of,
            "as_of_day": clock.business_day(self.as_of),
            "at": at,
            "today": clock.business_day(at),
            "correction": False,
        }

    async def _next_chunks(self) -> list[refresh.Range]:
        session, chunks, after = self.database.reading(), [], self.position
        for _ in range(self.lanes):
            up_to = await nth_customer_after(session, after, CHUNK)
            if up_to is None:
                break
            chunks.append(refresh.Range(after, up_to))
            after = up_to
        return chunks

    async def _compare(self, statement: Any, params: dict[str, Any], chunk: refresh.Range) -> int:
        async with self.database.transaction() as session:
            await keep_all(session)
            await refresh.plan_for_many(session)
            return int(await session.scalar(statement, params | refresh.scope_params(chunk)))

    async def _checkpoint(self, done: int) -> None:
        """Keep how far we are; leave when cancelled or when the worker stops."""
        s = simulation.c
        async with self.database.transaction() as session:
            status = await session.scalar(
                update(simulation)
                .where(s.id == self.id)
                .values(position=self.position, processed=s.processed + done)
                .returning(s.status)
            )
        if status != "running":
            raise _Cancelled
        if self.stopping.is_set():
            raise Interrupted

    async def _end(self) -> None:
        s = simulation.c
        async with self.database.transaction() as session:
            against = None if self.against is None else self.against.document
            found = await outcomes.outcome(session, self.id, self.version.document, against)
            await session.execute(delete(simulation_count).where(simulation_count.c.simulation_id == self.id))
            await session.execute(
                update(simulation)
                .where(s.id == self.id, s.status.in_(LIVING))
                .values(status="completed", outcome=found, finished_at=func.now())
            )


def _scheme(run: Record, version: int) -> Scheme:
    document = document_adapter.validate_python(run["documents"][str(version)])
    return Scheme(run["scheme"], version, run["scheme"], document)
