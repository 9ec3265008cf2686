"""Running a simulation as background work: in chunks, with progress, cancellable, resumable.

First what the population decides for the documents, kept in the simulation's row; then everybody in chunks, each
chunk one transaction. A killed worker's successor takes back what lies beyond the last checkpoint and goes on there.
"""

from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from app.classification import fitting, outcomes, refresh, walking
from app.classification.comparing import Comparison
from app.classification.engine import Scheme
from app.classification.models import breakpoints, simulation, simulation_count, simulation_move
from app.classification.schemes import document_adapter
from app.core import clock, work
from app.core.db import Record, WriteSession
from app.core.jobs import JobContext, alone
from app.customers.queries import customer_count, keep_all

ONE_AT_A_TIME = 0x57A7D


async def run_simulation(context: JobContext) -> None:
    """The job: one simulation at a time in the whole installation."""
    simulation_id = work.id_from(simulation, context.payload)
    async with alone(context, ONE_AT_A_TIME):
        run = await _begin(context, simulation_id)
        if run is None:
            return
        with work.carried():
            await _Run(context, run).finish()


async def _begin(context: JobContext, simulation_id: UUID) -> Record | None:
    """Take the simulation up where its checkpoint is; None when it has ended."""
    async with context.database.transaction() as session:
        run = await work.begin(session, simulation, simulation_id, total=await customer_count(session))
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


class _Run:
    """One simulation on its way through the customers."""

    def __init__(self, context: JobContext, run: Record) -> None:
        self.context = context
        self.database = context.database
        self.id: UUID = run["id"]
        self.as_of: datetime = run["as_of"]
        self.refit: bool = run["refit"]
        self.fitted: dict[str, Any] | None = run["breakpoints"]
        self.position: UUID = run["position"] or refresh.NOBODY
        self.version = _scheme(run, run["version"])
        self.against = None if run["against"] is None else _scheme(run, run["against"])

    async def finish(self) -> None:
        """Whatever is left of it."""
        if self.fitted is None:
            self.fitted = await self._fit()
        statement = Comparison(self.version, self.against).statement()
        params = self._params(self.fitted)
        async for step in walking.steps(self.database, self.position, partial(self._compare, statement, params)):
            processed = simulation.c.processed + sum(step.found)
            await work.checkpoint(self.context, simulation, self.id, position=step.position, processed=processed)
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
            await work.keep(session, simulation, self.id, breakpoints=fitted)
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

    async def _compare(self, statement: Any, params: dict[str, Any], chunk: refresh.Range) -> int:
        async with self.database.transaction() as session:
            await keep_all(session)
            await refresh.plan_for_many(session)
            return int(await session.scalar(statement, params | refresh.scope_params(chunk)))

    async def _end(self) -> None:
        async with self.database.transaction() as session:
            against = None if self.against is None else self.against.document
            found = await outcomes.outcome(session, self.id, self.version.document, against)
            await session.execute(delete(simulation_count).where(simulation_count.c.simulation_id == self.id))
            await work.end(session, simulation, self.id, "completed", outcome=found)


def _scheme(run: Record, version: int) -> Scheme:
    document = document_adapter.validate_python(run["documents"][str(version)])
    return Scheme(run["scheme"], version, run["scheme"], document)
