"""Background work that survives kills: a row of ours says what became of it, pgqueuer carries it.

A job is enqueued in the transaction that wants it. Its handler is idempotent, because a job whose worker
was killed runs again; after `MAX_STARTS` starts that came to no end, or lasted too long, it is dead, with its
reason kept, so that a job that kills its worker cannot kill them all. The row is what counts: a job that has not ended
and that pgqueuer carries no more, because the database went away at the wrong moment, is carried again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from pgqueuer import AsyncpgDriver, AsyncpgPoolDriver, PgQueuer, Queries
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job as CarriedJob
from pgqueuer.models import Schedule as CarriedSchedule
from pgqueuer.types import QueueExecutionMode
from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    and_,
    column,
    delete,
    func,
    insert,
    literal,
    select,
    table,
    update,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import JSONB

from app.core import clock, telemetry, tracing
from app.core.db import Database, WriteSession, metadata

MAX_STARTS = 5
HEARTBEAT = timedelta(seconds=10)
LOOKED_AFTER = timedelta(seconds=15)
"""How often a worker looks for jobs that nothing carries any more."""
FINISHED = ("done", "dead", "cancelled")
FORGOTTEN = ("done", "cancelled")
KEPT = timedelta(days=30)

log = structlog.get_logger(__name__)

job = Table(
    "job",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("name", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("status", Text, nullable=False, server_default="queued"),
    Column("starts", Integer, nullable=False, server_default="0"),
    Column("error", Text),
    Column("correlation_id", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Index("ix_job_status_created_at", "status", "created_at"),
)

_carried = table("pgqueuer", column("payload", LargeBinary))
_RECOVERY_LOCK = 0x7ECA77


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a handler gets: the worker's database and the job's own data. `id` stays over all attempts."""

    database: Database
    payload: dict[str, Any]
    correlation_id: str | None
    stopping: asyncio.Event
    id: UUID = field(default_factory=uuid4)
    queued_at: datetime = field(default_factory=clock.now)


Handler = Callable[[JobContext], Awaitable[None]]
DeadLetter = Callable[[WriteSession, dict[str, Any], str], Awaitable[None]]
"""Told, in the transaction that declares a job dead, its payload and the reason."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Enqueue the job of this name when the cron expression (UTC) says so."""

    name: str
    cron: str
    payload: dict[str, Any] = field(default_factory=dict)
    standing: bool = False
    """Whether a run lasts until the next one: nobody waits for its end."""


class Interrupted(Exception):
    """Raised by a handler that left off at a checkpoint because the worker is stopping."""


class Postponed(Exception):
    """Raised by a handler that waits for somebody else: it is tried again after the delay, and no start is counted.

    How often that may be is the handler's to say: by `JobContext.queued_at` it knows since when it waits.
    """

    def __init__(self, delay: timedelta) -> None:
        super().__init__()
        self.delay = delay


class TookTooLong(Exception):
    """A handler was broken off after the longest that a start may last."""


class Hopeless(Exception):
    """Raised by a handler whose job can never succeed: it is dead at once, with this reason."""


@asynccontextmanager
async def alone(context: JobContext, lock: int) -> AsyncIterator[None]:
    """Hold an advisory lock, on a connection of its own: one block at a time in the whole installation.

    Raises `Interrupted` when the worker stops while it waits.
    """
    async with context.database.connection() as connection:
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock):
            if context.stopping.is_set():
                raise Interrupted
            await asyncio.sleep(0.2)
        try:
            yield
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", lock)


async def enqueue(session: WriteSession, name: str, payload: dict[str, Any]) -> UUID:
    """Enqueue within the transaction: announced if and only if it commits."""
    row = await session.first(
        insert(job).values(name=name, payload=payload, correlation_id=session.correlation_id).returning(job.c.id)
    )
    assert row is not None
    job_id: UUID = row["id"]
    await Queries(AsyncpgDriver(session.connection)).enqueue(name, job_id.bytes, headers=tracing.carrier())
    return job_id


def lost() -> ColumnElement[bool]:
    """Jobs that have not ended and that nothing carries: no worker would come across them."""
    carried = select(_carried.c.payload).where(_carried.c.payload == func.uuid_send(job.c.id))
    return and_(job.c.status.notin_(FINISHED), ~carried.exists())


