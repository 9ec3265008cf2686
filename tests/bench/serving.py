"""Requests: ours and the floor's in alternation, by the same generator, against the same database."""

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
import httpx

from app.identity import tokens
from tests.bench import data
from tests.bench.load import DIGITS, NUMBER
from tests.bench.processes import Generator, Server
from tests.bench.report import Result, say

ROUNDS = 9  # short and many, each side first in turn: what else the machine does then meets both alike
SECONDS = 0.8
WARM_UP = 0.2
CONNECTIONS = 16
DEEP_PAGE = 1000
AT_LEAST_GET = 0.6
AT_LEAST_PURCHASE = 0.25
MANY_COSTS = 1.5


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians over the rounds; `ratio` is the median of each round's own ratio."""

    ours: float
    bare: float
    ratio: float
    ours_cpu: float
    bare_cpu: float
    p99: float

    def result(self, work: str, limit: float, note: str = "") -> Result:
        cost = f"{self.ours_cpu:.0f} / {self.bare_cpu:.0f} µs of Python, p99 {self.p99 * 1000:.0f} ms"
        # The floor is shown so that the ratio is the one of the rounds.
        floor = self.ours / self.ratio
        return Result(work, "req/s", self.ours, floor, "bare", "≥", limit, f"{cost}{'; ' + note if note else ''}")


class Serving:
    """Both applications, the generator, and who asks."""

    def __init__(self, ours: Server, bare: Server, generator: Generator, token: str) -> None:
        self.ours = ours
        self.bare = bare
        self.generator = generator
        self.token = token
        self._number = time.time_ns() // 1_000_000_000 % 10**6 * 10**6

    def compare(
        self, name: str, ours: Sequence[str], bare: Sequence[str], *, connections: int = CONNECTIONS
    ) -> Figures:
        """Measure both in alternation."""
        rounds = []
        for number in range(ROUNDS):
            sides = [(self.ours, ours), (self.bare, bare)]
            pair = [self.measure(server, requests, connections) for server, requests in sides[:: 1 - 2 * (number % 2)]]
            rounds.append(pair[:: 1 - 2 * (number % 2)])
        ratios = sorted(a["per_second"] / b["per_second"] for a, b in rounds)
        share = max(each["share_of_core"] for pair in rounds for each in pair)
        say(f"  {name}: ratios {', '.join(f'{r:.2f}' for r in ratios)}; generator at most {share:.0%} of a core")
        mine, other = zip(*rounds, strict=True)
        return Figures(
            ours=statistics.median(each["per_second"] for each in mine),
            bare=statistics.median(each["per_second"] for each in other),
            ratio=statistics.median(ratios),
            ours_cpu=statistics.median(each["cpu"] for each in mine),
            bare_cpu=statistics.median(each["cpu"] for each in other),
            p99=statistics.median(each["p99"] for each in mine),
        )

    def measure(
        self, server: Server, requests: Sequence[str], connections: int, *, seconds: float = SECONDS
    ) -> dict[str, Any]:
        """One round of one server: what the generator counted, and µs of Python a request as `cpu`."""
        cpu, wall = server.cpu(), time.perf_counter()
        answer = self.generator.measure(
            {
                "port": server.port,
                "connections": connections,
                "seconds": seconds,
                "warm_up": WARM_UP,
                "requests": list(requests),
                "first_number": self._number,
            }
        )
        self._number = answer["number"]
        answer["cpu"] = (server.cpu() - cpu) / (time.perf_counter() - wall) / max(answer["per_second"], 1) * 1e6
        return answer

    def get(self, path: str) -> str:
        return f"GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {self.token}\r\n\r\n"

    def post(self, path: str, body: dict[str, Any]) -> str:
        """A request whose `{n}` the generator replaces, with an Idempotency-Key of its own."""
        text = json.dumps(body)
        length = len(text) + text.count(NUMBER.decode()) * (DIGITS - len(NUMBER))
        return (
            f"POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {self.token}\r\nidempotency-key: b-{{n}}\r\n"
            f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n{text}"
        )


async def log_in(connection: Any, secret: str, username: str) -> str:
    """An access token for hours: the measurement is not to end with its session."""
    user_id = await connection.fetchval("SELECT id FROM user_account WHERE username = $1", username)
    session_id: UUID = await connection.fetchval(
        "INSERT INTO auth_session (user_id, expires_at) VALUES ($1, now() + interval '1 day') RETURNING id", user_id
    )
    return tokens.issue_access_token(secret, user_id=user_id, session_id=session_id, lifetime=timedelta(hours=12))


async def gets(serving: Serving, connection: asyncpg.Connection) -> list[Result]:
    """Customers by id, chosen at random."""
    rows = await connection.fetch(
        "SELECT id FROM customer ORDER BY hashint8extended(hashtextextended(id::text, 1), 7) LIMIT 5000"
    )
    ours = [serving.get(f"/v1/customers/{row['id']}") for row in rows]
    bare = [serving.get(f"/customers/{row['id']}") for row in rows]
    figures = serving.compare("get", ours, bare)
    return [figures.result("GET /v1/customers/{c}: token, scope, mask, classes", AT_LEAST_GET)]


