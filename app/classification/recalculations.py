"""Recalculating everybody, or the dirty, as background work: in chunks, with progress, cancellable, resumable.

Three phases: `metrics` (facts to stored metrics), `fit` (new breakpoints, when asked), `classes`. A chunk is
one transaction together with its checkpoint, so that a killed worker's successor goes on where it ended.
"""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, insert, select, update

from app.classification import fitting, refresh, schemes
from app.classification.engine import Cause, Evaluation, evaluate
from app.classification.models import dirty_customer, recalculation, scheme
from app.core import audit, clock
from app.core.db import Record, WriteSession
from app.core.errors import Conflict, Invalid, NotFound, Problem
from app.core.jobs import Hopeless, Interrupted, JobContext, alone, enqueue
from app.core.settings import get_settings
from app.customers.queries import customer_count, hold, keep_all, nth_customer_after
from app.identity.actor import Actor
from app.imports.events import ImportCompleted

CHUNK = 10_000
ONE_AT_A_TIME = 0x57A7B
PHASES = ("metrics", "fit", "classes")

log = structlog.get_logger(__name__)


async def request(session: WriteSession, actor: Actor, *, keys: list[str], as_of: datetime | None, refit: bool) -> UUID:
    """Ask for a recalculation of everybody. Raises `Invalid` for unknown schemes or an as_of in the future."""
    known = [each.key for each in (await schemes.published(session)).schemes]
    for index, key in enumerate(keys):
        if key not in known:
            raise Invalid.at(f"/body/schemes/{index}", f"there is no scheme {key}; there are: {', '.join(known)}")
    if as_of is not None and as_of > clock.business_now():
        raise Invalid.at("/body/as_of", "this instant lies in the future")
    wanted = keys or known
    recalculation_id = await _queue(session, "all", "request", wanted, as_of=as_of, refit=refit)
    after = {"schemes": wanted, "as_of": as_of, "refit": refit}
    audit.record(session, actor, "recalculation.requested", "recalculation", recalculation_id, after=after)
    return recalculation_id


async def _queue(
    session: WriteSession, scope: str, cause: str, keys: list[str], *, as_of: datetime | None = None, refit: bool
) -> UUID:
    recalculation_id: UUID = await session.scalar(
        insert(recalculation)
        .values(
            schemes=keys,
            scope=scope,
            as_of=as_of,
            refit=refit,
            cause=cause,
            requested_by=session.principal,
            correlation_id=session.correlation_id,
        )
        .returning(recalculation.c.id)
    )
    await enqueue(session, "recalculations.run", {"recalculation_id": str(recalculation_id)})
    return recalculation_id


async def enqueue_after_import(session: WriteSession, event: ImportCompleted) -> None:
    """Classify what an import brought; the first import of all also fits the breakpoints."""
    await _queue_for_everybody(session, cause=f"import:{event.import_id}", otherwise="dirty")


async def run_nightly(context: JobContext) -> None:
    """Time passes for everybody: a recalculation a night keeps classes that depend on the day true."""
    async with context.database.transaction(correlation_id=context.correlation_id) as session:
        await _queue_for_everybody(session, cause="clock", otherwise="all")


async def _queue_for_everybody(session: WriteSession, *, cause: str, otherwise: str) -> None:
    rows = await session.all(select(scheme.c.key, scheme.c.breakpoints_id))
    if not rows:
        return
    unfitted = any(row["breakpoints_id"] is None for row in rows)
    keys = [row["key"] for row in rows]
    await _queue(session, "all" if unfitted else otherwise, cause, keys, refit=unfitted)


async def cancel(session: WriteSession, actor: Actor, recalculation_id: UUID) -> None:
    """Stop before the next chunk; chunks that are done stay. Raises `Conflict` when it has ended."""
    r = recalculation.c
    stopped = await session.first(
        update(recalculation)
        .where(r.id == recalculation_id, r.status.in_(["queued", "running"]))
        .values(status="cancelled", finished_at=func.now())
        .returning(r.id)
    )
    if stopped is None:
        if await session.scalar(select(r.id).where(r.id == recalculation_id)) is None:
            raise NotFound("There is no such recalculation")
        raise Conflict("This recalculation has ended")
    audit.record(session, actor, "recalculation.cancelled", "recalculation", recalculation_id)


class _Cancelled(Exception):
    pass


async def run_recalculation(context: JobContext) -> None:
    """The job: one recalculation at a time in the whole installation."""
    recalculation_id = UUID(context.payload["recalculation_id"])
    async with alone(context, ONE_AT_A_TIME):
        async with context.database.transaction() as session:
            run = await session.first(
                update(recalculation)
                .where(recalculation.c.id == recalculation_id, recalculation.c.status.in_(["queued", "running"]))
                .values(
                    status="running",
                    started_at=func.coalesce(recalculation.c.started_at, func.now()),
                    as_of=func.coalesce(recalculation.c.as_of, clock.business_now()),
                    customers=await _population(session, recalculation_id),
                )
                .returning(*recalculation.columns)
            )
        if run is None:
            return
        try:
            await _Run(context, run).finish()
        except _Cancelled:
            return
        except Problem as problem:
            raise Hopeless(problem.detail or problem.title) from problem
        async with context.database.transaction() as session:
            await _end(session, recalculation_id, "completed", None)


