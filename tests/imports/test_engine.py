"""An import is killed, stopped, cancelled, robbed of its staging table, and still ends with exactly the valid rows."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core.db import Database
from app.core.jobs import Interrupted, JobContext
from app.core.work import Cancelled
from app.imports import engine, handlers, runs
from tests.conftest import RunJobs
from tests.imports.sending import counts, csv_of, errors, shown, started

ROWS = 100_000
CUSTOMERS = 2999
BAD = 1000  # every so many rows one without an amount
GOOD = ROWS - ROWS // BAD
CONTENT = csv_of(
    (f"C{n % CUSTOMERS}", f"O{n // 3}", "2024-01-02", "" if n % BAD == BAD - 1 else f"{n % 97 + 1}.25")
    for n in range(ROWS)
)
TOTAL = sum((n % 97 + 1) * 100 + 25 for n in range(ROWS) if n % BAD != BAD - 1)
STAGES = [("run", 0), *(("rows_read", n * 20_000) for n in range(4)), *(("accepted", n * 15_000) for n in range(5))]
BAD_LINES = [n + 2 for n in range(BAD - 1, ROWS, BAD)]
WORKER = """
import asyncio, sys
from app import features
from app.core.db import Database
from app.core.jobs import JobContext
from app.core.settings import get_settings
from app.imports import engine, handlers

async def main(url, import_id):
    features.install()
    engine.BATCH = 10_000
    database = await Database.connect(url, get_settings(), statement_timeout=0)
    await handlers.run(JobContext(database, {"import_id": import_id}, None, asyncio.Event()))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def _many_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BATCH", 10_000)


async def _row(database: Database, import_id: str) -> Any:
    async with database.connection() as connection:
        return await connection.fetchrow("SELECT * FROM import WHERE id = $1", UUID(import_id))


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110  another process brings it about
            await asyncio.sleep(0.01)


async def _check_exact(client: httpx.AsyncClient, database: Database, import_id: str) -> None:
    """The import is complete, every bad row is reported once, and every good one is there once."""
    done = await shown(client, import_id)
    assert (done["status"], done["total"]) == ("completed", ROWS), done
    assert counts(done) == (GOOD, ROWS - GOOD, 0)
    assert await errors(client, import_id) == [(line, "amount", "amount is missing") for line in BAD_LINES]
    await _check_facts(database)


