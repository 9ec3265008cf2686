"""Writers and readers over HTTP, as careful clients are: an Idempotency-Key, and again until there is an answer.

Everything that is written carries a mark of its own, by which it is found in the database: as often as it took effect.
Nothing but the key keeps a repeated request from a second effect: no order_ref, no reference, no identity.
"""

import asyncio
import contextlib
import itertools
import random
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx

from tests.faults.installation import PASSWORD, Installation

WRITERS = 8
ROWS = 20
"""Of each import."""
WHEN = "2026-01-02T03:04:05Z"
FOUND = {
    "customers": "SELECT name FROM customer WHERE name = ANY ($1)",
    "purchases": "SELECT product_ref FROM purchase_line WHERE product_ref = ANY ($1)",
    "interactions": "SELECT subject FROM interaction WHERE subject = ANY ($1)",
    "feedback": "SELECT text FROM feedback WHERE text = ANY ($1)",
    "imports": "SELECT product_ref FROM purchase_line WHERE product_ref = ANY ($1)",
    "exports": "SELECT id::text FROM export WHERE id::text = ANY ($1) AND status = 'completed'",
}


@dataclass
class Acknowledged:
    """What was answered with success: the marks of each kind of write."""

    marks: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    requests: int = 0
    failed: int = 0
    """Requests that had to be sent again."""
    refused: list[str] = field(default_factory=list)

    async def lost_and_doubled(self, connection: asyncpg.Connection) -> tuple[list[str], list[str]]:
        """Marks that are nowhere, and marks that are there more than once."""
        lost, doubled = [], []
        for kind, marks in self.marks.items():
            times: dict[str, int] = defaultdict(int)
            for row in await connection.fetch(FOUND[kind], marks):
                times[row[0]] += 1
            lost += [f"{kind} {mark}" for mark in marks if times[mark] == 0]
            doubled += [f"{kind} {mark}" for mark in marks if times[mark] > 1]
        return lost, doubled


