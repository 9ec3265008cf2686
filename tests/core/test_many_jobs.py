"""Three thousand jobs, workers that are killed throughout, and poison among them: every effect is there, once."""

import asyncio
import random
import subprocess
import sys
import textwrap
from contextlib import suppress
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.db import Database
from app.core.jobs import MAX_STARTS, enqueue

JOBS = 3000
KILLS = 20
POISON = {
    "test.raise": f"failed {MAX_STARTS} times: RuntimeError",
    "test.exit": f"its worker died {MAX_STARTS} times",
    "test.hang": f"failed {MAX_STARTS} times: TookTooLong",
}
WORKER = textwrap.dedent("""
    import asyncio, os, sys
    from datetime import timedelta
    from app.core import jobs, logging
    from app.core.db import Database
    from app.core.settings import get_settings

    jobs.HEARTBEAT = timedelta(seconds=0.5)
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
        await jobs.Worker(database, handlers, [], concurrency=4, longest=0.5).run()

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
    put: dict[UUID, str] = {}
    for first in range(0, len(names), 500):
        async with database.transaction() as session:
            put |= {await enqueue(session, name, {}): name for name in names[first : first + 500]}
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
    assert {put[each]: end for each, end in ended.items() if end != ("done", None)} == {
        name: ("dead", reason) for name, reason in POISON.items()
    }
    assert len(ended) == JOBS + len(POISON)
    assert any(row["starts"] > 1 for row in rows if row["status"] == "done")
    assert killed >= KILLS // 4
    effects = await database.reading().all(text("SELECT job_id, count(*) AS times FROM effect GROUP BY job_id"))
    assert {row["job_id"]: row["times"] for row in effects} == {each: 1 for each in put if put[each] == "test.effect"}