async def lists(serving: Serving, connection: asyncpg.Connection) -> list[Result]:
    """Pages of 50 by class and region: of a small region, of a large one, and deep in the latter."""
    results = []
    narrow = _lists(serving, [("abc:A", f"CN-{n}") for n in range(12, 20)])
    figures = serving.compare("list, narrow", *narrow)
    results.append(figures.result("GET /v1/customers?class=abc:A&region=CN-15, page 1 of 50", AT_LEAST_GET))
    common = await connection.fetchrow(
        "SELECT k.class, count(*) FROM customer_class k JOIN customer c ON c.id = k.customer_id AND c.region ~>=~ 'CN-'"
        " AND c.region ~<~ 'CN-~' WHERE k.scheme = 'abc' GROUP BY 1 ORDER BY 2 DESC LIMIT 1"
    )
    wide = f"abc:{common['class']}"
    ours, bare = _lists(serving, [(wide, "CN")])
    first = serving.compare("list, wide", ours, bare)
    results.append(first.result(f"GET /v1/customers?class={wide}&region=CN, page 1 of 50", AT_LEAST_GET))
    page = min(DEEP_PAGE, common["count"] // 50 - 1)
    cursor = _walk(serving, f"/v1/customers?class={wide}&region=CN&limit=50", page - 1)
    deep = serving.compare(
        "list, deep", [serving.get(f"/v1/customers?class={wide}&region=CN&limit=50&cursor={cursor}")], bare
    )
    results.append(
        deep.result(f"the same, page {page:,}", AT_LEAST_GET, f"{first.ours / deep.ours:.2f} × the time of page 1")
    )
    return results


def _lists(serving: Serving, asked: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    ours, bare = [], []
    for class_name, region in asked:
        scheme, name = class_name.split(":")
        ours.append(serving.get(f"/v1/customers?class={class_name}&region={region}&limit=50"))
        bare.append(serving.get(f"/customers?scheme={scheme}&name={name}&region={region}&limit=50"))
    return ours, bare


def _walk(serving: Serving, path: str, pages: int) -> str:
    """The cursor after so many pages."""
    cursor = ""
    with httpx.Client(base_url=serving.ours.url, headers={"authorization": f"Bearer {serving.token}"}) as client:
        for _ in range(pages):
            answer = client.get(f"{path}&cursor={cursor}" if cursor else path).raise_for_status()
            cursor = quote(answer.json()["next_cursor"])
    return cursor


async def purchases(serving: Serving, connection: asyncpg.Connection) -> list[Result]:
    """Purchases recorded for customers with about ten, and for customers with ten thousand."""
    few = await with_ten_purchases(connection)
    many = await connection.fetch(
        "SELECT customer_id FROM customer_metrics ORDER BY frequency DESC LIMIT $1", data.GIANTS
    )
    ours, bare = posts(serving, few)
    some = serving.compare("purchase, 10", ours, bare)
    # As many connections as customers: purchases of one customer wait for each other.
    ours, bare = posts(serving, many)
    all_of_many = serving.compare("purchase, 10,000", ours, bare, connections=data.GIANTS)
    ours, bare = posts(serving, few)
    again = serving.compare("purchase, 10, as few at once", ours, bare, connections=data.GIANTS)
    work = "POST …/purchases: metrics, classes, audit, outbox, idempotency"
    return [
        some.result(f"{work}; customers with 10", AT_LEAST_PURCHASE),
        all_of_many.result("the same; customers with 10,000", AT_LEAST_PURCHASE, f"{data.GIANTS} connections"),
        Result(
            "10,000 against 10 purchases, time of one POST",
            "ms",
            1000 * data.GIANTS / all_of_many.ours,
            1000 * data.GIANTS / again.ours,
            "10",
            "≤",
            MANY_COSTS,
        ),
    ]


async def with_ten_purchases(connection: asyncpg.Connection) -> list[Any]:
    """Customers with about ten."""
    few = "SELECT customer_id FROM customer_metrics WHERE frequency BETWEEN 8 AND 11 ORDER BY customer_id LIMIT 4000"
    found: list[Any] = await connection.fetch(few)
    return found


def posts(serving: Serving, rows: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Ours and the floor's, each with a number that the generator makes fresh."""
    at = datetime.combine(data.TODAY, datetime.min.time()) - timedelta(hours=1)
    body = {"order_ref": "B-{n}", "occurred_at": f"{at.isoformat()}Z", "amount": "123.45", "currency": "CNY"}
    ours = [serving.post(f"/v1/customers/{row['customer_id']}/purchases", body) for row in rows]
    bare = [serving.post(f"/customers/{row['customer_id']}/purchases", body) for row in rows]
    return ours, bare