async def _check_facts(database: Database) -> None:
    async with database.connection() as connection:
        lines = await connection.fetchrow("SELECT count(*), sum(amount) * 100 FROM purchase_line")
        assert tuple(lines) == (GOOD, TOTAL)
        assert await connection.fetchval("SELECT sum(amount) * 100 FROM purchase") == TOTAL
        assert await connection.fetchval("SELECT count(*) FROM customer") == CUSTOMERS
        assert await connection.fetchval("SELECT count(*) FROM customer_identity") == CUSTOMERS
        for table in ("import_chunk", "purchase_import_row"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0


def _context(database: Database, import_id: str) -> JobContext:
    return JobContext(database, {"import_id": import_id}, None, asyncio.Event())


async def _spawn(url: str, import_id: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, url, import_id, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )


@pytest.mark.slow
async def test_killed_at_every_stage_it_goes_on(
    admin: httpx.AsyncClient, database: Database, url: str, run_jobs: RunJobs
) -> None:
    import_id = await started(admin, CONTENT)
    kills = 0
    for field, beyond in STAGES:
        worker = await _spawn(url, import_id)

        async def advanced(field: str = field, beyond: int = beyond) -> bool:
            return bool((await _row(database, import_id))[field] > beyond)

        await _until(advanced)
        assert worker.returncode is None, "it was done before it could be killed"
        worker.kill()
        await worker.wait()
        kills += 1
    row = await _row(database, import_id)
    assert (row["status"], row["run"], kills) == ("running", 10, 10)
    last = await _spawn(url, import_id)
    assert await last.wait() == 0
    await _check_exact(admin, database, import_id)
    await run_jobs()  # the job itself finds nothing left to do
    await _check_exact(admin, database, import_id)


async def test_stopped_at_every_checkpoint_it_goes_on(admin: httpx.AsyncClient, database: Database) -> None:
    import_id = await started(admin, CONTENT)
    stops = 0
    while True:
        context = _context(database, import_id)
        if stops % 2 == 0:
            context.stopping.set()
        else:
            asyncio.get_running_loop().call_later(0.2, context.stopping.set)
        try:
            await handlers.run(context)
            break
        except Interrupted:
            stops += 1
    assert stops >= 4
    await _check_exact(admin, database, import_id)


@pytest.mark.parametrize("field", ["rows_read", "accepted"])
async def test_a_server_crash_that_empties_the_staging_table_costs_a_second_reading(
    admin: httpx.AsyncClient, database: Database, field: str
) -> None:
    import_id = await started(admin, CONTENT)
    context = _context(database, import_id)
    running = asyncio.create_task(handlers.run(context))

    async def advanced() -> bool:
        return bool((await _row(database, import_id))[field] > 0)

    await _until(advanced)
    context.stopping.set()
    with pytest.raises(Interrupted):
        await running
    async with database.connection() as connection:
        await connection.execute("TRUNCATE purchase_import_row")
    await handlers.run(_context(database, import_id))
    await _check_exact(admin, database, import_id)
    assert (await shown(admin, import_id))["customers_created"] == CUSTOMERS


@pytest.mark.parametrize("field", ["rows_read", "accepted"])
async def test_cancelled_while_it_runs_it_stops_and_leaves_no_file(
    admin: httpx.AsyncClient, database: Database, field: str
) -> None:
    import_id = await started(admin, CONTENT)
    running = asyncio.create_task(handlers.run(_context(database, import_id)))

    async def advanced() -> bool:
        return bool((await _row(database, import_id))[field] > 0)

    await _until(advanced)
    assert (await admin.post(f"/v1/imports/{import_id}/cancel")).status_code == 200
    await running
    cancelled = await shown(admin, import_id)
    assert cancelled["status"] == "cancelled"
    assert cancelled["accepted"] < GOOD
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM purchase_line") == cancelled["accepted"]
        for table in ("import_chunk", "purchase_import_row"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    again = await started(admin, CONTENT)
    await handlers.run(_context(database, again))
    await _check_exact(admin, database, again)


async def test_a_worker_that_was_given_up_cannot_write_any_more(admin: httpx.AsyncClient, database: Database) -> None:
    import_id = UUID(await started(admin, CONTENT))
    frozen = await runs.Run.begin(database, import_id, correlation_id=None)
    successor = await runs.Run.begin(database, import_id, correlation_id=None)
    assert frozen is not None
    assert successor is not None
    with pytest.raises(Cancelled):
        await engine.run_import(_context(database, str(import_id)), frozen)
    assert (await _row(database, str(import_id)))["rows_read"] == 0
    await engine.run_import(_context(database, str(import_id)), successor)
    await _check_exact(admin, database, str(import_id))


async def test_two_workers_at_once_import_every_row_once(admin: httpx.AsyncClient, database: Database) -> None:
    import_id = await started(admin, CONTENT)
    await asyncio.gather(*(handlers.run(_context(database, import_id)) for _ in range(3)))
    await _check_exact(admin, database, import_id)


async def test_two_files_with_the_same_customers_at_once(admin: httpx.AsyncClient, database: Database) -> None:
    ids = [await started(admin, CONTENT), await started(admin, CONTENT)]
    await asyncio.gather(*(handlers.run(_context(database, each)) for each in ids))
    for each in ids:
        assert counts(await shown(admin, each)) == (GOOD, ROWS - GOOD, 0)
    assert sum([(await shown(admin, each))["customers_created"] for each in ids]) == CUSTOMERS
    await _check_facts(database)


async def test_an_import_whose_job_is_dead_has_failed(admin: httpx.AsyncClient, database: Database) -> None:
    import_id = await started(admin, CONTENT)
    async with database.transaction() as session:
        await handlers.died(session, {"import_id": import_id}, "its worker died 5 times")
    failed = await shown(admin, import_id)
    assert (failed["status"], failed["error"]) == ("failed", "The import was given up: its worker died 5 times")
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM import_chunk") == 0


async def test_a_checkpoint_shows_that_the_job_gets_on(admin: httpx.AsyncClient, database: Database) -> None:
    import_id = await started(admin, CONTENT)
    async with database.connection() as connection:
        await connection.execute("UPDATE job SET starts = 4 WHERE name = 'imports.run'")
    await handlers.run(_context(database, import_id))
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT starts FROM job WHERE name = 'imports.run'") == 1
