"""`python -m tests.bench`: measure, print the table, and write it where it belongs.

--size 100k|1m    how much data (default 100k: 100,000 customers, 2 million purchases)
--only get,list   some of recalculate, simulate, sweep, get, list, timeline, search, purchase, parts, batch, import,
                  start
--data DIR        where the generated data is kept between runs (default .data/bench-<size>)
--write README.md put the table between the marks <!-- bench --> and <!-- /bench --> of this file
"""

import argparse
import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg

from app.core import logging
from app.core.embedded import EmbeddedPostgres
from app.core.settings import get_settings
from tests.bench import base, batches, bulk, data, parts, report, searches, serving, simulations, sweeps, timelines
from tests.bench.data import SIZES, Size
from tests.bench.processes import bare_server, generator, our_server
from tests.bench.report import Result, say

WORK = (
    *("recalculate", "simulate", "sweep"),
    *("get", "list", "timeline", "search", "purchase", "parts", "batch", "import", "start"),
)
REQUESTS = {
    "get": serving.gets,
    "list": serving.lists,
    "timeline": timelines.timelines,
    "search": searches.first_pages,
    "purchase": serving.purchases,
    "parts": parts.of_requests,
}
SMALL = SIZES["100k"]
SECRET = "a secret that only the bench knows, long enough"


def main() -> None:
    """Measure what was asked for."""
    asked = _arguments()
    size = SIZES[asked.size]
    folder = asked.data or Path(f".data/bench-{size.name}")
    _settle(folder)
    with EmbeddedPostgres(folder, settings=_of_a_server()) as server_url:
        url = base.fresh_run(server_url, size)
        os.environ["STRATA_DATABASE_URL"] = url
        get_settings.cache_clear()
        try:
            results, version = asyncio.run(_measure(url, size, asked.only))
            if size is not SMALL and set(asked.only) & {"recalculate", "import"}:
                results += asyncio.run(_beside(base.fresh_run(server_url, SMALL), size, asked.only, results))
        finally:
            base.drop_run(server_url)
    if "start" in asked.only:
        results += bulk.starts()
    line = report.machine(size, version)
    report.show(results, line)
    if asked.write:
        command = "make bench" if size.name == "100k" else f"make bench SIZE={size.name}"
        report.write(asked.write, report.markdown(results, line, command))


def _of_a_server() -> dict[str, str]:
    """A quarter of the memory, as PostgreSQL's manual advises for a server of its own; room for an hour of writing."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2
    return {"shared_buffers": f"{memory // 4}MB", "max_wal_size": "16GB"}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="100k")
    parser.add_argument("--only", type=_work, default=WORK, metavar="WORK")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--write", type=Path)
    return parser.parse_args()


def _work(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(WORK):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose some of {','.join(WORK)}")
    return names


def _settle(folder: Path) -> None:
    """The environment of every process of the run: nothing of the caller's counts."""
    for name in [name for name in os.environ if name.startswith("STRATA_")]:
        del os.environ[name]
    os.environ |= {
        "STRATA_DATA": str(folder),
        "STRATA_SECRET_KEY": SECRET,
        "STRATA_TODAY": data.TODAY.isoformat(),
        "STRATA_LOG_LEVEL": "WARNING",
    }
    get_settings.cache_clear()
    logging.configure("WARNING", pretty=False)


async def _measure(url: str, size: Size, only: tuple[str, ...]) -> tuple[list[Result], str]:
    connection = await asyncpg.connect(url)
    try:
        version = await connection.fetchval("SHOW server_version")
        say("Recalculations")
        results = await bulk.first_recalculation(url, connection)
        if set(only) & {"recalculate", "simulate", "sweep"}:
            results += await bulk.later_recalculations(url, connection)
        full = next((each for each in results if each.work == bulk.FULL), None)
        if "recalculate" not in only:
            results = []  # the classes were needed, their time was not asked for
            bulk.on(data.TODAY)
        if full and "simulate" in only:
            say("Simulations")
            results += await simulations.drafts(url, connection, full)
        if full and "sweep" in only:
            say("Sweeps")
            results += await sweeps.of_who_is_due(url, connection, full)
        await connection.execute("VACUUM ANALYZE")
        if set(only) & {*REQUESTS, "batch", "import"}:
            results += await _requests(url, connection, size, only)
        return results, version
    finally:
        await connection.close()


async def _beside(url: str, size: Size, only: tuple[str, ...], large: list[Result]) -> list[Result]:
    """What a small base says beside the large one: what growth costs, and an import into it."""
    results = []
    connection = await asyncpg.connect(url)
    try:
        say("The small base")
        await bulk.first_recalculation(url, connection)
        if "recalculate" in only:
            full = next(each for each in large if each.work == bulk.FULL)
            results.append(await bulk.growth(url, connection, SMALL, size, full.ours))
        if "import" in only:
            bulk.on(data.TODAY)
            with our_server() as ours:
                admin = await serving.log_in(connection, SECRET, "admin")
                file = replace(SMALL, imported=size.imported)
                results += await bulk.imports(url, connection, file, ours.url, admin)
        return results
    finally:
        await connection.close()


async def _requests(url: str, connection: Any, size: Size, only: tuple[str, ...]) -> list[Result]:
    results: list[Result] = []
    with our_server() as ours:
        with bare_server() as bare, generator() as load:
            token = await serving.log_in(connection, SECRET, "bench")
            say("Requests")
            for name, measure in REQUESTS.items():
                if name in only:
                    results += await measure(serving.Serving(ours, bare, load, token), connection)
        admin = await serving.log_in(connection, SECRET, "admin")
        if "batch" in only:
            say("Interactions in bulk")
            results += await batches.interactions(connection, ours, admin)
        if "import" in only:
            say("Import")
            results += await bulk.imports(url, connection, size, ours.url, admin)
    return results


if __name__ == "__main__":
    main()
