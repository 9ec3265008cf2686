"""Time passes: reviewing only who is due leaves everybody where deciding about everybody every day would."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.classification import refresh, schemes, sweep
from app.classification.engine import Cause, evaluate
from app.classification.schemes import published
from app.core import clock, invalidation
from app.core.db import Database, WriteSession
from app.core.jobs import JobContext
from tests.classification.population import NOON, add, recalculate
from tests.classification.schemes import FAILURES
from tests.classification.test_following import rows_of

TODAY = date(2020, 6, 30)
DAYS = 200
RunJobs = Callable[[], Awaitable[None]]

GRACE = {"downgrade": {"grace_days": 9, "one_step": True}, "minimum_stay_days": 3, "upgrade": "next_month"}
CONTACT = {
    "kind": "rules",
    "movement": GRACE,
    "rules": [
        {"class": "hot", "when": {"event": "purchase", "within_days": 30, "count": {"gte": 2}}},
        {"class": "warm", "when": {"metric": "recency_days", "op": "lte", "value": "45.5"}},
        {"class": "cool", "when": {"metric": "frequency_365d", "op": "gte", "value": 2}},
    ],
    "default": "cold",
}
SPENDING = {
    "kind": "rules",
    "rules": [
        {"class": "well", "when": {"metric": "monetary_365d", "op": "gte", "value": "300"}},
        {"class": "old", "when": {"metric": "tenure_days", "op": "in", "value": ["400", "401", "500"]}},
        {"class": "far", "when": {"all": [
            {"class": "contact", "op": "in", "value": ["cold", "cool"]},
            {"metric": "gap_ratio", "op": "gt", "value": "2.5"},
        ]}},
    ],
    "population": {"median_gap_days": {"of": "gap_days", "quantile": "0.5", "otherwise": "30"}},
    "default": "other",
}  # fmt: skip
COOLING = {
    "kind": "score",
    "parts": [
        {"metric": "recency_days", "weight": "60", "linear": {"from": "80.5", "to": "3"}},
        {"metric": "tenure_days", "weight": "40", "linear": {"from": "10", "to": "71"}},
    ],
    "thresholds": [{"class": "warm", "at_least": 60}, {"class": "cool", "at_least": 30}],
    "default": "cold",
}
PUBLISH = """
WITH made AS (INSERT INTO scheme (key, title, version) VALUES ($1, $1, 1))
INSERT INTO scheme_version (scheme, version, document, status) VALUES ($1, 1, $2, 'published')
"""
STANDING = """
SELECT customer_id::text, scheme, class, score, pending_class, pending_on FROM customer_class ORDER BY 1, 2
"""


@pytest.fixture
def begun(today: Callable[[date], None]) -> None:
    today(TODAY)


async def published_besides(database: Database, **documents: Any) -> None:
    async with database.transaction() as session:
        for key, document in documents.items():
            await session.connection.execute(PUBLISH, key, document)
        await invalidation.announce(session, "schemes")
    await asyncio.sleep(0.2)


async def a_population(database: Database) -> None:
    for n in range(60):
        visits = [
            ((n * 37 + visit * (3 + n % 17)) % 420, f"{(n * 13 + visit * 7) % 90 + 1}.50") for visit in range(n % 8)
        ]
        await add(database, f"base-{n}", visits)


async def sweep_who_is_due(database: Database) -> None:
    await sweep.run_sweep(JobContext(database, {}, None, asyncio.Event()))


async def would_change(database: Database) -> list[Any]:
    """What a recalculation of everybody would change at this instant; nothing of it is kept."""
    everybody = refresh.Range(refresh.NOBODY, UUID(int=2**128 - 1))
    now = clock.business_now()
    before = await rows_of(database, STANDING)
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        session = WriteSession(database, connection)
        await refresh.refresh_metrics(session, everybody, as_of=now)
        await evaluate(session, await published(session), everybody, as_of=now, cause=Cause("clock", "test", None))
        after = [tuple(row) for row in await connection.fetch(STANDING)]
        await transaction.rollback()
    return sorted(set(after) ^ set(before), key=str)


@pytest.mark.usefixtures("begun")
async def test_sweeping_who_is_due_equals_recalculating_everybody_every_day(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Callable[[date], None]
) -> None:
    await a_population(database)
    await published_besides(database, contact=CONTACT, spending=SPENDING, cooling=COOLING)
    await recalculate(admin, run_jobs, refit=True)
    moves = await rows_of(database, "SELECT count(*) FROM class_change")
    ahead = {"occurred_at": (NOON + timedelta(hours=30)).isoformat(), "amount": "77"}
    for n, row in enumerate(await rows_of(database, "SELECT id FROM customer ORDER BY id LIMIT 5")):
        answer = await admin.post(f"/v1/customers/{row[0]}/purchases", json=ahead | {"order_ref": str(n)})
        assert answer.status_code == 201, answer.text
    for day in range(1, DAYS):
        today(TODAY + timedelta(days=day))
        await sweep_who_is_due(database)
        assert not await would_change(database), f"day {day}"
    assert await rows_of(database, "SELECT count(*) FROM class_change") > moves
    assert await rows_of(database, "SELECT 1 FROM customer_class WHERE pending_class IS NOT NULL")


@pytest.mark.usefixtures("begun")
async def test_a_sweep_looks_only_at_who_is_due(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Callable[[date], None]
) -> None:
    await a_population(database)
    await recalculate(admin, run_jobs, refit=True)
    before = await rows_of(database, "SELECT customer_id, revision FROM customer_metrics ORDER BY 1")
    await sweep_who_is_due(database)
    assert await rows_of(database, "SELECT customer_id, revision FROM customer_metrics ORDER BY 1") == before
    today(TODAY + timedelta(days=10))
    due = await rows_of(database, "SELECT customer_id FROM customer_metrics WHERE next_review_at < '2020-07-11'")
    await sweep_who_is_due(database)
    after = await rows_of(database, "SELECT customer_id, revision FROM customer_metrics ORDER BY 1")
    looked_at = {row[0] for row, was in zip(after, before, strict=True) if row != was}
    assert 0 < len(looked_at) < len(before) / 2
    assert looked_at <= {row[0] for row in due}


@pytest.mark.usefixtures("begun")
async def test_a_recalculation_as_of_a_past_day_stands_until_the_day_ends(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    await a_population(database)
    assert (await admin.delete("/v1/schemes/tier")).status_code == 204  # where grace begins depends on the way
    await recalculate(admin, run_jobs, refit=True)
    now = await rows_of(database, STANDING)
    await recalculate(admin, run_jobs, as_of="2020-03-01")
    past = await rows_of(database, STANDING)
    assert past != now
    await sweep_who_is_due(database)
    assert await rows_of(database, STANDING) == past
    async with database.connection() as connection:
        await connection.execute("UPDATE recalculation SET held_on = held_on - 1")
    await sweep_who_is_due(database)
    assert await rows_of(database, STANDING) == now


async def _classes(admin: httpx.AsyncClient, customer: str) -> dict[str, str]:
    found: dict[str, str] = (await admin.get(f"/v1/customers/{customer}")).json()["classes"]
    return found


@pytest.mark.usefixtures("begun")
async def test_classes_can_be_left_to_the_sweep(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, setting: Callable[..., None]
) -> None:
    await a_population(database)
    await recalculate(admin, run_jobs, refit=True)
    customer = (await admin.post("/v1/customers", json={"name": "patient"})).json()["id"]
    assert (await _classes(admin, customer))["lifecycle"] == "prospect"
    setting(classify_inline=False)
    body = {"occurred_at": NOON.isoformat(), "amount": "99"}
    answer = await admin.post(f"/v1/customers/{customer}/purchases", json=body)
    assert (answer.status_code, answer.json()["classes"]["lifecycle"]) == (201, "prospect")
    await sweep_who_is_due(database)
    await run_jobs()
    assert (await _classes(admin, customer))["lifecycle"] == "first_purchase"


@pytest.mark.parametrize(("error", "reason"), FAILURES)
@pytest.mark.usefixtures("begun")
async def test_a_scheme_that_fails_for_a_customer_costs_nobody_a_purchase(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    reason: str,
) -> None:
    await a_population(database)
    await recalculate(admin, run_jobs, refit=True)
    customer = (await admin.post("/v1/customers", json={"name": "unlucky"})).json()["id"]
    friends = {"key": "friends", "title": "Friends", "static": True}
    assert (await admin.post("/v1/segments", json=friends)).status_code == 201
    await run_jobs()

    async def failing(session: WriteSession, evaluation: Any, *given: Any, **named: Any) -> Any:
        if any(each.key == "rfm" for each in evaluation.schemes):
            raise error
        return await evaluate(session, evaluation, *given, **named)

    monkeypatch.setattr(schemes, "evaluate", failing)
    monkeypatch.setattr("app.classification.recalculate.evaluate", failing)
    answer = await admin.post(
        f"/v1/customers/{customer}/purchases", json={"occurred_at": NOON.isoformat(), "amount": "99"}
    )
    assert answer.status_code == 201, answer.text
    assert len((await admin.get(f"/v1/customers/{customer}/purchases")).json()["items"]) == 1
    held = {"class": "vip", "reason": "a contract", "expires_at": "2020-12-31T00:00:00Z"}
    answer = await admin.put(f"/v1/customers/{customer}/classes/tier/override", json=held)
    assert answer.status_code == 200, answer.text
    assert (await admin.put(f"/v1/segments/friends/members/{customer}")).status_code == 204
    await run_jobs()
    found = (await admin.get("/v1/schemes/rfm")).json()
    assert reason in found["error"]
    assert [each["key"] for each in (await admin.get("/v1/schemes")).json()["items"] if each["error"]] == ["rfm"]
    await sweep_who_is_due(database)
    await run_jobs()
    stands = await _classes(admin, customer)
    assert (stands["tier"], stands["friends"]) == ("vip", "in")
    assert found["stale_since"] is not None
    assert (await _classes(admin, customer))["lifecycle"] == "first_purchase"
