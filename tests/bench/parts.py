"""Where the time of a request goes: of Python by what is at work, and of PostgreSQL."""

import json
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg

from tests.bench.processes import Server, cpu_seconds, sampled_server
from tests.bench.report import Result
from tests.bench.serving import CONNECTIONS, Serving, posts, with_ten_purchases

SECONDS = 8
LEAST = 0.02
"""The share of a request below which a part goes with the rest."""


async def of_requests(serving: Serving, connection: asyncpg.Connection) -> list[Result]:
    """Processor time of one request, in µs, of a server that is looked at while it is asked as fast as it answers."""
    customers = await with_ten_purchases(connection)
    asked = {
        "GET /v1/customers/{c}": [serving.get(f"/v1/customers/{row['customer_id']}") for row in customers],
        "GET /v1/customers, page of 50": [serving.get("/v1/customers?limit=50")],
        "POST …/purchases": posts(serving, customers)[0],
    }
    with tempfile.TemporaryDirectory(prefix="strata-bench-") as folder:
        seen = Path(folder) / "seen.json"
        with sampled_server(seen) as server:
            return [await _of(serving, connection, server, seen, work, requests) for work, requests in asked.items()]


async def _of(
    serving: Serving, connection: asyncpg.Connection, server: Server, path: Path, work: str, requests: Sequence[str]
) -> Result:
    serving.measure(server, requests, CONNECTIONS)
    _seen(server, path)
    backends = [row["pid"] for row in await connection.fetch(_BACKENDS)]
    database, began = sum(map(cpu_seconds, backends)), time.perf_counter()
    figures = serving.measure(server, requests, CONNECTIONS, seconds=SECONDS)
    elapsed = time.perf_counter() - began
    of_postgres = (sum(map(cpu_seconds, backends)) - database) / elapsed / figures["per_second"] * 1e6
    seen = _seen(server, path)
    python = {part: figures["cpu"] * count / sum(seen.values()) for part, count in seen.items()}
    whole = figures["cpu"] + of_postgres
    parts = sorted(({"PostgreSQL": of_postgres} | python).items(), key=lambda each: -each[1])
    shown = [f"{part} {cost:,.0f}" for part, cost in parts if cost >= LEAST * whole]
    rest = sum(cost for _, cost in parts if cost < LEAST * whole)
    return Result(f"{work}: processor time", "µs", whole, note=", ".join([*shown, f"the rest {rest:,.0f}"]))


_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'strata%' AND datname = current_database()"


def _seen(server: Server, path: Path) -> dict[str, Any]:
    """What was seen since it was last asked."""
    path.unlink(missing_ok=True)
    os.kill(server.pid, signal.SIGUSR2)
    deadline = time.monotonic() + 5
    while not path.exists():
        if time.monotonic() > deadline:
            raise RuntimeError("the server does not say what it is at")
        time.sleep(0.01)
    seen: dict[str, Any] = json.loads(path.read_text())
    return seen
