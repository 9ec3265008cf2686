"""Background work that survives kills: a row of ours says what became of it, pgqueuer carries it, a worker runs it.

A job is enqueued in the transaction that wants it. Its handler is idempotent, because a job whose worker was killed
runs again. The row is what counts: a job that has not ended and that pgqueuer carries no more, because the database
went away at the wrong moment, is carried again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from pgqueuer import AsyncpgDriver, Queries
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

from app.core import clock, tracing
from app.core.db import Database, WriteSession, metadata

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


async def forget_done(context: JobContext) -> None:
    """Delete what was done or cancelled a month ago: some come every minute. The dead stay, for whoever asks why."""
    async with context.database.transaction() as session:
        await session.execute(delete(job).where(job.c.status.in_(FORGOTTEN), job.c.created_at < func.now() - KEPT))


JOBS: dict[str, Handler] = {"jobs.forget": forget_done}
SCHEDULES = [Schedule("jobs.forget", "37 3 * * *")]
