"""`make faults`: each fault under load, then what was acknowledged is looked for, and `strata check` is asked."""

import argparse
import asyncio
import contextlib
import io
import re
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app import checking
from app.core import logging
from app.core.settings import get_settings
from tests.faults.breaking import FAULTS
from tests.faults.installation import Installation, NoDisk, installation, ready
from tests.faults.traffic import Traffic

console = Console(width=150)
HOST = "127.0.0.1"
HEALTHY_WITHIN = 5.0
"""Seconds until a write is answered again once PostgreSQL is there again."""
PATIENCE = 180.0
"""Seconds within which every job and delivery ends that can: a lease may have to run out, and a watch to begin."""


@dataclass
class Outcome:
    """What one kind of fault came to."""

    fault: str
    times: int = 0
    acknowledged: int = 0
    again: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    recovered: list[float] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return not (self.lost or self.doubled or self.wrong or self.late)

    @property
    def late(self) -> bool:
        """Whether a write was answered too late after PostgreSQL was there again."""
        of_postgres = "backend" in self.fault or "postmaster" in self.fault
        return of_postgres and max(self.recovered, default=0) > HEALTHY_WITHIN


class Receiver:
    """An endpoint of webhooks that counts what it is sent."""

    def __init__(self) -> None:
        received: Counter[str] = Counter()
        self.received = received

        class Endpoint(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                received[self.headers["webhook-id"]] += 1
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer((HOST, 0), Endpoint)
        self.url = f"http://{HOST}:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()


async def settle(made: Installation) -> list[str]:
    """Wait until every job and delivery has ended; those that do not are lost."""
    connection = await made.connection()
    waiting = (
        "SELECT 'job ' || name || ' ' || id FROM job WHERE status IN ('queued', 'running') AND name <> 'webhooks.watch'"
        " UNION ALL SELECT 'delivery ' || id FROM webhook_delivery WHERE status = 'pending'"
        " UNION ALL SELECT 'event without a delivery ' || id FROM outbox_event WHERE name = 'purchase.recorded'"
        " AND NOT EXISTS (SELECT FROM webhook_delivery WHERE event_id = outbox_event.id)"
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while left := [row[0] for row in await connection.fetch(waiting)]:
            if time.monotonic() > deadline:
                return left
            await asyncio.sleep(0.25)
        return []
    finally:
        await connection.close()


async def judge(made: Installation, traffic: Traffic, receiver: Receiver, outcome: Outcome) -> None:
    """Look for everything that was acknowledged since the traffic began, and ask `strata check`."""
    outcome.lost += await settle(made)
    connection = await made.connection()
    try:
        lost, doubled = await traffic.acknowledged.lost_and_doubled(connection)
        deliveries = await connection.fetch("SELECT event_id FROM webhook_delivery")
    finally:
        await connection.close()
    by_event = Counter(row["event_id"] for row in deliveries)
    outcome.lost += [*lost, *(f"event {each}" for each in by_event if str(each) not in receiver.received)]
    outcome.doubled += [*doubled, *(f"event {each}" for each, times in by_event.items() if times > 1)]
    outcome.wrong += traffic.acknowledged.refused
    outcome.acknowledged += traffic.acknowledged.requests
    outcome.again += traffic.acknowledged.failed
    said = io.StringIO()
    if await checking.check(made.url, get_settings(), Console(file=said, width=200)):
        outcome.wrong.append(said.getvalue())


async def put(name: str, times: int, made: Installation, traffic: Traffic, receiver: Receiver) -> Outcome:
    """One kind of fault, several times under load."""
    outcome = Outcome(name)
    traffic.begin()
    try:
        for _ in range(times):
            await asyncio.sleep(2)
            healed = await FAULTS[name](made)
            outcome.recovered.append(await asyncio.wait_for(traffic.probe(healed), PATIENCE))
            outcome.times += 1
            await asyncio.sleep(1)
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(traffic.end(), PATIENCE)
    await ready(made)
    await judge(made, traffic, receiver, outcome)
    return outcome


async def run(names: list[str], times: int, folder: Path) -> list[Outcome]:
    """Each kind on an installation of its own: what one leaves behind, on a small disk too, is not the next one's."""
    outcomes = []
    for n, name in enumerate(names):
        receiver = Receiver()
        async with installation(folder / str(n), webhook_host=HOST) as made:
            traffic = Traffic(made)
            await traffic.prepare(receiver.url)
            outcomes.append(each := await put(name, times, made, traffic, receiver))
        console.print(f"{name}: {'held' if each.held else 'BROKEN'} in {sum(each.recovered):.1f} s of recovery")
        for said in [*each.lost[:5], *each.doubled[:5], *each.wrong[:5]]:
            console.print(said, markup=False)
    return outcomes


def table_of(outcomes: list[Outcome]) -> Table:
    table = Table("fault", title="Faults under load")
    for title in ("times", "sent again", "acknowledged", "lost", "doubled", "strata check", "recovery p50", "max"):
        table.add_column(title, justify="right")
    for each in outcomes:
        counts = (each.times, each.again, each.acknowledged, len(each.lost), len(each.doubled))
        recovery = (statistics.median(each.recovered), max(each.recovered))
        verdict = "[red]wrong[/]" if each.wrong else "holds"
        table.add_row(each.fault, *(f"{n:,}" for n in counts), verdict, *(f"{seconds:.1f} s" for seconds in recovery))
    return table


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--times", type=int, default=2, help="how often each fault is put; the long form: 20")
    parser.add_argument("--only", default="", help="faults whose names this regular expression finds")
    asked = parser.parse_args()
    logging.configure("CRITICAL", pretty=False)
    names = [name for name in FAULTS if re.search(asked.only, name)]
    with tempfile.TemporaryDirectory(prefix="strata-faults-") as made:
        Path(made).chmod(0o755)
        try:
            outcomes = asyncio.run(run(names, asked.times, Path(made)))
        except NoDisk as error:
            console.print(f"[red]Nothing was tried:[/] {error}")
            return 2
    console.print(table_of(outcomes))
    return 0 if all(each.held for each in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
