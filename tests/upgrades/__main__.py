"""`python -m tests.upgrades`: every migration, up and down on a large base, while the release before it serves.

The release is laid out of the repository's history: the last commit that was written for the revision a deployment
comes from. It goes on serving on the newer schema, as its processes do while they are replaced one after the other.

--size 100k|1m    how many customers (default 1m, with 20 million purchases; the base of `make bench`)
--first 0026      the first migration that is tried
--data DIR        where the generated data is kept between runs (default .data/bench-<size>)
"""

import argparse
import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from rich.console import Console
from rich.table import Table

from app.core import logging, migrations
from app.core.embedded import EmbeddedPostgres
from tests.bench import base
from tests.bench.data import SIZES, TODAY
from tests.bench.processes import free_port, process, wait_for
from tests.upgrades.load import Seen, under_load
from tests.upgrades.releases import NoHistory, Release, releases

SETTLE = 2.0
"""Seconds of requests before, between and after the migrations."""
WAIT_AT_MOST = 5.0
"""Seconds that a request may wait for a lock: what the migrations themselves wait at most (`lock_timeout`)."""
FILLED = {
    "0014": """
        INSERT INTO interaction (customer_id, kind, direction, occurred_at, subject, written_by)
        SELECT id, 'call', 'inbound', timestamptz '2026-01-01' + interval '1 s' * row_number() OVER (), 'x', 'bench'
        FROM customer
    """,
    "0019": """
        INSERT INTO feedback (customer_id, kind, channel, occurred_at, text, written_by)
        SELECT id, 'complaint', 'phone', timestamptz '2026-01-01' + interval '1 s' * row_number() OVER (), 'x', 'bench'
        FROM customer
    """,
}
"""One row a customer in the large tables that came later, before others change them."""
FORGOTTEN = "TRUNCATE scheme, scheme_version, breakpoints, customer_class, class_change CASCADE"
"""What the newest release has seeded: a release publishes its own presets and classifies everybody by them."""
SLOW = {"0003": "a purchase took it seconds on a large base, so that others waited too long for the same customer"}
"""Releases that answered 503 with no migration under way, and why."""
console = Console(width=max(150, Console().width))


@dataclass(frozen=True, slots=True)
class Step:
    """One deployment: from the revision of a release to the next. Seconds."""

    release: str
    name: str
    up: float
    down: float
    seen: Seen

    @property
    def held(self) -> bool:
        unexplained = [said for said in self.seen.failed if not (self.release in SLOW and ": 503 " in said)]
        return not unexplained and self.seen.waited <= WAIT_AT_MOST


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.upgrades", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=SIZES, default="1m")
    parser.add_argument("--first", default="0002")
    parser.add_argument("--data", type=Path)
    asked = parser.parse_args()
    logging.configure("CRITICAL", pretty=False)
    try:
        known = releases()
    except NoHistory as error:
        console.print(f"[red]Nothing was tried:[/] {error}")
        return 2
    size = SIZES[asked.size]
    folder = asked.data or Path(f".data/bench-{size.name}")
    for name in [name for name in os.environ if name.startswith("STRATA_")]:
        del os.environ[name]
    with (
        tempfile.TemporaryDirectory(prefix="strata-upgrades-") as laid_out,
        EmbeddedPostgres(folder, settings={"max_wal_size": "16GB", "log_lock_waits": "on"}) as server_url,
    ):
        url = base.fresh_run(server_url, size)
        try:
            steps = _steps(url, known, asked.first, Path(laid_out))
        finally:
            base.drop_run(server_url)
    console.print(_table(steps, f"{size.customers:,} customers, {size.purchases:,} purchases"))
    for release, why in SLOW.items():
        console.print(f"The release of {release} answers 503 by itself: {why}.")
    return 0 if all(step.held for step in steps) else 1


