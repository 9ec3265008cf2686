"""A worker runs jobs and schedules, and finds out which job kills it.

After `MAX_STARTS` starts that came to no end, failed or lasted too long a job is dead, with its reason kept. Several
jobs run side by side when their worker dies, and one of them may be why: each is a suspect then, and of suspects one
runs at a time, beside jobs that are none. So nobody is found dead for having stood beside the one that kills.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from pgqueuer import AsyncpgPoolDriver, PgQueuer
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job as CarriedJob
from pgqueuer.models import Schedule as CarriedSchedule
from pgqueuer.types import QueueExecutionMode
from sqlalchemy import ColumnElement, Update, func, update

from app.core import telemetry, tracing
from app.core.db import CONNECTION_LOST, UNUSABLE, Database, WriteSession
from app.core.errors import Unavailable
from app.core.jobs import (
    FINISHED,
    DeadLetter,
    Handler,
    Hopeless,
    Interrupted,
    JobContext,
    Postponed,
    Schedule,
    enqueue,
    job,
    recover,
)

MAX_STARTS = 5
HEARTBEAT = timedelta(seconds=10)
LOOKED_AFTER = timedelta(seconds=15)
"""How often a worker looks for jobs that nothing carries any more."""

AWAY = (OSError, Unavailable, *CONNECTION_LOST, *UNUSABLE)
"""The database is not there, or cannot do anything now."""
_PATIENCE = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
"""Seconds from one attempt to write an end to the next."""
_STARTED = ("name", "payload", "correlation_id", "starts", "created_at", "started_at")

log = structlog.get_logger(__name__)


class TookTooLong(Exception):
    """A handler was broken off after the longest that a start may last."""


class Worker:
    """Runs jobs and schedules until told to stop; survives the database going away."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, Handler],
        schedules: list[Schedule],
        *,
        concurrency: int,
        longest: float = 4 * 3600,
        dead_letters: Mapping[str, DeadLetter] | None = None,
        lanes: Mapping[str, int] | None = None,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._dead_letters = dead_letters or {}
        self._lanes = lanes or {}
        self._schedules = schedules
        self._concurrency = concurrency
        self._longest = longest
        self._stopping = asyncio.Event()
        self._suspected = asyncio.Lock()
        self._carrier: PgQueuer | None = None

    def stop(self) -> None:
        """Finish or interrupt what runs, start nothing new."""
        self._stopping.set()
        if self._carrier is not None:
            self._carrier.shutdown.set()

    async def run(self) -> None:
        """Work until `stop()`. Restarts with growing pauses while the database is away."""
        recovering = asyncio.create_task(self._recover())
        try:
            await self._keep_carrying()
        finally:
            recovering.cancel()
            await asyncio.gather(recovering, return_exceptions=True)

    async def _recover(self) -> None:
        while True:
            try:
                await recover(self._database)
            except Exception as error:  # as in `_keep_carrying`
                log.warning("jobs.not_recovered", error=type(error).__name__)
            await asyncio.sleep(LOOKED_AFTER.total_seconds())

    async def _keep_carrying(self) -> None:
        delay = 0.2
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                await self._carry()
            except Exception as error:  # a full disk, a failover: whatever it is, who gave up here would work no more
                log.warning("worker.restarting", error=type(error).__name__)
            delay = 0.2 if time.monotonic() - started > 30 else min(delay * 2, 5.0)
            if not self._stopping.is_set():
                await asyncio.sleep(delay)

    async def drain(self) -> None:
        """Run what is queued until nothing is, then return; for commands and tests that wait for the outcome."""
        carrier = self._equipped()
        await carrier.qm.run(
            dequeue_timeout=timedelta(seconds=0.1),
            mode=QueueExecutionMode.drain,
            batch_size=self._concurrency,
            heartbeat_timeout=HEARTBEAT,
        )

    def _equipped(self) -> PgQueuer:
        self._carrier = carrier = PgQueuer(AsyncpgPoolDriver(self._database.pool))
        for name, handler in self._handlers.items():
            self._register(carrier, name, handler)
        return carrier

    async def _carry(self) -> None:
        carrier = self._equipped()
        for schedule in self._schedules:
            self._register_schedule(carrier, schedule)
        if self._stopping.is_set():
            return
        await carrier.run(
            dequeue_timeout=timedelta(seconds=5),
            batch_size=self._concurrency,
            max_concurrent_tasks=self._concurrency * 2,
            shutdown_on_listener_failure=True,
            heartbeat_timeout=HEARTBEAT,
        )

    def _register(self, carrier: PgQueuer, name: str, handler: Handler) -> None:
        # In all workers together: what waits for somebody else's server leaves the others room.
        @carrier.entrypoint(name, concurrency_limit=min(self._lanes.get(name, self._concurrency), self._concurrency))
        async def carried(item: CarriedJob) -> None:
            assert item.payload is not None
            with tracing.job(name, item.headers):
                await self._run(UUID(bytes=bytes(item.payload)), handler)

    def _register_schedule(self, carrier: PgQueuer, schedule: Schedule) -> None:
        @carrier.schedule(f"schedule_{schedule.name}", schedule.cron, clean_old=True)
        async def due(_: CarriedSchedule) -> None:
            async with self._database.transaction() as session:
                await enqueue(session, schedule.name, schedule.payload)

    async def _run(self, job_id: UUID, handler: Handler) -> None:
        try:
            await self._attempt(job_id, handler)
        except RetryRequested:
            raise
        except Exception as error:
            # What becomes of the job could not be written down. Told of it, pgqueuer would carry the job no more.
            log.warning("job.unwritten", job_id=str(job_id), error=type(error).__name__)
            raise RetryRequested(timedelta(seconds=1), type(error).__name__) from error

    async def _attempt(self, job_id: UUID, handler: Handler) -> None:
        if (started := await self._begin(job_id, job.c.status != "running")) is not None:
            await self._carry_out(job_id, started, handler)
        elif self._suspected.locked():
            raise RetryRequested(timedelta(seconds=1), "another suspect runs")
        else:
            async with self._suspected:
                if (started := await self._begin(job_id)) is not None:
                    await self._carry_out(job_id, started, handler)

    async def _carry_out(self, job_id: UUID, started: Any, handler: Handler) -> None:
        name, clock = started["name"], time.perf_counter()
        outcome = "done"
        payload, cause, queued_at = started["payload"], started["correlation_id"], started["created_at"]
        context = JobContext(self._database, payload, cause, self._stopping, job_id, queued_at)
        try:
            await self._within_limit(handler, context)
        except Interrupted:
            outcome = "interrupted"
            await self._end(job_id, _put_back(job_id, started, None))
            raise RetryRequested(timedelta(0), "the worker stopped") from None
        except Postponed as wait:
            outcome = "postponed"
            await self._end(job_id, _put_back(job_id, started, None))
            raise RetryRequested(wait.delay, "it waits for somebody else") from None
        except Hopeless as error:
            outcome = "dead"
            await self._bury(job_id, started, str(error))
        except Exception as error:
            outcome = "failed"
            log.error("job.failed", job=name, job_id=str(job_id), starts=started["starts"], exc_info=error)
            if started["starts"] >= MAX_STARTS:
                await self._bury(job_id, started, f"failed {MAX_STARTS} times: {type(error).__name__}")
                return
            await self._end(job_id, _put_back(job_id, started, type(error).__name__))
            # Who loses the database is not at fault, as a rule, and may lose it a few times in a row.
            delay = 2 * (4 if isinstance(error, AWAY) else 2) ** (started["starts"] - 1)
            raise RetryRequested(timedelta(seconds=delay), type(error).__name__) from error
        else:
            await self._end(job_id, _ended(job_id, "done", None))
        finally:
            telemetry.jobs.labels(name, outcome).observe(time.perf_counter() - clock)

    async def _within_limit(self, handler: Handler, context: JobContext) -> None:
        try:
            async with asyncio.timeout(self._longest) as limit:
                await handler(context)
        except TimeoutError as error:
            raise (TookTooLong() if limit.expired() else error) from None

    async def _begin(self, job_id: UUID, *conditions: ColumnElement[bool]) -> Any:
        """Count the start before it happens: a job that kills its worker is found out by its starts."""
        async with self._database.transaction() as session:
            row = await session.first(
                update(job)
                .where(job.c.id == job_id, job.c.status.notin_(FINISHED), *conditions)
                .values(starts=job.c.starts + 1, status="running", started_at=func.now())
                .returning(*(job.c[name] for name in _STARTED))
            )
            if row is not None and row["starts"] > MAX_STARTS:
                await self._declare_dead(session, job_id, row, f"its worker died {MAX_STARTS} times")
                return None
            return row

    async def _bury(self, job_id: UUID, started: Any, reason: str) -> None:
        async with self._database.transaction() as session:
            await self._declare_dead(session, job_id, started, reason)

    async def _declare_dead(self, session: WriteSession, job_id: UUID, started: Any, reason: str) -> None:
        log.error("job.dead", job=started["name"], job_id=str(job_id), reason=reason)
        await session.execute(_ended(job_id, "dead", reason))
        if (told := self._dead_letters.get(started["name"])) is not None:
            await told(session, started["payload"], reason)

    async def _end(self, job_id: UUID, written: Update) -> None:
        """Write it down, once the database is there again: what nobody knows of counts as a worker that died."""
        for pause in (*_PATIENCE, None):
            try:
                async with self._database.transaction() as session:
                    await session.execute(written)
                return
            except AWAY as error:
                log.warning("job.unwritten", job_id=str(job_id), error=type(error).__name__)
                if pause is None:
                    raise
                await asyncio.sleep(pause)


def _ended(job_id: UUID, status: str, error: str | None) -> Update:
    """An end that is written stays: a worker that was frozen while another took its job over changes it no more."""
    ended = {"status": status, "error": error, "finished_at": func.now()}
    return update(job).where(job.c.id == job_id, job.c.status.notin_(FINISHED)).values(ended)


def _put_back(job_id: UUID, started: Any, error: str | None) -> Update:
    """Have it run again, unless another worker took it over and does."""
    # An interruption or a wait is not the job's fault: it does not count as a start.
    starts = job.c.starts - 1 if error is None else job.c.starts
    ours = update(job).where(job.c.id == job_id, job.c.status == "running", job.c.started_at == started["started_at"])
    return ours.values(status="queued", error=error, starts=starts)
