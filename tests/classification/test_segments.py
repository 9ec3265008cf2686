"""Segments: whoever a condition holds for, or whoever people put there; counted and described for who asks."""

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.core.db import Database
from tests.classification.population import NOON, RunJobs, add, classes, recalculate
from tests.conftest import MakeUser
from tests.customers.customers import pointers

BIG = {"metric": "monetary", "op": "gte", "value": "50"}


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


async def segment(admin: httpx.AsyncClient, key: str, **body: Any) -> Any:
    answer = await admin.post("/v1/segments", json={"key": key, "title": key, **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def members(admin: httpx.AsyncClient, key: str) -> set[str]:
    answer = await admin.get(f"/v1/segments/{key}/customers")
    assert answer.status_code == 200, answer.text
    return {each["id"] for each in answer.json()["items"]}


async def give(database: Database, customer: str, **values: Any) -> None:
    async with database.connection() as connection:
        for name, value in values.items():
            await connection.execute(f"UPDATE customer SET {name} = $2 WHERE id = $1", UUID(customer), value)


async def test_a_segment_with_a_condition_fills_itself_and_follows_purchases(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    small, large = await add(database, "small", [(3, "10")]), await add(database, "large", [(2, "90")])
    await recalculate(admin, run_jobs, refit=True)
    made = await segment(admin, "big", when=BIG, note="a first cut")
    assert (made["kind"], made["version"], made["customers"], made["note"]) == ("segment", 0, 0, "a first cut")
    assert made["recalculation_id"] is not None
    await run_jobs()
    filled = (await admin.get("/v1/segments/big")).json()
    assert (filled["version"], filled["customers"], filled["recalculation_id"]) == (1, 1, None)
    assert filled["when"] == BIG
    assert await members(admin, "big") == {large}
    body = {"occurred_at": NOON.isoformat(), "amount": "45"}
    answer = await admin.post(f"/v1/customers/{small}/purchases", json=body)
    assert answer.json()["classes"]["big"] == "in"
    assert await members(admin, "big") == {small, large}


async def test_a_condition_that_needs_the_usual_gap_gets_it_from_the_population(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    silent = await add(database, "silent", [(90, "10"), (80, "10"), (70, "10")])
    await add(database, "steady", [(20, "10"), (10, "10"), (0, "10")])
    await recalculate(admin, run_jobs, refit=True)
    await segment(admin, "silent", when={"metric": "gap_ratio", "op": "gt", "value": "3"})
    await run_jobs()
    assert await members(admin, "silent") == {silent}


async def test_a_condition_that_nobody_can_be_asked_is_refused_where_it_stands(admin: httpx.AsyncClient) -> None:
    table: list[tuple[dict[str, Any], list[str]]] = [
        ({"when": {"all": [BIG, {"metric": "monetray", "op": "gte", "value": "1"}]}}, ["/body/when/all/1/metric"]),
        ({"when": {"class": "nope", "op": "eq", "value": "x"}}, ["/body/when/class"]),
        ({"when": {"class": "abc", "op": "eq", "value": "Z"}}, ["/body/when/value"]),
        ({"when": BIG, "static": True}, ["/body"]),
        ({}, ["/body"]),
        ({"static": True, "key": "x" * 41}, ["/body/key"]),
    ]
    for body, expected in table:
        assert pointers(await admin.post("/v1/segments", json={"key": "bad", "title": "Bad", **body})) == expected
    await segment(admin, "there", static=True)
    again = await admin.post("/v1/segments", json={"key": "there", "title": "x", "static": True})
    assert (again.status_code, again.json()["type"]) == (409, "urn:strata:problem:key-taken")
    assert (await admin.get("/v1/segments/abc")).status_code == 404
    assert (await admin.get("/v1/segments/abc/customers")).status_code == 404


async def test_members_of_a_static_segment_come_and_go_by_hand(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    made = [await add(database, f"c-{n}", [(n, "10")]) for n in range(4)]
    await recalculate(admin, run_jobs, refit=True)
    created = await segment(admin, "friends", static=True)
    assert (created["kind"], created["version"], created["when"]) == ("static", 1, None)
    path = "/v1/segments/friends/members"
    for _ in range(2):
        assert (await admin.put(f"{path}/{made[0]}")).status_code == 204
    assert (await classes(admin, made[0]))["friends"] == "in"
    answer = await admin.post(path, json={"add": made[:3]})
    assert answer.json() == {"added": 2, "removed": 0}
    assert await members(admin, "friends") == set(made[:3])
    answer = await admin.post(path, json={"add": [made[3]], "remove": made[:2]})
    assert answer.json() == {"added": 1, "removed": 2}
    for _ in range(2):
        assert (await admin.delete(f"{path}/{made[3]}")).status_code == 204
    assert await members(admin, "friends") == {made[2]}
    history = (await admin.get(f"/v1/customers/{made[0]}/classes/friends/history")).json()["items"]
    assert [(each["to_class"], each["cause"]) for each in history] == [(None, "event"), ("in", "event")]
    assert (await recalculate(admin, run_jobs))["changed"] == 0
    assert (await admin.delete(f"/v1/customers/{made[2]}")).status_code == 204
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM segment_member") == 0


async def test_nobody_is_put_where_that_makes_no_sense(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, make_user: MakeUser
) -> None:
    seller = await make_user({"customers:read": "own", "segments:read": "own", "segments:write": "own"})
    mine, other = await add(database, "mine", [(1, "60")]), await add(database, "other", [(1, "70")])
    await give(database, mine, owner_id=UUID(seller.headers["X-Test-User"]))
    await recalculate(admin, run_jobs, refit=True)
    await segment(admin, "friends", static=True)
    await segment(admin, "big", when=BIG)
    await run_jobs()
    path = "/v1/segments/friends/members"
    assert (await seller.put(f"{path}/{mine}")).status_code == 204
    assert (await seller.put(f"{path}/{other}")).status_code == 404
    assert pointers(await seller.post(path, json={"add": [mine, other]})) == ["/body/add/1"]
    assert pointers(await admin.post(path, json={"add": [mine], "remove": [str(uuid4()), mine]})) == [
        "/body/remove/0",
        "/body/remove/1",
    ]
    assert pointers(await admin.post(path, json={"add": [mine] * 1001})) == ["/body/add"]
    refused = await admin.put(f"/v1/segments/big/members/{mine}")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:strata:problem:not-static")
    assert (await admin.put(f"/v1/segments/nope/members/{mine}")).status_code == 404
    assert (await seller.post("/v1/segments", json={"key": "own", "title": "x", "static": True})).status_code == 403
    assert await members(admin, "big") == {mine, other}
    assert await members(seller, "big") == {mine}
    counts = {each["key"]: each["customers"] for each in (await seller.get("/v1/segments")).json()["items"]}
    assert counts == {"big": 1, "friends": 1}
    assert (await admin.get("/v1/segments", params={"limit": 1})).json()["next_cursor"] is not None
    portrait = (await seller.get("/v1/segments/big/portrait")).json()
    assert (portrait["customers"], portrait["share"], portrait["monetary"]) == (1, 1.0, "60.00")


async def test_a_portrait_holds_its_customers_against_everybody(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    large = [await add(database, f"l-{n}", [(2, "60")]) for n in range(2)]
    small = [await add(database, f"s-{n}", [(4, "10"), (8, "10")]) for n in range(2)]
    for customer in large:
        await give(database, customer, region="CN-31", tags=["wholesale"])
    await give(database, small[0], region="CN-31")
    await recalculate(admin, run_jobs, refit=True)
    await segment(admin, "big", when=BIG)
    await run_jobs()
    portrait = (await admin.get("/v1/segments/big/portrait")).json()
    assert (portrait["customers"], portrait["share"]) == (2, 0.5)
    assert (portrait["monetary"], portrait["monetary_share"]) == ("120.00", 0.75)
    averages = {each["name"]: (each["average"], each["average_of_everybody"]) for each in portrait["metrics"]}
    assert averages["monetary"] == ("60.00", "40.00")
    assert averages["frequency"] == ("1", "1.5")
    assert averages["recency_days"] == ("2", "3")
    assert portrait["regions"] == [
        {"value": "CN-31", "customers": 2, "share": 1.0, "share_of_everybody": 0.75, "lift": 1.3333}
    ]
    assert portrait["tags"] == [
        {"value": "wholesale", "customers": 2, "share": 1.0, "share_of_everybody": 0.5, "lift": 2.0}
    ]
    shares = {(each["scheme"], each["class"]): each["lift"] for each in portrait["classes"]}
    assert shares["lifecycle", "first_purchase"] == 2.0
    assert not [each for each in portrait["classes"] if each["scheme"] == "big"]
    await segment(admin, "empty", static=True)
    nobody = (await admin.get("/v1/segments/empty/portrait")).json()
    assert (nobody["customers"], nobody["share"], nobody["regions"]) == (0, 0.0, [])


async def test_a_condition_on_the_record_follows_its_changes_at_once(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    customer = await add(database, "c", [(1, "10")])
    await recalculate(admin, run_jobs, refit=True)
    await segment(admin, "fair", when={"tag": "fair"})
    await segment(admin, "shanghai", when={"field": "region", "op": "within", "value": "CN-31"})
    await run_jobs()
    path = f"/v1/customers/{customer}"
    for change, expected in [
        ({"tags": ["fair"]}, {"fair"}),
        ({"region": "CN-31-115000"}, {"fair", "shanghai"}),
        ({"name": "another"}, {"fair", "shanghai"}),
        ({"tags": [], "region": "CN-44"}, set()),
    ]:
        assert (await admin.patch(path, json=change)).status_code == 200
        assert set(await classes(admin, customer)) & {"fair", "shanghai"} == expected, change
