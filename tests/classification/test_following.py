"""Classes follow the facts: one at a time, in any order, as a full recalculation would have them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.core.db import Database

RunJobs = Callable[[], Awaitable[None]]
TODAY = date(2020, 6, 30)
NOON = datetime(2020, 6, 30, 12, tzinfo=UTC)


@pytest.fixture
def clock(today: Callable[[date], None]) -> None:
    today(TODAY)


async def new_customer(admin: httpx.AsyncClient, ref: str) -> str:
    body = {"name": ref, "identities": [{"kind": "external", "value": ref}]}
    answer = await admin.post("/v1/customers", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def buy(admin: httpx.AsyncClient, customer: str, amount: str, days_ago: int, kind: str = "purchase") -> Any:
    body = {"occurred_at": (NOON - timedelta(days=days_ago)).isoformat(), "amount": amount, "kind": kind}
    answer = await admin.post(f"/v1/customers/{customer}/purchases", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def bring_in(admin: httpx.AsyncClient, run_jobs: RunJobs, rows: list[tuple[str, int, str]]) -> None:
    lines = [f"{ref},{(NOON - timedelta(days=days)).isoformat()},{amount}" for ref, days, amount in rows]
    file = "customer_ref,occurred_at,amount\n" + "\n".join(lines)
    form = {"kind": "purchases", "create_customers": "true"}
    answer = await admin.post("/v1/imports", files={"file": ("p.csv", file)}, data=form)
    assert answer.status_code == 202, answer.text
    await run_jobs()


async def recalculate(admin: httpx.AsyncClient, run_jobs: RunJobs, **asked: Any) -> Any:
    answer = await admin.post("/v1/recalculations", json=asked)
    assert answer.status_code == 202, answer.text
    await run_jobs()
    return (await admin.get(f"/v1/recalculations/{answer.json()['id']}")).json()


async def a_population(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    """Forty customers of all habits, and breakpoints fitted to them."""
    rows = [
        (f"base-{n}", (n * 37 + visit * (5 + n % 11)) % 700, f"{(n * 13 + visit * 7) % 400 + 1}.50")
        for n in range(40)
        for visit in range(n % 7 + 1)
    ]
    await bring_in(admin, run_jobs, rows)


STANDING = """
SELECT k.customer_id, k.scheme, k.class, k.score, m.frequency, m.monetary, m.refunded, m.frequency_365d,
       m.monetary_365d, m.first_purchase_at, m.last_purchase_at, m.first_purchase_on, m.last_purchase_on,
       m.purchase_days
