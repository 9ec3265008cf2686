"""Purchases to predict from, and predictions over HTTP."""

import csv
import gzip
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib import resources
from typing import Any

import httpx

from app.classification import schemes
from app.classification.metrics import PREDICTED
from app.core import invalidation
from app.core.db import Database
from tests.classification.population import RunJobs

PATH = "/v1/predictions"
CALIBRATED = date(1997, 9, 30)
FILE = resources.files("app.demo") / "cdnow_sample.csv.gz"
Purchases = Iterable[tuple[str, date, Decimal]]


def cdnow(customers: int = 400) -> list[tuple[str, date, Decimal]]:
    """The first customers' purchases, later ones too."""
    rows = csv.DictReader(gzip.decompress(FILE.read_bytes()).decode().splitlines())
    return [
        (row["customer_id"], date.fromisoformat(row["date"]), Decimal(row["dollar_value"]))
        for row in rows
        if int(row["customer_id"]) <= customers
    ]


async def put(database: Database, purchases: Purchases) -> None:
    """Customers with these purchases as facts, and somebody who never bought."""
    whose, days, amounts = (list(column) for column in zip(*purchases, strict=True))
    at = [datetime.combine(day, time(12), UTC) for day in days]
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO customer (name) SELECT DISTINCT name FROM unnest($1::text[] || 'nobody'::text) AS n (name)",
            whose,
        )
        await connection.execute(
            "INSERT INTO purchase (customer_id, kind, occurred_at, occurred_on, amount, currency, base_amount)"
            " SELECT c.id, 'purchase', at, at::date, amount, 'USD', amount"
            " FROM unnest($1::text[], $2::timestamptz[], $3::numeric[]) AS given (name, at, amount)"
            " JOIN customer c USING (name)",
            whose,
            at,
            amounts,
        )


async def ask(admin: httpx.AsyncClient, **body: Any) -> str:
    answer = await admin.post(PATH, json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{PATH}/{answer.json()['id']}"
    return answer.headers["location"]


async def read(admin: httpx.AsyncClient, path: str) -> Any:
    answer = await admin.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def predict(admin: httpx.AsyncClient, run_jobs: RunJobs, **asked: Any) -> Any:
    path = await ask(admin, **asked)
    await run_jobs()
    ended = await read(admin, path)
    assert ended["status"] == "completed", ended
    return ended


async def fetch(database: Database, query: str, *values: Any) -> list[Any]:
    async with database.connection() as connection:
        rows: list[Any] = await connection.fetch(query, *values)
    return rows


async def written(database: Database) -> dict[str, tuple[Any, ...]]:
    rows = await fetch(
        database,
        f"SELECT c.name, {', '.join(PREDICTED)}, revision"
        " FROM customer_metrics JOIN customer c ON c.id = customer_id ORDER BY c.name",
    )
    return {row["name"]: tuple(row)[1:] for row in rows}


async def metrics_of(admin: httpx.AsyncClient, database: Database, name: str) -> dict[str, Any]:
    [row] = await fetch(database, "SELECT id FROM customer WHERE name = $1", name)
    items = (await read(admin, f"/v1/customers/{row['id']}/metrics"))["items"]
    return {each["name"]: each for each in items if each["name"] in PREDICTED}


async def publish(database: Database, key: str, document: dict[str, Any]) -> None:
    async with database.transaction() as session:
        await session.connection.execute("INSERT INTO scheme (key, title, version) VALUES ($1, $1, 1)", key)
        await session.connection.execute(
            "INSERT INTO scheme_version (scheme, version, document, status) VALUES ($1, 1, $2, 'published')",
            key,
            document,
        )
        await invalidation.announce(session, schemes.TOPIC)


SLEEPING = {
    "kind": "rules",
    "rules": [{"class": "sleeping", "when": {"metric": "probability_alive", "op": "lt", "value": "0.5"}}],
    "default": "awake",
}
