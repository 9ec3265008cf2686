"""Searching by predicate tree, first page, against the statement that somebody would write by hand."""

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx

from tests.bench.floors import CUSTOMER
from tests.bench.report import Result
from tests.bench.serving import Serving

AT_MOST = 2
TIMES = 60
_JOINED = CUSTOMER + "JOIN customer_metrics m ON m.customer_id = c.id WHERE "
_IN_CLASS = (
    "EXISTS (SELECT FROM customer_class k WHERE k.customer_id = c.id AND k.scheme = '{}' AND k.class = ANY('{}'))"
)
_NEWEST = " ORDER BY c.id DESC LIMIT 50"
SEARCHES: dict[str, tuple[dict[str, Any], str]] = {
    "spend much and fall silent": (
        {
            "all": [
                {"metric": "monetary_365d", "op": "gte", "value": "2000"},
                {"metric": "recency_days", "op": "gt", "value": 60},
                {"class": "lifecycle", "op": "in", "value": ["at_risk", "churned"]},
            ]
        },
        "m.monetary_365d >= 2000 AND date '2026-07-01' - m.last_purchase_on > 60 AND "
        + _IN_CLASS.format("lifecycle", "{at_risk,churned}"),
    ),
    "one region's best, without a tag": (
        {
            "all": [
                {"field": "region", "op": "within", "value": "CN-15"},
                {"class": "abc", "op": "eq", "value": "A"},
                {"not": {"tag": "newsletter"}},
            ]
        },
        "(c.region = 'CN-15' OR c.region LIKE 'CN-15-%') AND NOT c.tags @> '{newsletter}' AND "
        + _IN_CLASS.format("abc", "{A}"),
    ),
}


async def first_pages(serving: Serving, connection: Any) -> list[Result]:
    """Every search, of who sees everybody."""
    return [await first_page(serving, connection, name) for name in SEARCHES]


async def first_page(
    serving: Serving, connection: Any, name: str, *, of: str = "", owner_id: UUID | None = None
) -> Result:
    """The median of many answers, one after the other: through the API, and as rows from the server alone."""
    where, sql = SEARCHES[name]
    owned = "" if owner_id is None else f" AND c.owner_id = '{owner_id}'"
    async with httpx.AsyncClient(
        base_url=serving.ours.url, headers={"authorization": f"Bearer {serving.token}"}
    ) as client:

        async def ask() -> int:
            answer = await client.post("/v1/customers/search", json={"where": where, "limit": 50})
            return len(answer.raise_for_status().json()["items"])

        async def fetch() -> int:
            return len(await connection.fetch(_JOINED + sql + owned + _NEWEST))

        if await ask() != await fetch():
            raise RuntimeError(f"{name}: the statement by hand finds others")
        ours, floor = await _median(ask), await _median(fetch)
    return Result(f"search: {name}, page 1 of 50{of}", "ms", ours, floor, "SQL by hand", "≤", AT_MOST)


async def _median(work: Callable[[], Awaitable[int]]) -> float:
    """Milliseconds."""
    times = []
    for _ in range(TIMES):
        started = time.perf_counter()
        await work()
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)
