"""No job is lost, none runs for ever, and one that kills its worker does not take the others with it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from app.core import jobs
from app.core.db import Database, WriteSession
from app.core.jobs import Hopeless, Interrupted, JobContext, Postponed
from app.core.workers import MAX_STARTS, Worker
from tests.core.queued import put, state

Handler = Callable[[JobContext], Awaitable[None]]


async def _drain(database: Database, handlers: dict[str, Handler], **options: Any) -> None:
    """Work off the queue; no wait between two attempts is longer than a moment."""
    hurrying = asyncio.create_task(_hurry(database))
    try:
        await Worker(database, handlers, [], concurrency=2, **options).drain()
    finally:
        hurrying.cancel()


async def _hurry(database: Database) -> None:
    while True:
        async with database.connection() as connection:
            await connection.execute("UPDATE pgqueuer SET execute_after = now() WHERE execute_after > now()")
        await asyncio.sleep(0.02)


async def test_a_job_gets_its_payload_and_the_request_it_came_from(database: Database) -> None:
    seen: list[tuple[Any, str | None]] = []

    async def note(context: JobContext) -> None:
        seen.append((context.payload, context.correlation_id))

    job_id = await put(database, "test.note", {"text": "客户", "n": 1})
    await Worker(database, {"test.note": note}, [], concurrency=2).drain()
    assert seen == [({"text": "客户", "n": 1}, "c-1")]
    assert await state(database, job_id) == ("done", 1, None)
    assert await database.reading().scalar(text("SELECT count(*) FROM pgqueuer")) == 0


async def test_a_job_that_fails_is_tried_again_later(database: Database) -> None:
    attempts: list[tuple[str, int, str | None]] = []

    async def third_time_lucky(context: JobContext) -> None:
        attempts.append(await state(database, job_id))
        if len(attempts) < 3:
            raise ConnectionError("the phone of somebody")

    job_id = await put(database, "test.lucky")
    await _drain(database, {"test.lucky": third_time_lucky})
    assert attempts == [("running", 1, None), ("running", 2, "ConnectionError"), ("running", 3, "ConnectionError")]
    assert await state(database, job_id) == ("done", 3, None)


WAITS = [(ValueError, 1, 2), (ValueError, 3, 8), (OSError, 1, 2), (asyncpg.ConnectionDoesNotExistError, 3, 32)]


@pytest.mark.parametrize(("error", "starts", "seconds"), WAITS)
async def test_the_next_attempt_waits_and_longer_when_the_database_was_lost(
    database: Database, error: type[Exception], starts: int, seconds: int
) -> None:
    async def fail(context: JobContext) -> None:
        raise error

    job_id = await put(database, "test.fail")
    async with database.connection() as connection:
        await connection.execute("UPDATE job SET starts = $1", starts - 1)
    working = asyncio.create_task(Worker(database, {"test.fail": fail}, [], concurrency=2).drain())
    waits = text(
        f"SELECT execute_after - now() BETWEEN '{seconds - 1} second' AND '{seconds} seconds'"
        " FROM pgqueuer WHERE status = 'queued'"
    )
    while (await state(database, job_id))[0] != "queued" or not await database.reading().scalar(waits):
        assert not working.done()
        await asyncio.sleep(0.01)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert await state(database, job_id) == ("queued", starts, error.__name__)


async def test_a_job_that_waits_for_somebody_else_waits_as_long_as_it_says_and_knows_since_when(
    database: Database,
) -> None:
    seen: list[JobContext] = []

    async def wait(context: JobContext) -> None:
        seen.append(context)
        if len(seen) <= 2 * MAX_STARTS:
            raise Postponed(timedelta(hours=1))

    job_id = await put(database, "test.wait")
    hour = text("SELECT execute_after - now() > '59 minutes' FROM pgqueuer WHERE status = 'queued'")
    working = asyncio.create_task(Worker(database, {"test.wait": wait}, [], concurrency=2).drain())
    while not await database.reading().scalar(hour):
        assert not working.done()
        await asyncio.sleep(0.01)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert await state(database, job_id) == ("queued", 0, None)
    await _drain(database, {"test.wait": wait})
    assert await state(database, job_id) == ("done", 1, None), "its waits were counted as failures"
    created = await database.reading().scalar(text("SELECT created_at FROM job WHERE id = :id"), {"id": job_id})
    assert {(each.id, each.queued_at) for each in seen} == {(job_id, created)}


async def test_a_lane_is_as_wide_as_it_says_and_the_others_go_past_it(database: Database) -> None:
    under_way, most, passed = 0, 0, asyncio.Event()

    async def slow(context: JobContext) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.wait_for(passed.wait(), 10)
        under_way -= 1

    async def other(context: JobContext) -> None:
        while under_way < 2:  # noqa: ASYNC110  the two begin on their own
            await asyncio.sleep(0.01)
        passed.set()

    for _ in range(6):
        await put(database, "test.slow")
    await put(database, "test.other")
    handlers: dict[str, Handler] = {"test.slow": slow, "test.other": other}
    await Worker(database, handlers, [], concurrency=4, lanes={"test.slow": 2}).drain()
    assert most == 2


async def test_a_job_that_always_fails_is_dead_with_its_reason_and_others_run(database: Database) -> None:
    told: list[tuple[dict[str, Any], str]] = []

    async def fail(context: JobContext) -> None:
        raise ValueError("with personal data inside")

    async def fine(context: JobContext) -> None: ...

    async def bury(session: WriteSession, payload: dict[str, Any], reason: str) -> None:
        told.append((payload, reason))

    failing = await put(database, "test.fail", {"n": 7})
    others = [await put(database, "test.fine") for _ in range(5)]
    await _drain(database, {"test.fail": fail, "test.fine": fine}, dead_letters={"test.fail": bury})
    reason = f"failed {MAX_STARTS} times: ValueError"
    assert await state(database, failing) == ("dead", MAX_STARTS, reason)
    assert told == [({"n": 7}, reason)]
    assert {(await state(database, each))[0] for each in others} == {"done"}


async def test_a_hopeless_job_is_dead_at_once(database: Database) -> None:
    async def hopeless(context: JobContext) -> None:
        raise Hopeless("the file is gone")

    job_id = await put(database, "test.hopeless")
    await Worker(database, {"test.hopeless": hopeless}, [], concurrency=2).drain()
    assert await state(database, job_id) == ("dead", 1, "the file is gone")


async def test_a_job_that_hangs_is_broken_off_and_ends_dead(database: Database) -> None:
    async def hang(context: JobContext) -> None:
        async with context.database.transaction() as session:
            await session.scalar(text("SELECT 1 FROM pg_sleep(60)"))

    async def gives_up(_: JobContext) -> None:
        raise TimeoutError

    hanging, own = await put(database, "test.hang"), await put(database, "test.own")
    await _drain(database, {"test.hang": hang, "test.own": gives_up}, longest=0.1)
    assert await state(database, hanging) == ("dead", MAX_STARTS, f"failed {MAX_STARTS} times: TookTooLong")
    assert await state(database, own) == ("dead", MAX_STARTS, f"failed {MAX_STARTS} times: TimeoutError")
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(60)'"
    assert await database.reading().scalar(text(asleep)) == 0


async def test_an_interruption_is_not_the_jobs_fault(database: Database) -> None:
    interruptions = MAX_STARTS * 2

    async def patient(context: JobContext) -> None:
        nonlocal interruptions
        if interruptions:
            interruptions -= 1
            raise Interrupted

    job_id = await put(database, "test.patient")
    await _drain(database, {"test.patient": patient})
    assert await state(database, job_id) == ("done", 1, None)


async def test_what_was_done_is_not_done_again_when_it_is_carried_twice(database: Database) -> None:
    runs: list[int] = []

    async def count(context: JobContext) -> None:
        runs.append(1)

    job_id = await put(database, "test.count")
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO pgqueuer (priority, entrypoint, payload, status, execute_after)"
            " SELECT priority, entrypoint, payload, status, execute_after FROM pgqueuer"
        )
    await Worker(database, {"test.count": count}, [], concurrency=1).drain()
    assert len(runs) == 1
    assert await state(database, job_id) == ("done", 1, None)


async def test_a_worker_that_is_told_to_stop_ends_and_leaves_the_rest(database: Database) -> None:
    started = asyncio.Event()

    async def long(context: JobContext) -> None:
        started.set()
        await context.stopping.wait()
        raise Interrupted

    job_id = await put(database, "test.long")
    worker = Worker(database, {"test.long": long}, [], concurrency=2)
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(started.wait(), timeout=10)
    worker.stop()
    await asyncio.wait_for(running, timeout=10)
    assert await state(database, job_id) == ("queued", 0, None)


@pytest.mark.slow
async def test_a_worker_goes_on_after_its_connections_were_cut(database: Database, url: str) -> None:
    done = asyncio.Event()

    async def finish(context: JobContext) -> None:
        done.set()

    worker = Worker(database, {"test.finish": finish}, [], concurrency=2)
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0.3)
    async with database.connection() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'strata'"
        )
    await put(database, "test.finish")
    await asyncio.wait_for(done.wait(), timeout=15)
    worker.stop()
    await asyncio.wait_for(running, timeout=10)


async def test_a_job_that_nothing_carries_any_more_is_carried_again_once(database: Database) -> None:
    runs: list[str] = []
    done = asyncio.Event()

    async def finish(context: JobContext) -> None:
        runs.append(context.payload["which"])
        if len(runs) == 3:
            done.set()

    made = [await put(database, "test.finish", {"which": which}) for which in ("queued", "running", "carried", "done")]
    async with database.connection() as connection:
        await connection.execute("DELETE FROM pgqueuer WHERE payload <> $1", made[2].bytes)
        for job_id, status in ((made[1], "running"), (made[3], "done")):
            await connection.execute("UPDATE job SET status = $2 WHERE id = $1", job_id, status)
    worker = Worker(database, {"test.finish": finish}, [], concurrency=1)
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(done.wait(), timeout=20)
    worker.stop()
    await asyncio.wait_for(running, timeout=10)
    assert sorted(runs) == ["carried", "queued", "running"]
    assert await jobs.recover(database) == 0


async def test_of_two_who_look_for_lost_jobs_one_has_them_carried(database: Database) -> None:
    lost = [await put(database, "test.lost") for _ in range(20)]
    async with database.connection() as connection:
        await connection.execute("DELETE FROM pgqueuer")
    found = await asyncio.gather(*(jobs.recover(database) for _ in range(5)))
    assert sum(found) == len(lost)
    assert await database.reading().scalar(text("SELECT count(*) FROM pgqueuer")) == len(lost)


async def test_a_job_whose_end_cannot_be_written_is_not_lost(database: Database) -> None:
    ran: list[str] = []

    async def fine(context: JobContext) -> None:
        ran.append("once")

    await _refuse_ends(database, times=3)
    job_id = await put(database, "test.fine")
    await _drain(database, {"test.fine": fine})
    assert await state(database, job_id) == ("done", 1, None), "what was done is not done again"
    assert ran == ["once"]


async def _refuse_ends(database: Database, *, times: int) -> None:
    """Whatever is to be written of a job that runs, the disk is full. A sequence counts, which nothing rolls back."""
    async with database.connection() as connection:
        await connection.execute("CREATE SEQUENCE refused")
        await connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF nextval('refused') <= {times} THEN RAISE EXCEPTION SQLSTATE '53100'; END IF; RETURN NEW; END $$"
        )
        await connection.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON job FOR EACH ROW WHEN (OLD.status = 'running')"
            " EXECUTE FUNCTION refuse()"
        )


async def test_a_worker_whose_queue_cannot_be_read_works_on_as_soon_as_it_can(database: Database) -> None:
    done = asyncio.Event()

    async def finish(context: JobContext) -> None:
        done.set()

    async with database.connection() as connection:
        await connection.execute("ALTER TABLE pgqueuer RENAME COLUMN priority TO away")
    worker = Worker(database, {"test.finish": finish}, [], concurrency=2)
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0.5)
    assert not running.done()
    async with database.connection() as connection:
        await connection.execute("ALTER TABLE pgqueuer RENAME COLUMN away TO priority")
    await put(database, "test.finish")
    await asyncio.wait_for(done.wait(), timeout=15)
    worker.stop()
    await asyncio.wait_for(running, timeout=10)


async def test_of_jobs_whose_worker_died_one_runs_at_a_time_and_others_go_past_them(database: Database) -> None:
    together = most = 0
    ended: list[str] = []

    async def slow(context: JobContext) -> None:
        nonlocal together, most
        together += 1
        most = max(most, together)
        await asyncio.sleep(0.2)
        together -= 1
        ended.append("suspect")

    async def other(_: JobContext) -> None:
        ended.append("other")

    suspects = [await put(database, "test.slow") for _ in range(3)]
    async with database.connection() as connection:
        await connection.execute("UPDATE job SET status = 'running', starts = 1")
    others = [await put(database, "test.other") for _ in range(5)]
    await _drain(database, {"test.slow": slow, "test.other": other})
    assert most == 1
    assert sorted(ended[:6]) == [*["other"] * 5, "suspect"]
    assert [await state(database, each) for each in suspects] == [("done", 2, None)] * 3
    assert [await state(database, each) for each in others] == [("done", 1, None)] * 5


async def test_an_end_stays_whatever_a_worker_that_was_frozen_has_to_say(database: Database) -> None:
    async def overtaken(context: JobContext) -> None:
        async with context.database.transaction() as session:  # another worker took the job over, and ended it
            await session.execute(text("UPDATE job SET status = 'done', finished_at = now() WHERE id = :id"), taken)
        raise ConnectionError

    job_id = await put(database, "test.overtaken")
    taken = {"id": job_id}
    await _drain(database, {"test.overtaken": overtaken})
    assert await state(database, job_id) == ("done", 1, None)


async def test_whoever_was_overtaken_does_not_put_a_job_back_that_runs(database: Database) -> None:
    runs = 0

    async def overtaken(context: JobContext) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            async with context.database.transaction() as session:  # another worker took the job over, and runs it
                await session.execute(text("UPDATE job SET started_at = now(), starts = 2 WHERE id = :id"), taken)
            raise Interrupted

    job_id = await put(database, "test.overtaken")
    taken = {"id": job_id}
    await _drain(database, {"test.overtaken": overtaken})
    assert await state(database, job_id) == ("done", 3, None)


async def test_what_was_done_a_month_ago_is_forgotten_and_what_is_dead_is_not(database: Database) -> None:
    made = [await put(database, "fine") for _ in range(4)]
    async with database.transaction() as session:
        for job_id, status, days in zip(made, ("done", "done", "dead", "queued"), (31, 29, 31, 31), strict=True):
            await session.connection.execute(
                "UPDATE job SET status = $2, created_at = now() - make_interval(days => $3) WHERE id = $1",
                job_id,
                status,
                days,
            )
    await jobs.forget_done(JobContext(database, {}, None, asyncio.Event()))
    kept = await database.reading().all(text("SELECT id FROM job"))
    assert {row["id"] for row in kept} >= set(made[1:])
    assert made[0] not in {row["id"] for row in kept}
