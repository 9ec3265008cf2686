"""`strata check` sees every way in which a database can break what is promised, and names it."""

from collections.abc import Awaitable, Callable
from datetime import date

import httpx
import pytest

from app import features
from app.core.checks import Finding, findings
from app.core.db import Database
from app.core.jobs import enqueue
from tests.classification.schemes import on_day, publish, spending, standing

KEY = "spending"
RunJobs = Callable[[], Awaitable[None]]
Today = Callable[[date], None]
TODAY = date(2020, 6, 30)
LEAVES = date(2020, 7, 9)


@pytest.fixture
async def base(admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Today) -> list[str]:
    """Customers who stay, who wait for a downgrade, who are overridden for a time and without end; one was deleted."""
    today(TODAY)
    await publish(database, KEY, spending(downgrade={"grace_days": 30}))
    customers = []
    for amount in ("50", "600", "200", "1500", "70"):
        made = await admin.post("/v1/customers", json={"name": "somebody"})
        customers.append(str(made.json()["id"]))
        body = {"occurred_at": "2019-07-10T00:00:00Z", "amount": amount}
        assert (await admin.post(f"/v1/customers/{customers[-1]}/purchases", json=body)).status_code == 201
    await admin.delete(f"/v1/customers/{customers.pop()}")
    for customer, expires_at in zip(customers[2:], ("2020-07-20T00:00:00Z", None), strict=True):
        override = {"class": "gold", "reason": "a contract", "expires_at": expires_at}
        path = f"/v1/customers/{customer}/classes/{KEY}/override"
        assert (await admin.put(path, json=override)).status_code == 200
    await on_day(database, run_jobs, today, LEAVES)
    assert (await standing(admin, customers[1], KEY))["pending"] is not None
    return customers


async def found(database: Database) -> dict[str, Finding]:
    return {each.promise: each async for each in findings(database, features.CHECKS)}


async def broken(database: Database) -> set[str]:
    return {promise for promise, each in (await found(database)).items() if each.violations}


async def test_what_the_service_leaves_behind_keeps_every_promise(
    base: list[str], admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Today
) -> None:
    clean = await found(database)
    assert [each for each in clean.values() if each.violations] == []
    assert len(clean) == len(features.CHECKS)
    assert clean["the history replayed gives every class that stands, and no other"].examined >= 4
    assert clean["what is pending or will end is reviewed in time"].examined > 0
    today(date(2020, 7, 21))  # the override has ended; the sweep has not come yet
    assert await broken(database) == set()
    await on_day(database, run_jobs, today, date(2020, 7, 21))
    assert await broken(database) == set()
    assert (await admin.delete(f"/v1/customers/{base[2]}/classes/{KEY}/override")).status_code == 404
    assert (await admin.delete(f"/v1/customers/{base[3]}/classes/{KEY}/override")).status_code == 204
    assert (await admin.post("/v1/recalculations", json={"refit": True})).status_code == 202
    await run_jobs()
    assert await broken(database) == set()
    assert (await found(database))[REMEMBERED].examined > 0


