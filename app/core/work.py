"""Long work that people follow: a row says what was asked for, how far it is and how it ended.

Queued with the job that does it, it runs until it is completed, failed or cancelled. Any table with `columns()` and an
`id` holds such work; the table's name is the noun by which callers, audit and job know it. Whoever cancels changes the
row only: the worker finds out at its next checkpoint.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ColumnElement, DateTime, Table, Text, func, insert, select, update
from sqlalchemy.schema import SchemaItem

from app.core import audit, clock, jobs
from app.core.bounds import Count, Out
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, NotFound, Problem, Unavailable
from app.core.jobs import DeadLetter, Hopeless, Interrupted, JobContext

Status = Literal["queued", "running", "completed", "failed", "cancelled"]
UNDER_WAY = ("queued", "running")


class Cancelled(Exception):
    """The work is not this worker's any more: cancelled, given up with its job, or taken over by another worker."""


class WorkOut(Out):
    """Long work: how far it is and how it ended."""

    id: UUID
    status: Status
    processed: Count
    total: Count | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    eta: datetime | None
    error: str | None


def columns() -> list[SchemaItem]:
    """What every table of long work has beside its `id`, who asked for it, and its own columns."""
    return [
        Column("status", Text, nullable=False, server_default="queued"),
        Column("error", Text),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("started_at", DateTime(timezone=True)),
        Column("finished_at", DateTime(timezone=True)),
        CheckConstraint(f"status IN {get_args(Status)}", name="status"),
    ]


def under_way(table: Table) -> ColumnElement[bool]:
    """Work that has not ended."""
    return table.c.status.in_(UNDER_WAY)


# ---- asked for, read, cancelled --------------------------------------------------------------------------------------


async def queue(session: WriteSession, table: Table, job: str, **values: Any) -> UUID:
    """Write down what this session's principal asks for, and enqueue the job that does it."""
    asked = insert(table).values(requested_by=session.principal, **values)
    work_id: UUID = await session.scalar(asked.returning(table.c.id))
    await jobs.enqueue(session, job, {key_of(table): str(work_id)})
    return work_id


async def read(session: ReadSession, table: Table, work_id: UUID) -> Record:
    """The row. Raises `NotFound`."""
    row = await session.first(select(table).where(table.c.id == work_id))
    if row is None:
        raise NotFound(f"There is no such {table.name}")
    return row


def progress(row: Record, processed: int, total: int | None) -> dict[str, Any]:
    """The row in the shape of `WorkOut`."""
    done = total if row["status"] == "completed" else processed
    return {**row, "processed": done, "total": total, "eta": expected_end(row, processed / total if total else 0)}


def expected_end(row: Record, share: float) -> datetime | None:
    """When the work ends if it goes on as it did for this share of it; None unless it runs and has begun."""
    if row["status"] != "running" or not share:
        return None
    now = clock.now()
    so_far: timedelta = now - row["started_at"]
    return now + so_far * (max(1 - share, 0) / share)


async def cancel(session: WriteSession, who: audit.Who, table: Table, work_id: UUID) -> None:
    """Have it stop at its next checkpoint. Raises `NotFound`, and `Conflict` when it has ended."""
    if not await end(session, table, work_id, "cancelled"):
        await read(session, table, work_id)
        raise Conflict(f"This {table.name} has ended")
    audit.record(session, who, f"{table.name}.cancelled", table.name, work_id)


# ---- carried by a worker ---------------------------------------------------------------------------------------------


def id_from(table: Table, payload: Mapping[str, Any]) -> UUID:
    """Which work a job is to do."""
    return UUID(payload[key_of(table)])


async def begin(session: WriteSession, table: Table, work_id: UUID, **values: Any) -> Record | None:
    """Take the work up, or up again; None when it has ended."""
    first_start = func.coalesce(table.c.started_at, func.now())
    begun = update(table).where(table.c.id == work_id, under_way(table))
    return await session.first(begun.values(status="running", started_at=first_start, **values).returning(table))


async def take_up(context: JobContext, table: Table) -> Record | None:
    """What the job is to do, begun in a transaction of its own; None when it has ended."""
    async with context.database.transaction() as session:
        return await begin(session, table, id_from(table, context.payload))


async def keep(
    session: WriteSession, table: Table, work_id: UUID, *conditions: ColumnElement[bool], **values: Any
) -> Record:
    """Write down what this transaction comes to; the row as it is now. Raises `Cancelled`, which undoes all of it."""
    running = update(table).where(table.c.id == work_id, table.c.status == "running", *conditions)
    row = await session.first(running.values(**values).returning(table))
    if row is None:
        raise Cancelled
    return row


async def checkpoint(context: JobContext, table: Table, work_id: UUID, **values: Any) -> None:
    """Write down how far the work is, also when it was cancelled meanwhile: what is done is done.

    Raises `Cancelled`, and `Interrupted` when the worker stops.
    """
    reached = update(table).where(table.c.id == work_id).values(**values)
    async with context.database.transaction() as session:
        status = await session.scalar(reached.returning(table.c.status))
    if status != "running":
        raise Cancelled
    if context.stopping.is_set():
        raise Interrupted


async def end(session: WriteSession, table: Table, work_id: UUID, status: Status, **values: Any) -> bool:
    """Let it end like this; False when it had ended before, and so it stays."""
    ended = update(table).where(table.c.id == work_id, under_way(table))
    return await session.execute(ended.values(status=status, finished_at=func.now(), **values)) > 0


@contextmanager
def carried() -> Iterator[None]:
    """Around all of a job's work: what was cancelled is left alone, what meets a `Problem` can never succeed."""
    try:
        yield
    except Cancelled:
        return
    except Unavailable:
        raise  # in a moment it can
    except Problem as problem:
        raise Hopeless(problem.detail or problem.title) from problem


def fails_with_its_job(table: Table) -> DeadLetter:
    """What is done when the job is dead: so is the work, and it says why."""

    async def died(session: WriteSession, payload: dict[str, Any], reason: str) -> None:
        await end(session, table, id_from(table, payload), "failed", error=reason)

    return died


def key_of(table: Table) -> str:
    """By which a job's payload names the work."""
    return f"{table.name}_id"