async def _population(session: WriteSession, recalculation_id: UUID) -> int:
    scope = await session.scalar(select(recalculation.c.scope).where(recalculation.c.id == recalculation_id))
    if scope == "dirty":
        return int(await session.scalar(select(func.count()).select_from(dirty_customer)))
    return await customer_count(session)


async def recalculation_died(session: WriteSession, payload: dict[str, Any], reason: str) -> None:
    """The job is dead: so is the recalculation, and it says why."""
    await _end(session, UUID(payload["recalculation_id"]), "failed", reason)


async def _end(session: WriteSession, recalculation_id: UUID, status: str, error: str | None) -> None:
    r = recalculation.c
    await session.execute(
        update(recalculation)
        .where(r.id == recalculation_id, r.status.in_(["queued", "running"]))
        .values(status=status, error=error, finished_at=func.now())
    )


class _Run:
    """One recalculation on its way through the phases."""

    def __init__(self, context: JobContext, run: Record) -> None:
        self.database = context.database
        self.stopping = context.stopping
        self.id: UUID = run["id"]
        self.scope: str = run["scope"]
        self.refit: bool = run["refit"]
        self.keys: list[str] = run["schemes"]
        self.as_of: datetime = run["as_of"]
        self.phase: str = run["phase"]
        self.position: UUID = run["position"] or refresh.NOBODY
        self.cause = Cause(run["cause"], run["requested_by"], run["correlation_id"])
        self.lanes = get_settings().recalculation_lanes

    async def finish(self) -> None:
        """Whatever is left of the phases."""
        evaluation = schemes.chosen(await schemes.published(self.database.reading()), self.keys)
        if self.scope == "dirty":
            await self._dirty(evaluation)
            return
        for phase in PHASES[PHASES.index(self.phase) :]:
            if phase == "metrics":
                await self._sweep(phase, self._measure)
            elif phase == "fit":
                await self._fit(evaluation)
            else:
                await self._sweep(phase, lambda session, chunk: self._classify(session, chunk, evaluation))

    async def _sweep(self, phase: str, work: Any) -> None:
        """Walk everybody in chunks, `lanes` of them side by side, and keep the checkpoint after each step."""
        if self.phase != phase:
            self.phase, self.position = phase, refresh.NOBODY
        while True:
            chunks = await self._next_chunks()
            if not chunks:
                return
            async with asyncio.TaskGroup() as lanes:
                tasks = [lanes.create_task(self._in_transaction(work, chunk)) for chunk in chunks]
            self.position = chunks[-1].up_to
            await self._checkpoint(len(chunks) * CHUNK, sum(task.result() for task in tasks))

    async def _next_chunks(self) -> list[refresh.Range]:
        session, chunks, after = self.database.reading(), [], self.position
        for _ in range(self.lanes):
            up_to = await nth_customer_after(session, after, CHUNK)
            if up_to is None:
                break
            chunks.append(refresh.Range(after, up_to))
            after = up_to
        return chunks

    async def _in_transaction(self, work: Any, chunk: refresh.Range) -> int:
        async with self.database.transaction(correlation_id=self.cause.correlation_id) as session:
            await keep_all(session)
            await refresh.plan_for_many(session)
            return int(await work(session, chunk))

    async def _measure(self, session: WriteSession, chunk: refresh.Range) -> int:
        await refresh.refresh_metrics(session, chunk, as_of=self.as_of)
        return 0

    async def _classify(self, session: WriteSession, chunk: refresh.Range, evaluation: Evaluation) -> int:
        outcome = await evaluate(session, evaluation, chunk, as_of=self.as_of, cause=self.cause)
        return outcome.changed

    async def _fit(self, evaluation: Evaluation) -> None:
        self.phase = "fit"
        if self.refit:
            fits = [await fitting.fit(self.database.reading(), each, self.as_of) for each in evaluation.schemes]
            async with self.database.transaction() as session:
                await fitting.put_in_force(session, fits, as_of=self.as_of, recalculation_id=self.id)
        self.position = refresh.NOBODY

    async def _dirty(self, evaluation: Evaluation) -> None:
        while True:
            async with self.database.transaction(correlation_id=self.cause.correlation_id) as session:
                await keep_all(session)
                ids = await refresh.some_dirty(session, CHUNK)
                if ids:
                    await hold(session, ids)
                    await refresh.plan_for_many(session)
                    await refresh.refresh_metrics(session, ids, as_of=self.as_of)
                    await evaluate(session, evaluation, ids, as_of=self.as_of, cause=self.cause)
            if not ids:
                return
            await self._checkpoint(2 * len(ids), 0)

    async def _checkpoint(self, done: int, changed: int) -> None:
        """Keep how far we are; leave when cancelled or when the worker stops."""
        async with self.database.transaction() as session:
            r = recalculation.c
            row = await session.first(
                update(recalculation)
                .where(r.id == self.id)
                .values(
                    phase=self.phase,
                    position=self.position,
                    done=func.least(r.done + done, 2 * r.customers),
                    changed=r.changed + changed,
                )
                .returning(r.status)
            )
        if row is None or row["status"] == "cancelled":
            raise _Cancelled
        if self.stopping.is_set():
            raise Interrupted
