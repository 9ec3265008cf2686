"""Interactions in bulk: batches over HTTP, and a compressed file, against rows like them put in by plain statements."""

import asyncio
import gzip
import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.bench import bulk, data, floors
from tests.bench.processes import Server, cpu_seconds, strata
from tests.bench.report import Result, say

ROWS = 1000  # in a batch
BATCHES = 120
WARM_UP = 8
CONNECTIONS = 4
IN_FILE = 200_000
AT_LEAST = 0.4
ROWS_A_SECOND = 20_000
_PROCESSES = "SELECT pid FROM pg_stat_activity WHERE application_name = ANY($1)"


async def interactions(connection: asyncpg.Connection, ours: Server, token: str) -> list[Result]:
    """Batches of JSON on a few connections to one process, and a compressed file of NDJSON with a worker."""
    rows = await connection.fetch(
        "SELECT i.customer_id, i.value FROM customer_identity i WHERE i.kind = 'external' ORDER BY hashtext(i.value)"
    )
    references = {str(row["customer_id"]): row["value"] for row in rows}
    floor = await _floor(connection, list(references))
    return [
        *await _batches(connection, ours, token, list(references), floor),
        *await _file(connection, ours.url, token, list(references.values()), floor),
    ]


def _drawn(customers: list[str], prefix: str, count: int) -> Iterator[dict[str, Any]]:
    """Interactions of customers at random, the same at every run."""
    draw = random.Random(prefix)
    for number in range(count):
        yield {
            "customer_id": draw.choice(customers),
            "reference": f"{prefix}-{number}",
            "kind": draw.choice(("call", "email", "meeting", "chat", "visit", "web_event")),
            "direction": draw.choice(("inbound", "outbound")),
            "outcome": draw.choice(("interested", "no_answer", "order_placed")),
            "occurred_at": f"{data.TODAY.year}-06-{draw.randrange(1, 31):02}T{draw.randrange(24):02}:04:05Z",
            "duration_seconds": draw.randrange(900),
            "subject": "Spring teas and samples",
            "minutes": "Wants samples of two spring teas before ordering.",
            "matter": draw.choice(("product", "service", "other")),
        }


async def _floor(connection: asyncpg.Connection, customers: list[str]) -> float:
    """Rows a second of plain inserts, as many at once as in a batch."""
    drawn = list(_drawn(customers, "floor", ROWS * BATCHES // 4))
    seconds = await floors.interactions(connection, [drawn[at : at + ROWS] for at in range(0, len(drawn), ROWS)])
    return len(drawn) / seconds


async def _batches(
    connection: asyncpg.Connection, ours: Server, token: str, customers: list[str], floor: float
) -> list[Result]:
    drawn = list(_drawn(customers, f"batch{time.time_ns()}", ROWS * (BATCHES + WARM_UP)))
    bodies = [json.dumps({"interactions": drawn[at : at + ROWS]}).encode() for at in range(0, len(drawn), ROWS)]
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    async with httpx.AsyncClient(base_url=ours.url, headers=headers, timeout=60) as client:

        async def send(waiting: Iterator[bytes]) -> None:
            for body in waiting:
                answer = (await client.post("/v1/interactions/batch", content=body)).raise_for_status().json()
                if answer["rejected"]:
                    raise RuntimeError(f"rows were refused: {answer['items'][:3]}")

        async def all_of(waiting: Iterator[bytes]) -> None:
            await asyncio.gather(*(send(waiting) for _ in range(CONNECTIONS)))

        await all_of(iter(bodies[:WARM_UP]))
        python, server, started = ours.cpu(), await _server_cpu(connection, "strata"), time.perf_counter()
        await all_of(iter(bodies[WARM_UP:]))
        seconds = time.perf_counter() - started
    count = ROWS * BATCHES
    costs = [1e6 * spent / count for spent in (ours.cpu() - python, await _server_cpu(connection, "strata") - server)]
    note = f"{costs[0]:.0f} µs of Python and {costs[1]:.0f} of PostgreSQL a row; {CONNECTIONS} connections"
    work = f"POST /v1/interactions/batch of {ROWS:,}: checked, recorded, announced"
    return [
        Result(work, "rows/s", count / seconds, floor, "INSERT", "≥", AT_LEAST, note),
        Result("the same, of one process", "rows/s", count / seconds, None, "", "≥", ROWS_A_SECOND),
    ]


async def _server_cpu(connection: asyncpg.Connection, *applications: str) -> float:
    """Seconds of processor time of the connections that these programs have."""
    return sum(cpu_seconds(row["pid"]) for row in await connection.fetch(_PROCESSES, list(applications)))


async def _file(
    connection: asyncpg.Connection, api: str, token: str, references: list[str], floor: float
) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "interactions.ndjson.gz"
        with gzip.open(path, "wt", compresslevel=3) as file:
            for row in _drawn(references, f"file{time.time_ns()}", IN_FILE):
                row["customer_ref"] = row.pop("customer_id")
                file.write(f"{json.dumps(row)}\n")
        with strata("worker") as worker:
            await connection.execute("CHECKPOINT")
            await asyncio.sleep(1)
            python = cpu_seconds(worker.pid)
            seconds, upload = await bulk.imported(api, token, path, worker, kind="interactions")
            python = cpu_seconds(worker.pid) - python
    say(f"  interactions: {IN_FILE:,} rows in {seconds:.1f} s, {upload:.1f} s of it upload")
    note = f"upload to completed; {1e6 * python / IN_FILE:.0f} µs of Python a row"
    result = Result(
        "import of interactions, NDJSON with gzip", "rows/s", IN_FILE / seconds, floor, "INSERT", "≥", AT_LEAST, note
    )
    return [result, Result("the same, in rows", "rows/s", IN_FILE / seconds, None, "", "≥", ROWS_A_SECOND)]
