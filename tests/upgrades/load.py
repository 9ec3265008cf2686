"""Clients of a release under migration, and who watches the locks that they wait for."""

import asyncio
import itertools
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx

from app.core.migrations import APPLICATION
from tests.bench.base import ADMIN_PASSWORD

CLIENTS = 6
PAUSE = 0.02
"""Seconds of each client between two requests: the base is large, the machine may be small."""
LOOK = 0.02
WAITING = f"""
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waiting.waitstart)), 0)::float8
FROM pg_locks waiting JOIN pg_stat_activity migrating ON migrating.pid = ANY (pg_blocking_pids(waiting.pid))
WHERE NOT waiting.granted AND migrating.application_name = '{APPLICATION}'
"""


@dataclass
class Seen:
    """What the clients got, and how long they waited. Seconds."""

    took: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    waited: float = 0.0
    """The longest that one of their statements was seen to wait for a lock, behind a migration."""


@asynccontextmanager
async def under_load(server_url: str, database_url: str) -> AsyncIterator[Seen]:
    """Readers and writers for the length of the block; every request that was begun is answered."""
    seen = Seen()
    stopping = asyncio.Event()
    watcher = await asyncpg.connect(database_url, server_settings={"application_name": "upgrades"})
    async with httpx.AsyncClient(base_url=server_url, timeout=30) as client:
        form = {"username": "admin", "password": ADMIN_PASSWORD}
        login = (await client.post("/v1/auth/token", data=form)).raise_for_status()
        client.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        listed = (await client.get("/v1/customers", params={"limit": 50})).raise_for_status()
        customers = [each["id"] for each in listed.json()["items"]]
        async with asyncio.TaskGroup() as group:
            group.create_task(_watch(watcher, seen, stopping))
            for number in range(CLIENTS):
                group.create_task(_ask(client, customers, number, seen, stopping))
            try:
                yield seen
            finally:
                stopping.set()
    await watcher.close()


async def _ask(
    client: httpx.AsyncClient, customers: list[str], number: int, seen: Seen, stopping: asyncio.Event
) -> None:
    for turn in itertools.count(number):
        if stopping.is_set():
            return
        customer = customers[turn % len(customers)]
        method, path, options = _request(turn, customer)
        what = f"{method} {path.replace(customer, '{c}')}"
        began = time.monotonic()
        try:
            answer = await client.request(method, path, **options)
            if not answer.is_success:
                seen.failed[f"{what}: {answer.status_code} {answer.json()['title']}"] += 1
        except httpx.HTTPError as error:
            seen.failed[f"{what}: {error!r}"] += 1
        seen.took.append(time.monotonic() - began)
        await asyncio.sleep(PAUSE)


def _request(turn: int, customer: str) -> tuple[str, str, dict[str, Any]]:
    """What every release could answer: reads of a customer, of lists and of a class, and the writes of facts."""
    when = {"occurred_at": "2026-01-02T03:04:05Z", "amount": "9.90"}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    return [
        ("GET", f"/v1/customers/{customer}", {}),
        ("POST", f"/v1/customers/{customer}/purchases", {"json": when, "headers": key}),
        ("GET", "/v1/customers?limit=20&class=abc:A", {}),
        ("GET", f"/v1/customers/{customer}/purchases?limit=20", {}),
        ("POST", "/v1/customers", {"json": {"name": uuid.uuid4().hex}, "headers": key}),
        ("GET", f"/v1/customers/{customer}/classes/abc/explanation", {}),
        ("PATCH", f"/v1/customers/{customer}", {"json": {"name": uuid.uuid4().hex}, "headers": key}),
    ][turn % 7]


async def _watch(connection: asyncpg.Connection, seen: Seen, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        seen.waited = max(seen.waited, await connection.fetchval(WAITING))
        await asyncio.sleep(LOOK)