REPLAY = "the history replayed gives every class that stands, and no other"
CHAIN = "each change begins where the one before ended"
OVERRIDDEN = "who is overridden has an override in force"
REVIEWED = "what is pending or will end is reviewed in time"
VAIN = "no change of class was announced that did not happen"
MEASURED = "every customer was measured, or waits for it"
REMEMBERED = "what is remembered as decided stands"
THEIRS = "customer_id = $1 AND scheme = 'spending'"
CORRUPTIONS = [
    (f"UPDATE customer_class SET class = 'silver' WHERE {THEIRS}", 0, {REPLAY}),
    (f"DELETE FROM customer_class WHERE {THEIRS}", 0, {REPLAY}),
    (f"DELETE FROM class_change WHERE {THEIRS}", 0, {REPLAY, VAIN}),
    (
        "INSERT INTO customer_class (customer_id, scheme, class, since, as_of, version)"
        " VALUES ($1, 'nothing', 'x', now(), now(), 1)",
        0,
        {REPLAY, "each class names a version that is there"},
    ),
    (
        f"DELETE FROM class_change WHERE {THEIRS} AND id = (SELECT min(id) FROM class_change WHERE {THEIRS})",
        1,
        {CHAIN, VAIN},
    ),
    (
        f"UPDATE class_change SET from_class = 'gold' WHERE {THEIRS}"
        f" AND id = (SELECT max(id) FROM class_change WHERE {THEIRS})",
        1,
        {CHAIN},
    ),
    (f"UPDATE class_change SET version = 7 WHERE {THEIRS}", 0, {"each change names a version that is there"}),
    (f"UPDATE customer_class SET version = 7 WHERE {THEIRS}", 0, {"each class names a version that is there"}),
    (
        f"UPDATE class_change SET breakpoints_id = uuidv7() WHERE {THEIRS}",
        0,
        {"each change names breakpoints that are there"},
    ),
    (f"UPDATE customer_class SET overridden = true WHERE {THEIRS}", 0, {OVERRIDDEN}),
    (f"UPDATE customer_class SET overridden = false WHERE {THEIRS}", 2, {OVERRIDDEN}),
    (f"DELETE FROM class_override WHERE {THEIRS}", 3, {OVERRIDDEN}),
    (f"UPDATE class_override SET class = 'basic' WHERE {THEIRS}", 3, {OVERRIDDEN}),
    (f"UPDATE class_override SET status = 'ended' WHERE {THEIRS}", 3, {OVERRIDDEN}),
    ("UPDATE customer_metrics SET decided = 'spending@1 silver ' WHERE customer_id = $1", 3, {REMEMBERED}),
    ("UPDATE customer_metrics SET next_review_at = NULL WHERE customer_id = $1", 1, {REVIEWED}),
    ("UPDATE customer_metrics SET next_review_at = '2020-08-09' WHERE customer_id = $1", 1, {REVIEWED}),
    ("UPDATE customer_metrics SET next_review_at = '2020-07-21' WHERE customer_id = $1", 2, {REVIEWED}),
    ("DELETE FROM customer_metrics WHERE customer_id = $1", 1, {REVIEWED, MEASURED}),
    (f"UPDATE customer_class SET pending_on = NULL WHERE {THEIRS}", 1, {"a pending class has its day"}),
]
UNCONSTRAINED = [
    (
        "ALTER TABLE customer_class DROP CONSTRAINT pk_customer_class",
        f"INSERT INTO customer_class SELECT * FROM customer_class WHERE {THEIRS}",
        {"a customer has one class of a scheme"},
    ),
    (
        "ALTER TABLE class_override DROP CONSTRAINT ex_class_override_period",
        "INSERT INTO class_override (customer_id, scheme, class, reason, status, period, proposed_by, proposed_at)"
        " SELECT customer_id, scheme, class, reason, status, period, proposed_by, proposed_at FROM class_override"
        f" WHERE {THEIRS}",
        {"one override of a customer and scheme at a time"},
    ),
]
ORPHANED = {
    "every purchase is of a customer who is there",
    "every line of a purchase is of a customer who is there",
    "every row of metrics is of a customer who is there",
    "every class is of a customer who is there",
    "every change of class is of a customer who is there",
    "every override is of a customer who is there",
}


@pytest.mark.parametrize(("statement", "who", "promises"), CORRUPTIONS)
async def test_what_is_corrupted_is_found_and_nothing_else(
    base: list[str], database: Database, statement: str, who: int, promises: set[str]
) -> None:
    async with database.connection() as connection:
        assert await connection.execute(statement, base[who]) not in ("UPDATE 0", "DELETE 0")
    seen = await found(database)
    assert {promise for promise, each in seen.items() if each.violations} == promises
    for promise in promises:
        example = seen[promise].examples[0]
        assert promise == VAIN or str(example.get("customer_id", example.get("id"))) == base[who]


@pytest.mark.parametrize(("constraint", "statement", "promises"), UNCONSTRAINED)
async def test_what_a_constraint_would_have_refused_is_found_without_it(
    base: list[str], database: Database, constraint: str, statement: str, promises: set[str]
) -> None:
    async with database.connection() as connection:
        await connection.execute(constraint)
        await connection.execute(statement, base[3])
    assert await broken(database) == promises


async def test_what_a_deleted_customer_left_behind_is_found(base: list[str], database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("DELETE FROM customer WHERE id = $1", base[3])
    assert await broken(database) == ORPHANED
    async with database.connection() as connection:
        await connection.execute("INSERT INTO dirty_customer VALUES ($1)", base[3])
        await connection.execute(
            "INSERT INTO segment_member (customer_id, scheme, added_by) VALUES ($1, 'x', 'user:x')", base[3]
        )
    assert await broken(database) == ORPHANED | {
        "every mark to measure anew is of a customer who is there",
        "every membership is of a customer who is there",
    }


async def test_a_dead_job_is_found_with_its_reason(base: list[str], database: Database) -> None:
    async with database.transaction() as session:
        await enqueue(session, "reviews.sweep", {})
    async with database.connection() as connection:
        await connection.execute("UPDATE job SET status = 'dead', error = 'it was too much' WHERE status = 'queued'")
    dead = (await found(database))["no job is dead"]
    assert (dead.violations, dead.examples[0]["error"]) == (1, "it was too much")


async def test_a_check_writes_nothing_and_sees_one_moment(base: list[str], database: Database) -> None:
    asked = findings(database, features.CHECKS)
    first = await anext(asked)
    assert first.violations == 0
    async with database.connection() as connection:
        await connection.execute("UPDATE customer_class SET class = 'x'")
    assert [each.promise async for each in asked if each.violations] == []
    assert await broken(database) == {REPLAY, OVERRIDDEN}


def test_every_promise_is_named_once() -> None:
    names = [check.promise for check in features.CHECKS]
    assert len(names) == len(set(names))