def _steps(url: str, known: list[Release], first: str, folder: Path) -> list[Step]:
    """Back to where the first step begins, then forward again, release by release."""
    pairs = [(old, new) for old, new in itertools.pairwise(known) if new.revision >= first]
    start = pairs[0][0]
    console.print(f"Back to {start.revision}: {_timed(migrations.downgrade, url, start.revision):.1f} s")
    asyncio.run(_execute(url, FORGOTTEN))
    with _running(start, url, folder, "serve", "--no-worker", "--port", str(port := free_port())) as running:
        wait_for(f"http://127.0.0.1:{port}/readyz", running)
    with _running(start, url, folder, "recalculate") as running:
        if running.wait():
            raise RuntimeError(f"{start} does not classify the base: {(folder / 'log').read_text()[-2000:]}")
    asyncio.run(_execute(url, "VACUUM ANALYZE"))
    steps = []
    for old, new in pairs:
        step = asyncio.run(_step(url, old, new, folder))
        steps.append(step)
        console.print(f"{step.name}: {'held' if step.held else 'BROKEN'}")
        for said, times in step.seen.failed.most_common(5):
            console.print(f"  {times} × {said}", markup=False)
        migrations.upgrade(url, new.revision)
        for revision, statement in FILLED.items():
            if old.revision < revision <= new.revision:
                asyncio.run(_execute(url, statement))
    return steps


async def _step(url: str, old: Release, new: Release, folder: Path) -> Step:
    port = free_port()
    server = f"http://127.0.0.1:{port}"
    with _running(old, url, folder, "serve", "--no-worker", "--port", str(port)) as running:
        await asyncio.to_thread(wait_for, f"{server}/readyz", running)
        async with under_load(server, url) as seen:
            await asyncio.sleep(SETTLE)
            up = await _moved(seen, migrations.upgrade, url, new.revision)
            await asyncio.sleep(SETTLE)
            down = await _moved(seen, migrations.downgrade, url, old.revision)
            await asyncio.sleep(SETTLE)
    return Step(old.revision, _name(old, new), up, down, seen)


async def _moved(seen: Seen, move: Callable[[str, str], None], url: str, revision: str) -> float:
    """Seconds that it took. That a migration fails is one of the things seen."""
    began = time.monotonic()
    try:
        await asyncio.to_thread(move, url, revision)
    except Exception as error:  # whatever it is, the other migrations are still to be tried
        seen.failed[f"{move.__name__} to {revision}: {error}"] += 1
    return time.monotonic() - began


@contextmanager
def _running(release: Release, url: str, folder: Path, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """One of a release's commands, on the database."""
    environment = os.environ | {
        "STRATA_DATABASE_URL": url,
        "STRATA_SECRET_KEY": "a secret that only the upgrades know, long enough",
        "STRATA_TODAY": TODAY.isoformat(),
        "STRATA_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-c", "from app.cli import main; main()", *arguments]
    with (folder / "log").open("ab") as log:
        where = release.lay_out(folder)
        with process(*command, env=environment, cwd=where, stdout=log, stderr=log) as running:
            yield running


def _name(old: Release, new: Release) -> str:
    """The migrations between them."""
    names = sorted(path.stem for path in (migrations.FOLDER / "versions").glob("[0-9]*.py"))
    return ", ".join(name for name in names if old.revision < name[:4] <= new.revision)


def _timed(move: Callable[[str, str], None], url: str, revision: str) -> float:
    began = time.monotonic()
    move(url, revision)
    return time.monotonic() - began


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _table(steps: list[Step], title: str) -> Table:
    table = Table("migrations", title=f"Migrations under load: {title}")
    for name in ("up", "down", "requests", "failed", "p50", "slowest", "longest wait behind it"):
        table.add_column(name, justify="right")
    for step in steps:
        took = sorted(step.seen.took)
        table.add_row(
            step.name,
            f"{step.up:.2f} s",
            f"{step.down:.2f} s",
            f"{len(took):,}",
            f"{sum(step.seen.failed.values()):,}",
            f"{took[len(took) // 2] * 1000:.0f} ms",
            f"{took[-1]:.2f} s",
            f"{step.seen.waited:.2f} s" + ("" if step.held else " [red]broken[/]"),
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