class Traffic:
    """Clients at work. `acknowledged` is what they were told so far; a new one begins with `begin`."""

    def __init__(self, made: Installation) -> None:
        self._made = made
        self._key = ""
        self._customers: list[str] = []
        self.acknowledged = Acknowledged()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def prepare(self, webhook_url: str) -> None:
        """An API key, somebody to write about, and whom to tell."""
        async with httpx.AsyncClient(base_url=self._made.apis[0].url, timeout=30) as client:
            login = await client.post("/v1/auth/token", data={"username": "admin", "password": PASSWORD})
            client.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
            key = await client.post("/v1/api-keys", json={"name": "faults", "permissions": {"*": "all"}})
            assert key.status_code == 201, key.text
            self._key = key.json()["key"]
            hook = {"url": webhook_url, "types": ["purchase.recorded"], "active": True}
            answer = await client.post("/v1/webhooks", json=hook)
            assert answer.status_code == 201, answer.text
            for n in range(20):
                body = {"name": f"n{n}", "identities": [{"kind": "external", "value": f"C-{n}"}]}
                answer = await client.post("/v1/customers", json=body)
                assert answer.status_code == 201, answer.text
                self._customers.append(answer.json()["id"])

    def begin(self) -> None:
        self.acknowledged = Acknowledged()
        self._stopping.clear()
        self._tasks = [asyncio.create_task(self._write(n)) for n in range(WRITERS)]
        self._tasks += [asyncio.create_task(self._read(n)) for n in range(2)]

    async def end(self) -> None:
        """Every request that was begun is answered."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)

    async def probe(self, began: float) -> float:
        """Seconds since an instant after which every API has acknowledged a write that was sent after it."""
        for n in range(len(self._made.apis)):
            async with self._client() as client:
                await self._send(client, n, *self._customer(), only=n)
        return time.monotonic() - began

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=5, headers={"Authorization": f"Bearer {self._key}"})

    async def _write(self, writer: int) -> None:
        kinds = [self._customer, self._purchase, self._purchase, self._interaction, self._feedback]
        async with self._client() as client:
            for n in itertools.count(writer):
                if self._stopping.is_set():
                    return
                await self._send(client, n, *kinds[n % len(kinds)]())
                if n % 40 == 7:
                    await self._send(client, n, *self._import())
                if n % 40 == 23:
                    await self._send(client, n, "exports", "", "/v1/exports", {"json": {"format": "csv"}})
                await asyncio.sleep(random.uniform(0.02, 0.1))

    async def _read(self, reader: int) -> None:
        paths = ["/v1/customers?limit=20", f"/v1/customers/{self._customers[0]}", "/v1/jobs", "/v1/events?limit=50"]
        async with self._client() as client:
            for n in itertools.count(reader):
                if self._stopping.is_set():
                    return
                with contextlib.suppress(httpx.HTTPError):
                    await client.get(self._made.apis[n % 2].url + paths[n % len(paths)])
                await asyncio.sleep(0.3)

    async def _send(
        self,
        client: httpx.AsyncClient,
        turn: int,
        kind: str,
        mark: str,
        path: str,
        options: dict[str, Any],
        *,
        only: int | None = None,
    ) -> None:
        """Again and again, to one API and the other, until one acknowledges it."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        for attempt in itertools.count(turn):
            api = self._made.apis[(attempt if only is None else only) % len(self._made.apis)]
            try:
                answer = await client.post(api.url + path, headers=headers, **options)
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code < 300:
                self.acknowledged.requests += 1
                self.acknowledged.marks[kind] += _marks(kind, mark, answer)
                return
            if answer is not None and answer.status_code not in (429, 500, 503):
                self.acknowledged.refused.append(f"{kind}: {answer.status_code} {answer.text[:300]}")
                return
            self.acknowledged.failed += 1
            await asyncio.sleep(0.1)

    def _somebody(self) -> str:
        return f"/v1/customers/{random.choice(self._customers)}"

    def _customer(self) -> tuple[str, str, str, dict[str, Any]]:
        mark = uuid.uuid4().hex
        return "customers", mark, "/v1/customers", {"json": {"name": mark}}

    def _purchase(self) -> tuple[str, str, str, dict[str, Any]]:
        mark = uuid.uuid4().hex
        body = {"occurred_at": WHEN, "amount": "9.90", "lines": [{"product_ref": mark, "amount": "9.90"}]}
        return "purchases", mark, f"{self._somebody()}/purchases", {"json": body}

    def _interaction(self) -> tuple[str, str, str, dict[str, Any]]:
        mark = uuid.uuid4().hex
        body = {"kind": "call", "direction": "inbound", "occurred_at": WHEN, "subject": mark}
        return "interactions", mark, f"{self._somebody()}/interactions", {"json": body}

    def _feedback(self) -> tuple[str, str, str, dict[str, Any]]:
        mark = uuid.uuid4().hex
        body = {"kind": "complaint", "channel": "phone", "occurred_at": WHEN, "text": mark}
        return "feedback", mark, f"{self._somebody()}/feedback", {"json": body}

    def _import(self) -> tuple[str, str, str, dict[str, Any]]:
        mark = uuid.uuid4().hex
        rows = "".join(f"C-{n},{mark}-{n},{WHEN},1.00,CNY\n" for n in range(ROWS))
        file = ("a.csv", "customer_ref,product_ref,occurred_at,amount,currency\n" + rows, "text/csv")
        return "imports", mark, "/v1/imports", {"data": {"kind": "purchases"}, "files": {"file": file}}


def _marks(kind: str, mark: str, answer: httpx.Response) -> list[str]:
    if kind == "exports":
        return [str(answer.json()["id"])]
    return [f"{mark}-{n}" for n in range(ROWS)] if kind == "imports" else [mark]
