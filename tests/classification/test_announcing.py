"""What the outbox holds of segments: who enters and leaves, and nothing of who is there from the beginning."""

from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.classification.population import NOON, RunJobs, add, recalculate
from tests.classification.schemes import announced
from tests.classification.versions import draft, publish

KEY = "big"
BIG = {"metric": "monetary", "op": "gte", "value": "50"}
NAMES = ("segment.entered", "segment.left", "customer.class_changed")


@pytest.fixture(autouse=True)
def _today(today: Callable[[date], None]) -> None:
    today(NOON.date())


async def make(admin: httpx.AsyncClient, run_jobs: RunJobs, **said: Any) -> None:
    answer = await admin.post("/v1/segments", json={"key": KEY, "title": KEY, **said})
    assert answer.status_code == 201, answer.text
    await run_jobs()


async def told(database: Database, customer: str) -> list[tuple[str, Any, Any, Any]]:
    """Name, before, after and reason of what was announced of a customer and the segment."""
    found = [(name, each) for name in NAMES for each in await announced(database, customer, KEY, name)]
    assert all(isinstance(each["change_id"], int) for _, each in found)
    return [(name, each["before"], each["after"], each["reason"]) for name, each in found]


async def spend(admin: httpx.AsyncClient, customer: str, amount: str, kind: str = "purchase") -> None:
    body = {"occurred_at": NOON.isoformat(), "amount": amount, "kind": kind}
    assert (await admin.post(f"/v1/customers/{customer}/purchases", json=body)).status_code == 201


async def test_entering_and_leaving_a_segment_are_events_of_their_own(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    customer = await add(database, "c", [(1, "10")])
    await recalculate(admin, run_jobs, refit=True)
    await make(admin, run_jobs, when=BIG)
    await spend(admin, customer, "45")
    entered = ("segment.entered", None, "in", {"cause": "event", "version": 1})
    assert await told(database, customer) == [entered]
    await spend(admin, customer, "30", "refund")
    left = ("segment.left", "in", None, {"cause": "correction", "version": 1})
    assert await told(database, customer) == [entered, left]


async def test_who_is_put_into_a_static_segment_enters_it(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    customer = await add(database, "c", [(1, "10")])
    await recalculate(admin, run_jobs, refit=True)
    await make(admin, run_jobs, static=True)
    path = f"/v1/segments/{KEY}/members/{customer}"
    assert (await admin.put(path)).status_code == 204
    assert (await admin.delete(path)).status_code == 204
    assert [each[0] for each in await told(database, customer)] == ["segment.entered", "segment.left"]


async def test_members_from_the_beginning_are_no_news_and_who_enters_later_in_bulk_is(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    there, later, lower = [await add(database, f"c-{n}", [(1, amount)]) for n, amount in enumerate(("90", "40", "20"))]
    await recalculate(admin, run_jobs, refit=True)
    await make(admin, run_jobs, when=BIG)
    assert [await told(database, each) for each in (there, later, lower)] == [[], [], []]
    async with database.connection() as connection:
        await connection.execute("UPDATE purchase SET amount = 60, base_amount = 60 WHERE customer_id = $1", later)
    await recalculate(admin, run_jobs)
    assert await told(database, later) == [("segment.entered", None, "in", {"cause": "request", "version": 1})]
    await draft(admin, KEY, {"kind": "segment", "when": {**BIG, "value": "15"}})
    await publish(admin, run_jobs, KEY, 2)
    assert await told(database, lower) == [("segment.entered", None, "in", {"cause": "publish", "version": 2})]
    assert await told(database, there) == []
