"""A population whose breakpoints are known by heart, brought in as purchases, and what tests ask of it."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx

from app.core.db import Database

NOON = datetime(2020, 6, 30, 12, tzinfo=UTC)
RunJobs = Callable[[], Awaitable[None]]
Visit = tuple[int, str]
"""Days ago, and the amount."""

SCHEMES = ("abc", "rfm", "lifecycle")


async def add(database: Database, ref: str, visits: list[Visit]) -> str:
    """A customer with these purchases, written as facts: nothing is measured or classified yet."""
    async with database.connection() as connection:
        customer_id: UUID = await connection.fetchval("INSERT INTO customer (name) VALUES ($1) RETURNING id", ref)
        at = [NOON - timedelta(days=days) for days, _ in visits]
        await connection.execute(
            "INSERT INTO purchase (customer_id, kind, occurred_at, occurred_on, amount, currency, base_amount)"
            " SELECT $1, 'purchase', at, at::date, amount, 'CNY', amount"
            " FROM unnest($2::timestamptz[], $3::numeric[]) AS given (at, amount)",
            customer_id,
            at,
            [Decimal(amount) for _, amount in visits],
        )
    return str(customer_id)


async def recalculate(admin: httpx.AsyncClient, run_jobs: RunJobs, **asked: Any) -> Any:
    """Ask for a recalculation, run it and give it back."""
    answer = await admin.post("/v1/recalculations", json=asked)
    assert answer.status_code == 202, answer.text
    await run_jobs()
    ended = (await admin.get(answer.headers["location"])).json()
    assert ended["status"] == "completed", ended
    return ended


async def explanation(admin: httpx.AsyncClient, customer: str, scheme: str) -> Any:
    answer = await admin.get(f"/v1/customers/{customer}/classes/{scheme}/explanation")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def classes(admin: httpx.AsyncClient, customer: str) -> dict[str, str]:
    found: dict[str, str] = (await admin.get(f"/v1/customers/{customer}")).json()["classes"]
    return found
