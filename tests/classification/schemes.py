"""Schemes of the tests' own, with the documents that a test needs, and the business clock put forward."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import asyncpg
import httpx
from sqlalchemy import insert

from app.classification.definitions import BaseDocument
from app.classification.models import scheme, scheme_version
from app.classification.schemes import TOPIC, document_adapter
from app.core.db import Database
from app.core.invalidation import announce
from app.core.jobs import enqueue

FAILURES = [
    (asyncpg.NumericValueOutOfRangeError, "outside what"),
    (asyncpg.UndefinedColumnError, "name what is not there"),
    (asyncpg.StatementTooComplexError, "more than the database can evaluate"),
    (asyncpg.QueryCanceledError, "longer than"),
]
"""What the database may say of a scheme, and what the scheme shows then."""

RunJobs = Callable[[], Awaitable[None]]


def spending(**movement: Any) -> dict[str, Any]:
    """Gold from 1,000, silver from 500, bronze from 100, else none, in the last 365 days."""
    rules = [("gold", "1000"), ("silver", "500"), ("bronze", "100")]
    document: dict[str, Any] = {
        "kind": "rules",
        "rules": [
            {"class": name, "when": {"metric": "monetary_365d", "op": "gte", "value": least}} for name, least in rules
        ],
        "default": "basic",
    }
    return {**document, "movement": movement} if movement else document


async def publish(database: Database, key: str, document: dict[str, Any]) -> None:
    """Put a scheme in force as it would be after its publication, before there are customers."""
    parsed: BaseDocument = document_adapter.validate_python(document)
    async with database.transaction() as session:
        await session.execute(insert(scheme).values(key=key, title=key, version=1))
        await session.execute(
            insert(scheme_version).values(
                scheme=key, version=1, document=parsed.model_dump(mode="json", by_alias=True), status="published"
            )
        )
        await announce(session, TOPIC)


async def standing(client: httpx.AsyncClient, customer: str, key: str) -> Any:
    """A customer's class in a scheme, as the API says it."""
    answer = await client.get(f"/v1/customers/{customer}/classes/{key}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def changes(client: httpx.AsyncClient, customer: str, key: str) -> list[tuple[str | None, str | None, str]]:
    """From, to and cause of each change, the first one first."""
    answer = await client.get(f"/v1/customers/{customer}/classes/{key}/history")
    assert answer.status_code == 200, answer.text
    return [(each["from_class"], each["to_class"], each["cause"]) for each in reversed(answer.json()["items"])]


async def announced(database: Database, customer: str, key: str, name: str) -> list[dict[str, Any]]:
    """What the outbox holds of a customer and scheme under an event's name, the first one first."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT payload FROM outbox_event WHERE name = $1 AND payload->>'customer_id' = $2"
            " AND payload->>'scheme' = $3 ORDER BY id",
            name,
            customer,
            key,
        )
    return [row["payload"] for row in rows]


async def on_day(database: Database, run_jobs: RunJobs, today: Callable[[date], None], day: date) -> None:
    """Put the business clock to a day and let the sweep come."""
    today(day)
    async with database.transaction() as session:
        await enqueue(session, "reviews.sweep", {})
    await run_jobs()