FROM customer_class k JOIN customer_metrics m USING (customer_id) ORDER BY k.customer_id, k.scheme
"""
LAST_CHANGES = """
SELECT customer_id, scheme, to_class AS class FROM (
    SELECT DISTINCT ON (customer_id, scheme) * FROM class_change ORDER BY customer_id, scheme, at DESC, id DESC
) last WHERE to_class IS NOT NULL ORDER BY customer_id, scheme
"""


async def rows_of(database: Database, query: str) -> list[tuple[Any, ...]]:
    async with database.connection() as connection:
        return [tuple(row.values()) for row in await connection.fetch(query)]


STEP = st.tuples(
    st.sampled_from(["purchase", "purchase", "refund", "import"]),
    st.integers(0, 2),
    st.integers(0, 800),
    st.decimals(min_value="0.01", max_value="999.99", places=2).map(str),
)


@pytest.mark.usefixtures("clock")
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate, Phase.target],
)
@given(steps=st.lists(STEP, min_size=1, max_size=8))
async def test_inline_classes_equal_a_full_recalculation(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database, steps: list[tuple[str, int, int, str]]
) -> None:
    count = await rows_of(database, "SELECT count(*) FROM customer")
    if count == [(0,)]:
        await a_population(admin, run_jobs)
    (number,) = (await rows_of(database, "SELECT count(*) FROM customer"))[0]
    refs = [f"c-{number}-{n}" for n in range(3)]
    customers = [await new_customer(admin, ref) for ref in refs]
    for kind, who, days, amount in steps:
        if kind == "import":
            await bring_in(admin, run_jobs, [(refs[who], days, amount), (refs[0], days // 2, amount)])
        else:
            await buy(admin, customers[who], amount, days, kind)
    inline = await rows_of(database, STANDING)
    done = await recalculate(admin, run_jobs)
    assert done["status"] == "completed"
    assert done["changed"] == 0
    assert await rows_of(database, STANDING) == inline
    assert await rows_of(database, LAST_CHANGES) == [row[:3] for row in inline]


@pytest.mark.usefixtures("clock")
async def test_the_answer_to_a_purchase_carries_the_classes_after_it(
    admin: httpx.AsyncClient, run_jobs: RunJobs
) -> None:
    await a_population(admin, run_jobs)
    customer = await new_customer(admin, "newcomer")
    assert (await admin.get(f"/v1/customers/{customer}")).json()["classes"]["lifecycle"] == "prospect"
    first = await buy(admin, customer, "5000.00", 1)
    assert first["classes"]["abc"] == "A"
    assert first["classes"]["lifecycle"] == "first_purchase"
    assert (await admin.get(f"/v1/customers/{customer}")).json()["classes"] == first["classes"]
    refunded = await buy(admin, customer, "4999.00", 0, "refund")
    assert refunded["classes"]["abc"] == "C"
    history = (await admin.get(f"/v1/customers/{customer}/classes/abc/history")).json()["items"]
    assert [change["to_class"] for change in history] == ["C", "A", "C"]
    assert history[0]["cause"] == "event"
    assert history[0]["inputs"] == {"monetary": "1"}
    assert history[1]["actor"].startswith("user:")


@pytest.mark.usefixtures("clock")
async def test_a_class_at_an_instant_is_the_last_change_before_it(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    await a_population(admin, run_jobs)
    customer = await new_customer(admin, "newcomer")
    await buy(admin, customer, "5000.00", 1)
    changes = (await admin.get(f"/v1/customers/{customer}/classes/abc/history")).json()["items"]
    for change in changes:
        answer = await admin.get(f"/v1/customers/{customer}/classes", params={"as_of": change["at"]})
        found = {item["scheme"]: item["class"] for item in answer.json()["items"]}
        assert found["abc"] == change["to_class"]
    before = await admin.get(f"/v1/customers/{customer}/classes", params={"as_of": "2019-01-01T00:00:00Z"})
    assert before.json()["items"] == []


@pytest.mark.usefixtures("clock")
async def test_writers_and_a_recalculation_at_once_leave_one_truth(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database
) -> None:
    await a_population(admin, run_jobs)
    ids = [row[0] for row in await rows_of(database, "SELECT id FROM customer")]

    async def write(n: int) -> None:
        for visit in range(6):
            await buy(admin, str(ids[(n + visit) % len(ids)]), f"{n * 50 + visit + 1}", (n * 31 + visit) % 400)

    asked = await admin.post("/v1/recalculations", json={"refit": True})
    assert asked.status_code == 202
    await asyncio.gather(run_jobs(), *(write(n) for n in range(8)))
    standing = await rows_of(database, STANDING)
    assert await rows_of(database, LAST_CHANGES) == [row[:3] for row in standing]
    done = await recalculate(admin, run_jobs)
    assert done["changed"] == 0
    assert await rows_of(database, STANDING) == standing


@pytest.mark.usefixtures("clock")
async def test_what_lies_ahead_does_not_count_yet(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    await a_population(admin, run_jobs)
    customer = await new_customer(admin, "early")
    tomorrow = datetime.now(UTC).replace(year=2020, month=7, day=1, hour=0, minute=0)
    body = {"occurred_at": tomorrow.isoformat(), "amount": "10"}
    answer = await admin.post(f"/v1/customers/{customer}/purchases", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["classes"]["lifecycle"] == "prospect"
