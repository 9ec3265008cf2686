"""Recalculating everybody, or the dirty, as background work: in chunks, with progress, cancellable, resumable.

Three phases: `metrics` (facts to stored metrics), `fit` (new breakpoints, when asked, and a new version), `classes`.
What is computed in a chunk can be computed again, so a killed worker's successor goes on at the last checkpoint.
"""

import asyncio
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, select

from app.classification import drift, failures, fitting, publishing, recalculations, refresh, schemes, walking
from app.classification.engine import Cause, Evaluation, Scheme, evaluate
from app.classification.models import dirty_customer, recalculation
from app.classification.rehearsal import Rehearsal
from app.core import clock, work
from app.core.db import Record, WriteSession
from app.core.jobs import JobContext, alone
from app.customers.queries import customer_count, hold, keep_all

ONE_AT_A_TIME = 0x57A7B
PHASES = ("metrics", "fit", "classes")


async def run_recalculation(context: JobContext) -> None:
    """The job: one recalculation at a time in the whole installation."""
    recalculation_id = work.id_from(recalculation, context.payload)
    async with alone(context, ONE_AT_A_TIME):
        run = await _begin(context, recalculation_id)
        if run is None:
            return
        with work.carried():
            await _Run(context, run).finish()


async def _begin(context: JobContext, recalculation_id: UUID) -> Record | None:
    r, now = recalculation.c, clock.business_now()
    today = clock.business_day(now)
    async with context.database.transaction() as session:
        population = await _population(session, recalculation_id)
        return await work.begin(
            session,
            recalculation,
            recalculation_id,
            as_of=func.coalesce(r.as_of, now),
            # As it was when it began, however often and late it is taken up again.
            held_on=case((r.started_at.is_not(None), r.held_on), (r.as_of < clock.start_of_day(today), today)),
            customers=population,
            # Who begins with the second pass has the first behind.
            done=case((r.phase == "metrics", r.done), else_=func.greatest(r.done, population)),
        )


async def _population(session: WriteSession, recalculation_id: UUID) -> int:
    scope = await session.scalar(select(recalculation.c.scope).where(recalculation.c.id == recalculation_id))
    if scope == "dirty":
        return int(await session.scalar(select(func.count()).select_from(dirty_customer)))
    return await customer_count(session)