async def recover(database: Database) -> int:
    """Have what is lost carried again; how many jobs that were. Somebody else's recovery is left to do it."""
    async with database.transaction() as session:
        if not await session.scalar(select(func.pg_try_advisory_xact_lock(literal(_RECOVERY_LOCK, Integer)))):
            return 0
        found = await session.all(select(job.c.id, job.c.name).where(lost()).order_by(job.c.id).limit(1000))
        if found:
            names, payloads = [row["name"] for row in found], [row["id"].bytes for row in found]
            await Queries(AsyncpgDriver(session.connection)).enqueue(names, payloads, [0] * len(found))
            log.warning("jobs.recovered", jobs=len(found))
        return len(found)


async def revive(session: WriteSession, job_id: UUID) -> bool:
    """Have a dead job carried again, as if it had never been tried; False when it is not dead."""
    fresh = {"status": "queued", "starts": 0, "error": None, "started_at": None, "finished_at": None}
    revived = update(job).where(job.c.id == job_id, job.c.status == "dead").values(fresh)
    row = await session.first(revived.returning(job.c.name))
    if row is not None:
        await Queries(AsyncpgDriver(session.connection)).enqueue(row["name"], job_id.bytes)
    return row is not None


async def cancel(session: WriteSession, job_id: UUID, told: DeadLetter | None, reason: str) -> bool:
    """End a job that waits, and tell what relies on it; False when it runs or has ended."""
    ended = update(job).where(job.c.id == job_id, job.c.status == "queued")
    row = await session.first(ended.values(status="cancelled", finished_at=func.now()).returning(job.c.payload))
    if row is not None and told is not None:
        await told(session, row["payload"], reason)
    return row is not None


async def progressed(session: WriteSession, job_id: UUID) -> None:
    """The job reached a checkpoint: only starts that lead nowhere count against it."""
    await session.execute(update(job).where(job.c.id == job_id).values(starts=1))


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
        started = await self._begin(job_id)
        if started is None:
            return
        name, clock = started["name"], time.perf_counter()
        outcome = "done"
        payload, cause, queued_at = started["payload"], started["correlation_id"], started["created_at"]
        context = JobContext(self._database, payload, cause, self._stopping, job_id, queued_at)
        try:
            await self._carry_out(handler, context)
            await self._end(job_id, "done", None)
        except Interrupted:
            outcome = "interrupted"
            await self._end(job_id, "queued", None)
            raise RetryRequested(timedelta(0), "the worker stopped") from None
        except Postponed as wait:
            outcome = "postponed"
            await self._end(job_id, "queued", None)
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
            await self._end(job_id, "queued", type(error).__name__)
            raise RetryRequested(timedelta(seconds=2 ** started["starts"]), type(error).__name__) from error
        finally:
            telemetry.jobs.labels(name, outcome).observe(time.perf_counter() - clock)

    async def _carry_out(self, handler: Handler, context: JobContext) -> None:
        try:
            async with asyncio.timeout(self._longest) as limit:
                await handler(context)
        except TimeoutError as error:
            raise (TookTooLong() if limit.expired() else error) from None

    async def _begin(self, job_id: UUID) -> Any:
        """Count the start before it happens: a job that kills its worker is found out by its starts."""
        async with self._database.transaction() as session:
            row = await session.first(
                update(job)
                .where(job.c.id == job_id, job.c.status.notin_(FINISHED))
                .values(starts=job.c.starts + 1, status="running", started_at=func.now())
                .returning(job.c.name, job.c.payload, job.c.correlation_id, job.c.starts, job.c.created_at)
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

    async def _end(self, job_id: UUID, status: str, error: str | None) -> None:
        async with self._database.transaction() as session:
            await session.execute(_ended(job_id, status, error))


def _ended(job_id: UUID, status: str, error: str | None) -> Any:
    """An end that is written stays: a worker that was frozen while another took its job over changes it no more."""
    finished = func.now() if status in FINISHED else None
    # An interruption or a wait is not the job's fault: it does not count as a start.
    starts = job.c.starts - 1 if status == "queued" and error is None else job.c.starts
    ended = {"status": status, "error": error, "finished_at": finished, "starts": starts}
    return update(job).where(job.c.id == job_id, job.c.status.notin_(FINISHED)).values(ended)


async def forget_done(context: JobContext) -> None:
    """Delete what was done or cancelled a month ago: some come every minute. The dead stay, for whoever asks why."""
    async with context.database.transaction() as session:
        await session.execute(delete(job).where(job.c.status.in_(FORGOTTEN), job.c.created_at < func.now() - KEPT))


JOBS: dict[str, Handler] = {"jobs.forget": forget_done}
SCHEDULES = [Schedule("jobs.forget", "37 3 * * *")]
