"""Recalculating everybody, or the dirty, as background work: in chunks, with progress, cancellable, resumable.

Three phases: `metrics` (facts to stored metrics), `fit` (new breakpoints, when asked, and a new version), `classes`.
What is computed in a chunk can be computed again, so a killed worker's successor goes on at the last checkpoint.
"""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import and_, case, func, insert, select, update

from app.classification import drift, failures, fitting, publishing, refits, refresh, schemes
from app.classification.engine import Cause, Evaluation, Scheme, evaluate
from app.classification.models import customer_metrics, dirty_customer, recalculation
from app.classification.publishing import Cancelled
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


async def request(session: WriteSession, actor: Actor, *, keys: list[str], as_of: datetime | None, refit: bool) -> UUID:
    """Ask for a recalculation of everybody. Raises `Invalid` for unknown schemes or an as_of in the future."""
    known = (await schemes.current(session)).keys
    for index, key in enumerate(keys):
        if key not in known:
            raise Invalid.at(f"/body/schemes/{index}", f"there is no scheme {key}; there are: {', '.join(known)}")
    if as_of is not None and as_of > clock.business_now():
        raise Invalid.at("/body/as_of", "this instant lies in the future")
    wanted = keys or known
    recalculation_id = await queue(session, "all", "refit" if refit else "request", wanted, as_of=as_of, refit=refit)
    after = {"schemes": wanted, "as_of": as_of, "refit": refit}
    audit.record(session, actor, "recalculation.requested", "recalculation", recalculation_id, after=after)
    return recalculation_id


async def queue(
    session: WriteSession,
    scope: str,
    cause: str,
    keys: list[str],
    *,
    refit: bool,
    as_of: datetime | None = None,
    publishes: int | None = None,
    phase: str = "metrics",
) -> UUID:
    """Enqueue a recalculation that begins with this phase."""
    recalculation_id: UUID = await session.scalar(
        insert(recalculation)
        .values(
            schemes=keys,
            scope=scope,
            as_of=as_of,
            refit=refit,
            publishes=publishes,
            phase=phase,
            cause=cause,
            requested_by=session.principal,
            correlation_id=session.correlation_id,
        )
        .returning(recalculation.c.id)
    )
    await enqueue(session, "recalculations.run", {"recalculation_id": str(recalculation_id)})
    return recalculation_id


async def enqueue_after_import(session: WriteSession, event: ImportCompleted) -> None:
    """Classify what an import brought; schemes that still need breakpoints get them from it."""
    cause = f"import:{event.import_id}"
    found = await schemes.current(session)
    if not found.keys:
        return
    wanting = await refits.without_breakpoints(session)
    fitted = [key for key, each in found.schemes.items() if each.document.breakpoint_paths and key not in wanting]
    if wanting and not fitted:
        # The first import of all: everybody is measured and classified in one go.
        await queue(session, "all", cause, found.keys, refit=True)
        return
    await queue(session, "dirty", cause, found.keys, refit=False)
    if wanting:
        await queue(session, "all", cause, wanting, refit=True, phase="fit")


async def enqueue_after_prediction(session: WriteSession) -> None:
    """Classify again those of whom something else is expected now."""
    await queue(session, "dirty", "refit", (await schemes.current(session)).keys, refit=False)


async def run_nightly(context: JobContext) -> None:
    """Fit what is due, and what could not be fitted before; time itself is the business of the sweep."""
    async with context.database.transaction(correlation_id=context.correlation_id) as session:
        wanting = await refits.without_breakpoints(session)
        due = await refits.due(session, clock.business_day(clock.business_now()))
        keys = sorted({*wanting, *due} - await _being_refitted(session))
        if keys and await session.scalar(select(customer_metrics.c.customer_id).limit(1)) is not None:
            await queue(session, "all", "refit", keys, refit=True, phase="fit")


async def queue_dirty(session: WriteSession, *, cause: str) -> None:
    """See to the customers who wait to be measured, unless that is about to happen anyway."""
    r = recalculation.c
    if await session.scalar(select(dirty_customer.c.customer_id).limit(1)) is None:
        return
    if await session.scalar(select(r.id).where(r.scope == "dirty", r.status == "queued").limit(1)) is None:
        await queue(session, "dirty", cause, (await schemes.current(session)).keys, refit=False)


async def _being_refitted(session: WriteSession) -> set[str]:
    r = recalculation.c
    rows = await session.all(select(r.schemes).where(r.refit, r.status.in_(["queued", "running"])))
    return {key for row in rows for key in row["schemes"]}


async def cancel(session: WriteSession, actor: Actor, recalculation_id: UUID) -> None:
    """Stop before the next chunk; chunks that are done stay. Raises `Conflict` when it has ended.

    Nor can what a version is in force by already be stopped: half of the classes would be of the version before.
    """
    r = recalculation.c
    in_force = and_(r.publishes.is_not(None), r.phase == "classes")
    stopped = await session.first(
        update(recalculation)
        .where(r.id == recalculation_id, r.status.in_(["queued", "running"]), ~in_force)
        .values(status="cancelled", finished_at=func.now())
        .returning(r.id)
    )
    if stopped is None:
        found = await session.first(select(r.status).where(r.id == recalculation_id))
        if found is None:
            raise NotFound("There is no such recalculation")
        if found["status"] == "running":
            raise Conflict("The new version is in force already; publish the earlier one to return to it")
        raise Conflict("This recalculation has ended")
    audit.record(session, actor, "recalculation.cancelled", "recalculation", recalculation_id)