class _Run:
    """One recalculation on its way through the phases."""

    def __init__(self, context: JobContext, run: Record) -> None:
        self.context = context
        self.database = context.database
        self.id: UUID = run["id"]
        self.scope: str = run["scope"]
        self.refit: bool = run["refit"]
        self.keys: list[str] = run["schemes"]
        self.as_of: datetime = run["as_of"]
        self.goes_back: bool = run["held_on"] is not None
        self.publishes: int | None = run["publishes"]
        self.at_once: bool = run["movement"] == "at_once"
        self.released_from: datetime | None = run["released_from"]
        self.phase: str = run["phase"]
        self.position: UUID = run["position"] or refresh.NOBODY
        self.cause = Cause(run["cause"], run["requested_by"], run["correlation_id"])
        self.fills = False
        self.failing: set[str] = set()
        self.evaluation = Evaluation([])

    async def finish(self) -> None:
        """Whatever is left of the phases."""
        if self.scope == "dirty":
            await self._dirty()
        else:
            await self._everybody()
        async with self.database.transaction() as session:
            await work.end(session, recalculation, self.id, "completed")

    async def _everybody(self) -> None:
        for phase in PHASES[PHASES.index(self.phase) :]:
            if phase == "metrics":
                await self._load()
                await self._sweep(phase, self._measure)
            elif phase == "fit":
                await self._fit()
            else:
                await self._load()
                if self.publishes is not None:
                    self.fills = await publishing.is_first(self.database.reading(), self.keys[0], self.publishes)
                await self._sweep(phase, self._classify)
                await self._check_published()
        async with self.database.transaction() as session:
            await failures.recovered(session, [each.key for each in self.evaluation.schemes])

    async def _load(self) -> None:
        """What is in force now, also what failed before: a recalculation of everybody tries it again."""
        found = await schemes.load(self.database.reading(), failing=self.failing)
        self.evaluation = schemes.chosen(found.evaluation, self.keys)
        async with self.database.transaction() as session:
            await failures.record(session, {key: why for key, why in found.aside.items() if key not in self.failing})

    async def _sweep(self, phase: str, each: Any) -> None:
        """Walk everybody in chunks, several of them side by side, and keep the checkpoint after each step."""
        if self.phase != phase:
            self.phase, self.position = phase, refresh.NOBODY
        async for step in walking.steps(self.database, self.position, partial(self._in_transaction, each)):
            self.position = step.position
            await self._checkpoint(step.size, sum(step.found))

    async def _in_transaction(self, each: Any, chunk: refresh.Range) -> int:
        async def attempt(session: WriteSession, evaluation: Evaluation) -> int:
            await failures.limit_time(session, times=failures.OF_A_CHUNK)
            await keep_all(session)
            await refresh.plan_for_many(session)
            return int(await each(session, chunk, evaluation))

        return await self._carry(attempt)

    async def _carry(self, attempt: Any) -> int:
        """One transaction; when a scheme makes it fail, the others are carried through without that one."""
        try:
            async with self.database.transaction(correlation_id=self.cause.correlation_id) as session:
                return int(await attempt(session, self.evaluation))
        except failures.CANNOT_COMPUTE:
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
        await refresh.refresh_metrics(session, chunk, as_of=self.as_of, categories=categories, goes_back=self.goes_back)
        return 0

    async def _classify(self, session: WriteSession, chunk: refresh.Range, evaluation: Evaluation) -> int:
        cause = self.cause
        if self.at_once:
            # What a version took from or gave to the readers of its classes goes back with it.
            keys = self.keys if self.released_from is None else [each.key for each in evaluation.schemes]
            cause = replace(cause, released=keys, released_from=self.released_from)
        if self.fills:
            cause = replace(cause, fills=self.keys[0])
        outcome = await evaluate(session, evaluation, chunk, as_of=self.as_of, cause=cause)
        return outcome.changed

    async def _fit(self) -> None:
        """Compute breakpoints while those before them are in force, then put them in force, the new version too."""
        if self.publishes is not None:
            await self._publish(self.keys[0], self.publishes)
        elif self.refit:
            found = await schemes.load(self.database.reading(), failing=self.failing)
            asked = [each for key, each in found.schemes.items() if key in self.keys]
            fitting_each = [self._fitted_or_aside(each) for each in asked if each.document.breakpoint_paths]
            fits = [fit for fit in await asyncio.gather(*fitting_each) if fit is not None]
            async with self.database.transaction() as session:
                await publishing.put_breakpoints_in_force(session, fits, as_of=self.as_of, recalculation_id=self.id)
        self.phase, self.position = "classes", refresh.NOBODY

    async def _fitted_or_aside(self, each: Scheme) -> fitting.Fit | None:
        """None, with its reason recorded, when the population cannot be computed for it; it keeps what it has."""
        try:
            return await self._fitted(each)
        except failures.CANNOT_COMPUTE as error:
            async with self.database.transaction() as session:
                await failures.record(session, {each.key: failures.reason(error)})
            self.failing.add(each.key)
            return None

    async def _fitted(self, each: Scheme) -> fitting.Fit:
        session = self.database.reading()
        return await drift.compared(session, await fitting.fit(session, each, self.as_of), self.as_of)

    async def _publish(self, key: str, version: int) -> None:
        session = self.database.reading()
        each = await publishing.to_publish(session, key, version)
        try:
            fit = await self._fitted(each) if self.refit and each.document.breakpoint_paths else None
        except failures.CANNOT_COMPUTE as error:
            raise schemes.SchemeFailing(f"{key}: {failures.reason(error)}") from error
        rehearsal = Rehearsal(each, fit.values if fit else await publishing.newest_values(session, each), self.as_of)
        async for step in walking.steps(self.database, refresh.NOBODY, partial(rehearsal.of, self.database)):
            for why in filter(None, step.found):
                raise schemes.SchemeFailing(f"{key}: {why}")
            await self._checkpoint(0, 0)
        async with self.database.transaction(correlation_id=self.cause.correlation_id) as session:
            await publishing.put_version_in_force(session, each, fit, as_of=self.as_of, recalculation_id=self.id)

    async def _check_published(self) -> None:
        """A version that failed all the same, for a fact that came after its rehearsal, gives way to the one before.

        That is asked for in the moment in which this publication ends, failed. A return is not itself returned from.
        """
        if self.publishes is None or self.keys[0] not in self.failing:
            return
        key, version = self.keys[0], self.publishes
        async with self.database.transaction(
            correlation_id=self.cause.correlation_id, principal=self.cause.actor
        ) as session:
            why = await publishing.error_of(session, key)
            before = None if self.at_once else await publishing.replaced_by(session, key, version)
            if before is not None:
                await recalculations.queue(
                    session,
                    "all",
                    "publish",
                    [key],
                    refit=False,
                    publishes=before,
                    movement="at_once",
                    released_from=self.as_of,
                    phase="fit",
                )
            await work.end(session, recalculation, self.id, "failed", error=f"{key}: {why}")
        raise work.Cancelled

    async def _dirty(self) -> None:
        self.evaluation = (await schemes.load(self.database.reading())).evaluation

        async def attempt(session: WriteSession, evaluation: Evaluation) -> int:
            await failures.limit_time(session, times=failures.OF_A_CHUNK)
            await keep_all(session)
            ids = await refresh.some_dirty(session, walking.CHUNK)
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
        r = recalculation.c
        await work.checkpoint(
            self.context,
            recalculation,
            self.id,
            phase=self.phase,
            position=self.position,
            done=func.least(r.done + done, 2 * r.customers),
            changed=r.changed + changed,
        )
