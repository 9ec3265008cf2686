"""Long work: what a checkpoint says to the worker, and what ends a job for good."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import Table

from app.classification.models import prediction, recalculation, simulation
from app.core import clock, work
from app.core.db import Database
from app.core.errors import Conflict, NotFound, Unavailable
from app.core.jobs import Hopeless, Interrupted, JobContext
from app.core.work import Cancelled
from app.identity.actor import SYSTEM
from app.imports.models import imports

NOBODY = UUID(int=0)


async def _running(database: Database) -> UUID:
    async with database.transaction() as session:
        work_id = await work.queue(session, prediction, "predictions.fit", as_of=clock.now())
        assert await work.begin(session, prediction, work_id, total=10) is not None
    return work_id


def _context(database: Database) -> JobContext:
    return JobContext(database, {}, None, asyncio.Event())


async def _cancel(database: Database, work_id: UUID) -> None:
    async with database.transaction() as session:
        await work.cancel(session, SYSTEM, prediction, work_id)


async def test_what_is_done_counts_although_the_work_was_cancelled_meanwhile(database: Database) -> None:
    work_id = await _running(database)
    await _cancel(database, work_id)
    with pytest.raises(Cancelled):
        await work.checkpoint(_context(database), prediction, work_id, processed=7)
    row = await work.read(database.reading(), prediction, work_id)
    assert (row["status"], row["processed"]) == ("cancelled", 7)


async def test_what_work_comes_to_is_not_kept_when_it_was_cancelled_meanwhile(database: Database) -> None:
    work_id = await _running(database)
    await _cancel(database, work_id)
    with pytest.raises(Cancelled):
        async with database.transaction() as session:
            await work.keep(session, prediction, work_id, estimable=True)
    async with database.transaction() as session:
        assert not await work.end(session, prediction, work_id, "completed")
        assert await work.begin(session, prediction, work_id) is None
    row = await work.read(database.reading(), prediction, work_id)
    assert (row["status"], row["estimable"]) == ("cancelled", None)


async def test_a_worker_that_stops_leaves_off_at_the_checkpoint_that_it_has_written(database: Database) -> None:
    work_id, context = await _running(database), _context(database)
    context.stopping.set()
    with pytest.raises(Interrupted):
        await work.checkpoint(context, prediction, work_id, processed=7)
    row = await work.read(database.reading(), prediction, work_id)
    assert (row["status"], row["processed"]) == ("running", 7)


async def test_dead_jobs_take_only_work_that_has_not_ended_with_them(database: Database) -> None:
    work_id, died = await _running(database), work.fails_with_its_job(prediction)
    for reason in ("the ink has run out", "and so has the paper"):
        async with database.transaction() as session:
            await died(session, {"prediction_id": str(work_id)}, reason)
    row = await work.read(database.reading(), prediction, work_id)
    assert (row["status"], row["error"]) == ("failed", "the ink has run out")


@pytest.mark.parametrize("table", [recalculation, simulation, prediction, imports], ids=lambda table: table.name)
async def test_unknown_work_is_not_found(database: Database, table: Table) -> None:
    with pytest.raises(NotFound, match=f"There is no such {table.name}"):
        async with database.transaction() as session:
            await work.cancel(session, SYSTEM, table, NOBODY)


def test_a_problem_makes_the_job_hopeless_but_not_a_database_that_is_away() -> None:
    with pytest.raises(Hopeless, match="it was deleted"), work.carried():
        raise Conflict("it was deleted")
    with pytest.raises(Unavailable), work.carried():
        raise Unavailable


def test_a_job_whose_work_was_cancelled_is_done() -> None:
    with work.carried():
        raise Cancelled