async def run_recalculation(context: JobContext) -> None:
    """The job: one recalculation at a time in the whole installation."""
    recalculation_id = UUID(context.payload["recalculation_id"])
    async with alone(context, ONE_AT_A_TIME):
        now = clock.business_now()
        today = clock.business_day(now)
        r = recalculation.c
        async with context.database.transaction() as session:
            population = await _population(session, recalculation_id)
            run = await session.first(
                update(recalculation)
                .where(r.id == recalculation_id, r.status.in_(["queued", "running"]))
                .values(
                    status="running",
                    started_at=func.coalesce(r.started_at, func.now()),
                    as_of=func.coalesce(r.as_of, now),
                    held_on=case((r.as_of < clock.start_of_day(today), today)),
                    customers=population,
                    # Who begins with the second pass has the first behind.
                    done=case((r.phase == "metrics", r.done), else_=func.greatest(r.done, population)),
                )
                .returning(*recalculation.columns)
            )
        if run is None:
            return
        try:
            await _Run(context, run).finish()
        except Cancelled:
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
        self.publishes: int | None = run["publishes"]
        self.phase: str = run["phase"]
        self.position: UUID = run["position"] or refresh.NOBODY
        self.cause = Cause(run["cause"], run["requested_by"], run["correlation_id"])
        self.lanes = get_settings().recalculation_lanes
        self.failing: set[str] = set()
        self.evaluation = Evaluation([])

    async def finish(self) -> None:
        """Whatever is left of the phases."""
        if self.scope == "dirty":
            self.evaluation = (await schemes.load(self.database.reading())).evaluation
            await self._dirty()
            return
        for phase in PHASES[PHASES.index(self.phase) :]:
            if phase == "metrics":
                await self._load()
                await self._sweep(phase, self._measure)
            elif phase == "fit":
                await self._fit()
            else:
                await self._load()
                await self._sweep(phase, self._classify)
        async with self.database.transaction() as session:
            await failures.recovered(session, [each.key for each in self.evaluation.schemes])

    async def _load(self) -> None:
        """What is in force now, also what failed before: a recalculation of everybody tries it again."""
        found = await schemes.load(self.database.reading(), failing=self.failing)
        self.evaluation = schemes.chosen(found.evaluation, self.keys)
        async with self.database.transaction() as session:
            await failures.record(session, {key: why for key, why in found.aside.items() if key not in self.failing})

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
        async def attempt(session: WriteSession, evaluation: Evaluation) -> int:
            await keep_all(session)
            await refresh.plan_for_many(session)
            return int(await work(session, chunk, evaluation))

        return await self._carry(attempt)

    async def _carry(self, attempt: Any) -> int:
        """One transaction; when a scheme makes it fail, the others are carried through without that one."""
        try:
            async with self.database.transaction(correlation_id=self.cause.correlation_id) as session:
                return int(await attempt(session, self.evaluation))
        except asyncpg.DataError:
            failing = await failures.set_aside_failing(self.database, self.evaluation, attempt)
            if not failing:
                raise
        self.failing.update(failing)
        if self.scope == "dirty":
            self.evaluation = (await schemes.load(self.database.reading())).evaluation
        else:
            await self._load()
        return await self._carry(attempt)

    async def _measure(self, session: WriteSession, chunk: refresh.Range, evaluation: Evaluation) -> int:
        categories = evaluation.counts_categories
        await refresh.refresh_metrics(session, chunk, as_of=self.as_of, categories=categories)
        return 0

    async def _classify(self, session: WriteSession, chunk: refresh.Range, evaluation: Evaluation) -> int:
        outcome = await evaluate(session, evaluation, chunk, as_of=self.as_of, cause=self.cause)
        return outcome.changed

    async def _fit(self) -> None:
        """Compute breakpoints while those before them are in force, then put them in force, the new version too."""
        if self.publishes is not None:
            await self._publish(self.keys[0], self.publishes)
        elif self.refit:
            found = await schemes.load(self.database.reading(), failing=self.failing)
            asked = [each for key, each in found.schemes.items() if key in self.keys]
            fits = await asyncio.gather(*(self._fitted(each) for each in asked if each.document.breakpoint_paths))
            async with self.database.transaction() as session:
                await publishing.put_breakpoints_in_force(session, fits, as_of=self.as_of, recalculation_id=self.id)
        self.phase, self.position = "classes", refresh.NOBODY

    async def _fitted(self, each: Scheme) -> fitting.Fit:
        session = self.database.reading()
        return await drift.compared(session, await fitting.fit(session, each, self.as_of), self.as_of)

    async def _publish(self, key: str, version: int) -> None:
        each = await publishing.to_publish(self.database.reading(), key, version)
        fit = await self._fitted(each) if self.refit and each.document.breakpoint_paths else None
        async with self.database.transaction(correlation_id=self.cause.correlation_id) as session:
            await publishing.put_version_in_force(session, each, fit, as_of=self.as_of, recalculation_id=self.id)

    async def _dirty(self) -> None:
        async def attempt(session: WriteSession, evaluation: Evaluation) -> int:
            await keep_all(session)
            ids = await refresh.some_dirty(session, CHUNK)
            if ids:
                await hold(session, ids)
                await refresh.plan_for_many(session)
                categories = self.evaluation.counts_categories
                await refresh.refresh_metrics(session, ids, as_of=self.as_of, categories=categories)
                await evaluate(session, evaluation, ids, as_of=self.as_of, cause=self.cause)
            return len(ids)

        while done := await self._carry(attempt):
            await self._checkpoint(2 * done, 0)

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
            raise Cancelled
        if self.stopping.is_set():
            raise Interrupted
