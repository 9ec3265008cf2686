"""Stored metrics: when a purchase is added to them, when they are measured again, and who waits for whom."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from app.classification import recalculations, refresh
from app.classification.models import customer_metrics
from app.core import clock
from app.core.db import Database, WriteSession
from app.customers.queries import hold
from tests.classification.population import NOON, RunJobs
from tests.classification.test_following import rows_of

EVERYBODY = refresh.Range(refresh.NOBODY, UUID(int=2**128 - 1))


@pytest.fixture(autouse=True)
def _today(today: Callable[[date], None]) -> None:
    today(NOON.date())


@pytest.fixture
async def customer(admin: httpx.AsyncClient) -> UUID:
    answer = await admin.post("/v1/customers", json={"name": "one"})
    return UUID(answer.json()["id"])


async def buy(admin: httpx.AsyncClient, customer: UUID, amount: str, *, ahead: timedelta = timedelta(0)) -> None:
    body = {"occurred_at": (clock.business_now() + ahead).isoformat(), "amount": amount}
    answer = await admin.post(f"/v1/customers/{customer}/purchases", json=body)
    assert answer.status_code == 201, answer.text


async def monetary(database: Database, customer: UUID) -> Any:
    query = "SELECT monetary FROM customer_metrics WHERE customer_id = $1"
    async with database.connection() as connection:
        return await connection.fetchval(query, customer)


async def execute(database: Database, statement: str, *values: Any) -> None:
    async with database.connection() as connection:
        await connection.execute(statement, *values)


async def somebody_waits(database: Database) -> None:
    waiting = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"
    )
    async with asyncio.timeout(10), database.connection() as connection:
        while not await connection.fetchval(waiting):  # noqa: ASYNC110  PostgreSQL tells nobody
            await asyncio.sleep(0.02)


async def test_a_purchase_is_added_to_what_is_stored_unless_that_cannot_be_trusted(
    admin: httpx.AsyncClient, database: Database, customer: UUID, today: Callable[[date], None]
) -> None:
    await buy(admin, customer, "10")
    # What nobody could have stored shows whether the row was measured again.
    off = "UPDATE customer_metrics SET monetary = monetary + 1000"
    await execute(database, off)
    await buy(admin, customer, "1")
    assert await monetary(database, customer) == 1011
    await execute(database, "INSERT INTO dirty_customer VALUES ($1)", customer)
    await buy(admin, customer, "1")
    assert await monetary(database, customer) == 12
    await execute(database, off)
    await buy(admin, customer, "1")  # measuring again has taken the mark away
    assert await monetary(database, customer) == 1013
    today(NOON.date() - timedelta(days=1))
    await buy(admin, customer, "1")
    assert await monetary(database, customer) == 1
    await execute(database, "DELETE FROM customer_metrics")
    today(NOON.date() + timedelta(days=1))
    await buy(admin, customer, "1")
    assert await monetary(database, customer) == 15


async def test_a_row_that_a_recalculation_writes_meanwhile_is_not_added_to_twice(
    admin: httpx.AsyncClient, database: Database, customer: UUID, today: Callable[[date], None]
) -> None:
    await buy(admin, customer, "10", ahead=timedelta(hours=20))
    today(NOON.date() + timedelta(days=2))
    async with database.transaction() as session:
        await refresh.refresh_metrics(session, EVERYBODY, as_of=clock.business_now())  # what lay ahead has become due
        buying = asyncio.create_task(buy(admin, customer, "1"))
        await somebody_waits(database)
    await buying
    assert await monetary(database, customer) == Decimal(11)


async def test_who_buys_during_a_recalculation_keeps_the_purchase(
    admin: httpx.AsyncClient, database: Database, customer: UUID
) -> None:
    began = clock.business_now()
    await buy(admin, customer, "10")
    async with database.transaction() as session:
        await refresh.refresh_metrics(session, EVERYBODY, as_of=began)
    assert await monetary(database, customer) == 10
    async with database.transaction() as session:
        await refresh.refresh_metrics(session, EVERYBODY, as_of=began, goes_back=True)
    assert await monetary(database, customer) == 0


HOURLY = """
INSERT INTO purchase (customer_id, kind, occurred_at, occurred_on, amount, currency, base_amount)
SELECT $1, 'purchase', at, (at AT TIME ZONE $2)::date, 1, 'CNY', 1
FROM generate_series($3::timestamptz - interval '40 hours', $3::timestamptz + interval '40 hours', '1 hour') at
"""


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_time_that_passes_takes_every_purchase_into_account_whatever_the_time_zone(
    database: Database, customer: UUID, zone: str
) -> None:
    first = datetime(2020, 6, 30, 0, 30, tzinfo=UTC)
    for middle in (first, first - refresh.WINDOW):
        await execute(database, HOURLY, customer, zone, middle)
    for hour in range(0, 24, 3):
        since = first + timedelta(hours=hour)
        until = since + timedelta(hours=12)
        async with database.transaction() as session:
            await refresh.refresh_metrics(session, [customer], as_of=since)
            await refresh.follow_time(session, [customer], as_of=until)
            followed = await measured(session, customer)
            await refresh.refresh_metrics(session, [customer], as_of=until)
            assert await measured(session, customer) == followed, since


async def measured(session: WriteSession, customer: UUID) -> list[Any]:
    m = customer_metrics
    (row,) = await session.all(select(m).where(m.c.customer_id == customer))
    return [value for name, value in row.items() if name != "revision"]


async def test_customers_that_are_recalculated_can_be_marked_again_without_a_deadlock(
    database: Database, run_jobs: RunJobs, customer: UUID
) -> None:
    await execute(database, "INSERT INTO dirty_customer VALUES ($1)", customer)
    async with database.transaction() as session:
        await recalculations.queue(session, "dirty", "request", ["abc"], refit=False)
    async with database.transaction() as session:  # as an import does it: hold, write, mark
        await hold(session, [customer])
        running = asyncio.ensure_future(run_jobs())
        await somebody_waits(database)
        await session.connection.execute(
            "INSERT INTO purchase (customer_id, kind, occurred_at, occurred_on, amount, currency, base_amount)"
            " VALUES ($1, 'purchase', $2, $3, 7, 'CNY', 7)",
            customer,
            NOON - timedelta(days=1),
            NOON.date() - timedelta(days=1),
        )
        await refresh.mark_dirty(session, [customer])
    await running
    assert await monetary(database, customer) == 7
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM dirty_customer") == 0
        assert await connection.fetchval("SELECT max(starts) FROM job") == 1


async def test_categories_are_counted_once_each_and_followed(admin: httpx.AsyncClient, database: Database) -> None:
    customer = (await admin.post("/v1/customers", json={"name": "reader"})).json()["id"]

    async def counted() -> str | None:
        items = (await admin.get(f"/v1/customers/{customer}/metrics")).json()["items"]
        value: str | None = next(item["value"] for item in items if item["name"] == "distinct_categories")
        return value

    async def buy(*categories: str | None, kind: str = "purchase") -> None:
        lines = [{"amount": "1", "quantity": "1", "category": category} for category in categories]
        body = {"occurred_at": "2020-01-02T03:04:05Z", "amount": str(len(lines)), "kind": kind, "lines": lines}
        answer = await admin.post(f"/v1/customers/{customer}/purchases", json=body)
        assert answer.status_code == 201, answer.text

    assert await counted() is None
    await buy(None)
    assert await counted() == "0"
    await buy("tea", "tea", "coffee")
    await buy("coffee", None)
    assert await counted() == "2"
    await buy("wine", kind="refund")
    assert await counted() == "2"
    stored = await rows_of(database, f"SELECT categories FROM customer_metrics WHERE customer_id = '{customer}'")
    assert stored == [(["coffee", "tea"],)]


async def test_several_at_once_are_measured_each_by_its_own_facts(admin: httpx.AsyncClient, database: Database) -> None:
    tomorrow = (clock.business_now() + timedelta(hours=20)).isoformat()
    bought = {"tea": "2020-01-02T03:04:05Z", "wine": tomorrow, "silk": "2020-03-02T03:04:05Z"}
    ids = []
    for category, at in bought.items():
        customer = (await admin.post("/v1/customers", json={"name": category})).json()["id"]
        lines = [{"amount": "1", "quantity": "1", "category": category}]
        body = {"occurred_at": at, "amount": "1", "lines": lines}
        assert (await admin.post(f"/v1/customers/{customer}/purchases", json=body)).status_code == 201
        ids.append(UUID(customer))
    measured = "SELECT frequency, categories, window_first_at, next_fact_at FROM customer_metrics ORDER BY customer_id"
    followed = await rows_of(database, measured)
    assert [row[1] for row in followed] == [["tea"], [], ["silk"]]
    assert [row[3] is not None for row in followed] == [False, True, False]
    async with database.transaction() as session:
        await hold(session, ids)
        await refresh.refresh_metrics(session, ids, as_of=clock.business_now(), categories=True)
    assert await rows_of(database, measured) == followed
