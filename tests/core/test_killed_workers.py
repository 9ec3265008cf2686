"""Workers that are killed: by a job of theirs, or from outside, with thousands of jobs waiting."""

import asyncio
import random
import subprocess
import sys
import textwrap
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core import workers
from app.core.db import Database
from app.core.jobs import enqueue
from app.core.workers import MAX_STARTS
from tests.core.queued import put, state

KILLER = textwrap.dedent("""
    import asyncio, os, sys
    from datetime import timedelta
    from app.core import logging, workers
    from app.core.db import Database
    from app.core.settings import get_settings

    workers.HEARTBEAT = timedelta(seconds=0.5)
    logging.configure("CRITICAL", pretty=False)

    async def kill(context):
        os._exit(9)

    async def fine(context):
        pass

    async def main():
        database = await Database.connect(sys.argv[1], get_settings())
        await workers.Worker(database, {"test.kill": kill, "test.fine": fine}, [], concurrency=2).drain()
        await database.close()

    asyncio.run(main())
""")


@pytest.mark.slow
async def test_a_job_that_kills_its_worker_ends_dead_and_the_others_run(database: Database, url: str) -> None:
    killing = await put(database, "test.kill")
    others = [await put(database, "test.fine") for _ in range(10)]
    died = 0
    for _ in range(4 * MAX_STARTS):
        ended = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", KILLER, url], capture_output=True, timeout=60, check=False
        )
        died += ended.returncode == 9
        assert ended.returncode in (0, 9), ended.stderr.decode()
        if (await state(database, killing))[0] == "dead":
            break
        # The next worker takes the job over when the dead one's heartbeat is overdue.
        await asyncio.sleep(workers.HEARTBEAT.total_seconds() / 20)
    assert died == MAX_STARTS
    assert await state(database, killing) == ("dead", MAX_STARTS + 1, f"its worker died {MAX_STARTS} times")
    assert {(await state(database, each))[0] for each in others} == {"done"}
    assert timedelta(seconds=1) < workers.HEARTBEAT < timedelta(minutes=1)


JOBS = 3000
KILLS = 20
DIED = f"its worker died {MAX_STARTS} times"
POISON = {
    "test.raise": f"failed {MAX_STARTS} times: RuntimeError",
    "test.exit": DIED,
    "test.hang": f"failed {MAX_STARTS} times: TookTooLong",
}
WORKER = textwrap.dedent("""
    import asyncio, os, sys
    from datetime import timedelta
    from app.core import logging, workers
    from app.core.db import Database
    from app.core.settings import get_settings

    workers.HEARTBEAT = timedelta(seconds=0.5)
    logging.configure("CRITICAL", pretty=False)

    async def effect(context):
        async with context.database.transaction() as session:
            await session.connection.execute(
                "INSERT INTO effect SELECT $1 WHERE NOT EXISTS (SELECT FROM effect WHERE job_id = $1)", context.id
            )

    async def fail(context):
        raise RuntimeError

    async def kill(context):
        os._exit(9)

    async def hang(context):
        await asyncio.Event().wait()

    async def main():
        database = await Database.connect(sys.argv[1], get_settings(), size=12)
        handlers = {"test.effect": effect, "test.raise": fail, "test.exit": kill, "test.hang": hang}
        await workers.Worker(database, handlers, [], concurrency=4, longest=0.5).run()

    asyncio.run(main())
""")


def _worker(url: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", WORKER, url])


async def _left(database: Database) -> int:
    # No wait between two attempts is longer than a moment.
    async with database.connection() as connection:
        await connection.execute("UPDATE pgqueuer SET execute_after = now() WHERE execute_after > now()")
        found: int = await connection.fetchval("SELECT count(*) FROM job WHERE status NOT IN ('done', 'dead')")
        return found


@pytest.mark.slow
async def test_no_job_is_lost_and_no_effect_is_there_twice(database: Database, url: str) -> None:
    chosen = random.Random(3)
    async with database.connection() as connection:
        await connection.execute("CREATE TABLE effect (job_id uuid NOT NULL)")
    names = ["test.effect"] * JOBS
    for name in POISON:
        names.insert(chosen.randrange(JOBS // 2), name)
    named: dict[UUID, str] = {}
    for first in range(0, len(names), 500):
        async with database.transaction() as session:
            named |= {await enqueue(session, name, {}): name for name in names[first : first + 500]}
    workers = [_worker(url), _worker(url)]
    killed = 0
    try:
        async with asyncio.timeout(240):
            while await _left(database):
                await asyncio.sleep(0.1 + chosen.random() * 0.2)
                n = chosen.randrange(2)
                if killed < KILLS and workers[n].poll() is None and chosen.random() < 0.2:
                    workers[n].kill()
                    killed += 1
                workers = [each if each.poll() is None else _worker(url) for each in workers]
    finally:
        for each in workers:
            each.kill()
        for each in workers:
            with suppress(ProcessLookupError):
                each.wait()
    rows = await database.reading().all(text("SELECT id, status, error, starts FROM job"))
    ended = {row["id"]: (row["status"], row["error"]) for row in rows}
    dead = {named[each]: end for each, end in ended.items() if end != ("done", None)}
    assert dead.keys() == POISON.keys()
    # What fails now and then stands beside a worker that is killed, and its last start counts.
    assert all(dead[name] in {("dead", reason), ("dead", DIED)} for name, reason in POISON.items())
    assert dead["test.exit"] == ("dead", DIED)
    assert len(ended) == JOBS + len(POISON)
    assert any(row["starts"] > 1 for row in rows if row["status"] == "done")
    assert killed >= KILLS // 4
    effects = await database.reading().all(text("SELECT job_id, count(*) AS times FROM effect GROUP BY job_id"))
    assert {row["job_id"]: row["times"] for row in effects} == {
        each: 1 for each in named if named[each] == "test.effect"
    }
