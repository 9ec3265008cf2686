"""Work over many customers at once: recalculations, imports, and the first start."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from app import features
from app.classification import recalculations, walking
from app.core import clock
from app.core.db import Database
from app.core.settings import get_settings
from app.core.work import UNDER_WAY
from app.core.workers import Worker
from app.identity.actor import SYSTEM
from tests.bench import data, floors
from tests.bench.data import Size
from tests.bench.processes import free_port, peak_memory, strata, wait_for
from tests.bench.report import Result, say

FULL = "full recalculation a day later, all presets"
AT_MOST_FIRST = 6
AT_MOST = 2.5
AT_MOST_GROWTH = 1.2
AT_LEAST_IMPORT = 0.5
MEMORY = 300
START = 5
DAY = timedelta(days=1)


def on(day: date) -> datetime:
    """Moves the business clock to a day, as the days go by: an instant of it."""
    os.environ["STRATA_TODAY"] = day.isoformat()
    get_settings.cache_clear()
    return clock.business_now()


@dataclass(frozen=True, slots=True)
class Recalculated:
    """What a recalculation came to: seconds, and the share of classes that moved."""

    seconds: float
    moved: float


@asynccontextmanager
async def worker_database(url: str) -> AsyncIterator[Database]:
    """The pool that a worker has."""
    settings = get_settings()
    size = settings.job_concurrency * 2 + settings.recalculation_lanes + 4
    database = await Database.connect(url, settings, size=size, statement_timeout=0, application="strata-worker")
    try:
        yield database
    finally:
        await database.close()


async def recalculate(url: str, *, as_of: datetime, refit: bool) -> Recalculated:
    """Ask for a recalculation of everybody and run its job as the worker does; timed from its start to its end."""
    features.install()
    async with worker_database(url) as database:
        async with database.transaction() as session:
            run_id = await recalculations.request(session, SYSTEM, keys=[], as_of=as_of, refit=refit)
        await Worker(database, features.JOBS, [], concurrency=1).drain()
        async with database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT status, error, changed, extract(epoch FROM finished_at - started_at)::float8 AS seconds,"
                " (SELECT count(*) FROM customer_class) AS classes FROM recalculation WHERE id = $1",
                run_id,
            )
    if row["status"] != "completed":
        raise RuntimeError(f"the recalculation {row['status']}: {row['error']}")
    return Recalculated(row["seconds"], row["changed"] / max(row["classes"], 1))


async def first_recalculation(url: str, connection: Any) -> list[Result]:
    """Every metrics row, class and change written, every breakpoint fitted; two days before today."""
    as_of = on(data.TODAY - 2 * DAY)
    floor, least = await floors.group_by(connection, as_of), await floors.three_sums(connection)
    ours = await recalculate(url, as_of=as_of, refit=True)
    ready = await floors.writing(url, connection, walking.CHUNK, get_settings().recalculation_lanes)
    note = f"writing the ready rows alone: {ready:.0f} s, {ready / floor:.1f} × GROUP BY; {_of_least(ours, least)}"
    work = "the very first recalculation, all presets, everything written"
    return [Result(work, "s", ours.seconds, floor, "GROUP BY", "≤", AT_MOST_FIRST, note)]


def _of_least(ours: Recalculated, least: float) -> str:
    return f"{ours.seconds / least:.1f} × a GROUP BY of count, sum and max alone"


async def later_recalculations(url: str, connection: Any) -> list[Result]:
    """A day later: from the facts, with the breakpoints as they were; and the day after with new ones."""
    results = []
    for work, refit, days in ((FULL, False, 1), ("the same with new breakpoints", True, 0)):
        await connection.execute("VACUUM ANALYZE customer_metrics, customer_class")
        as_of = on(data.TODAY - days * DAY)
        floor, least = await floors.group_by(connection, as_of), await floors.three_sums(connection)
        ours = await recalculate(url, as_of=as_of, refit=refit)
        note = f"{ours.moved:.1%} of classes moved; {_of_least(ours, least)}"
        results.append(Result(work, "s", ours.seconds, floor, "GROUP BY", "≤", AT_MOST, note))
    return results


async def growth(url: str, connection: Any, small: Size, large: Size, seconds: float) -> Result:
    """What a customer costs in a full recalculation of a large base, against a small base that has its classes."""
    found = next(each for each in await later_recalculations(url, connection) if each.work == FULL)
    ours, floor = (1e6 * s / size.customers for s, size in ((seconds, large), (found.ours, small)))
    work = f"full recalculation: time per customer of {large.name}, against {small.name}"
    return Result(work, "µs", ours, floor, small.name, "≤", AT_MOST_GROWTH)


async def imports(url: str, connection: Any, size: Size, api: str, token: str) -> list[Result]:
    """A file of purchases through the API and a worker, against COPY of as many rows like them."""
    rows = await connection.fetch(_rows(size, prefix="F-", seed=100))
    # A page that is first touched after a checkpoint is written whole: both sides begin after one.
    await connection.execute("CHECKPOINT")
    floor = len(rows) / await floors.copy(connection, [tuple(row) for row in rows])
    count = len(rows)
    del rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "purchases.csv"
        columns = "customer_ref, order_ref, occurred_at, amount, product_ref, product_name, category, quantity"
        query = f"SELECT {columns} FROM ({_rows(size, prefix='I-', seed=200)}) drawn"
        await connection.copy_from_query(query, output=str(path), format="csv", header=True)
        megabytes = path.stat().st_size / 1e6
        with strata("worker") as worker:
            await connection.execute("CHECKPOINT")
            await asyncio.sleep(1)
            idle = peak_memory(worker.pid)
            seconds, upload = await imported(api, token, path, worker, kind="purchases")
            peak = peak_memory(worker.pid)
    say(f"  import: {count:,} rows of {megabytes:.0f} MB in {seconds:.1f} s, {upload:.1f} s of it upload")
    note = f"upload to completed; {count:,} rows"
    work = f"import of purchases, {size.customers:,} customers"
    return [
        Result(work, "rows/s", count / seconds, floor, "COPY", "≥", AT_LEAST_IMPORT, note),
        Result("peak memory of the importing worker", "MB", peak, None, "", "≤", MEMORY, f"idle {idle:.0f} MB"),
    ]


async def imported(
    api: str, token: str, path: Path, worker: "subprocess.Popen[str]", *, kind: str
) -> tuple[float, float]:
    """Seconds from sending the file until its import is completed, and of the upload alone."""
    started = time.perf_counter()
    async with httpx.AsyncClient(base_url=api, headers={"authorization": f"Bearer {token}"}, timeout=600) as client:
        with path.open("rb") as file:
            answer = await client.post(
                "/v1/imports", data={"kind": kind}, files={"file": (path.name, file, "application/octet-stream")}
            )
        answer.raise_for_status()
        upload = time.perf_counter() - started
        address = answer.headers["location"]
        while True:
            row = (await client.get(address)).raise_for_status().json()
            if row["status"] not in UNDER_WAY:
                break
            if worker.poll() is not None:
                raise RuntimeError(f"the worker ended with {worker.returncode}")
            await asyncio.sleep(0.05)
    if row["status"] != "completed" or row["rejected"]:
        raise RuntimeError(f"the import {row['status']}: {row}")
    return time.perf_counter() - started, upload


def starts() -> list[Result]:
    """`strata serve` on an empty data folder, and again on the folder it has made then."""
    folder = Path(tempfile.mkdtemp(prefix="strata-bench-"))
    environment = {name: value for name, value in os.environ.items() if name != "STRATA_DATABASE_URL"}
    results = []
    try:
        for work in ("start to the first answer, empty data folder", "start again"):
            port = free_port()
            started = time.perf_counter()
            with strata(
                "serve", "--port", str(port), "--data", str(folder), env=environment, stdout=subprocess.DEVNULL
            ) as serving:
                wait_for(f"http://127.0.0.1:{port}/readyz", serving)
                results.append(Result(work, "s", time.perf_counter() - started, None, "", "≤", START))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return results


def _rows(size: Size, *, prefix: str, seed: int) -> str:
    until = f"TIMESTAMPTZ '{data.TODAY.isoformat()} 00:00+00'"
    values = {":prefix": f"'{prefix}'", ":seed": str(seed), ":rows": str(size.imported), ":until": until}
    text = data.ROWS_TO_IMPORT
    for name, value in (values | {":customers": str(size.customers)}).items():
        text = text.replace(name, value)
    return text
