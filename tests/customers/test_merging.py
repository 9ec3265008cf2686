"""Two customers become one, and two again: nothing is lost on either way."""

import uuid
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Table, Uuid

from app import features
from app.core.db import Database, metadata
from tests.classification.population import NOON
from tests.classification.schemes import publish, spending
from tests.conftest import MakeUser
from tests.customers.customers import EMAIL, PHONE, create, external, pointers
from tests.customers.merging import KEY, MERGES, bought, broken, merged, of, post, read, undone


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


# ---- declared --------------------------------------------------------------------------------------------------------


def names_a_customer(table: Table) -> set[str]:
    """The columns that hold a customer's id."""
    keys = {
        column.name for column in table.columns for key in column.foreign_keys if key.column.table.name == "customer"
    }
    named = {
        column.name
        for column in table.columns
        if isinstance(column.type, Uuid)
        and (column.name == "company_id" or column.name.removesuffix("_id").endswith("customer"))
    }
    return keys | {name for name in named if table.name != "customer" or name != "id"}


def test_every_column_that_names_a_customer_is_declared_for_merging() -> None:
    there = {f"{table.name}.{name}" for table in metadata.tables.values() for name in names_a_customer(table)}
    declared = [place.name for place in features.PLACES]
    assert {"customer_identity.customer_id", "customer.company_id", "purchase.customer_id"} <= there
    assert there - set(declared) == set(), "declare them in the package's `repointing.PLACES`"
    assert sorted(declared) == sorted(set(declared))


def test_an_undeclared_table_is_noticed() -> None:
    assert names_a_customer(metadata.tables["purchase"]) == {"customer_id"}
    assert names_a_customer(metadata.tables["job"]) == set()


# ---- merging ---------------------------------------------------------------------------------------------------------


async def test_the_survivor_has_both_histories_and_is_classified_by_them(
    admin: httpx.AsyncClient, database: Database
) -> None:
    await publish(database, KEY, spending())
    one = await create(admin, identities=[external("A")], tags=["x"], custom={"a": "1"})
    two = await create(
        admin, name="Li Wai", phone=PHONE, identities=[external("B")], tags=["y"], custom={"a": "2", "b": "3"}
    )
    await bought(admin, one, "400", order_ref="SO-1")
    await bought(admin, two, "200", order_ref="SO-1")
    await bought(admin, two, "500", order_ref="SO-2")
    await post(admin, of(two, "/notes"), {"text": "likes tea"})
    made = await merged(admin, one, two)
    assert made["moved"] == {"purchase": 2, "purchase_line": 2, "customer_note": 1, "customer_identity": 1}
    now = await read(admin, one)
    assert (now["name"], now["phone"], now["tags"]) == ("Li Wei", PHONE, ["x", "y"])
    assert now["custom"] == {"a": "1", "b": "3"}
    assert {each["value"] for each in now["identities"]} == {"A", "B"}
    assert now["classes"][KEY] == "gold"
    orders = {each["order_ref"] for each in (await read(admin, one, "/purchases"))["items"]}
    assert {"SO-1", "SO-2"} < orders
    assert len(orders) == 3, "two orders of one number stay two"
    history = (await read(admin, one, f"/classes/{KEY}/history"))["items"]
    assert (history[0]["to_class"], history[0]["cause"]) == ("gold", "correction")
    assert await broken(database) == set()
    async with database.connection() as connection:
        theirs = await connection.fetch(
            "SELECT from_class, to_class, cause FROM class_change WHERE customer_id = $1 AND scheme = $2 ORDER BY id",
            UUID(two["id"]),
            KEY,
        )
        told = await connection.fetchval("SELECT payload FROM outbox_event WHERE name = 'customers.merged'")
    assert tuple(theirs[-1]) == ("silver", None, "merge")
    assert told == {"merge_id": made["id"], "customer_id": one["id"], "merged_id": two["id"]}


async def test_what_names_the_merged_customer_is_answered_by_the_survivor(
    admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    one, two, three = [await create(admin) for _ in range(3)]
    await merged(admin, one, two)
    answer = await admin.get(of(two, "/purchases?limit=7"))
    assert (answer.status_code, answer.headers["location"]) == (307, of(one, "/purchases?limit=7"))
    assert answer.json()["type"] == "urn:strata:problem:moved"
    body = {"occurred_at": "2020-06-02T03:04:05Z", "amount": "1"}
    written = await admin.post(of(two, "/purchases"), json=body, follow_redirects=True)
    assert written.status_code == 201
    assert len((await read(admin, one, "/purchases"))["items"]) == 1
    await merged(admin, three, one)
    assert (await admin.get(of(two))).headers["location"] == of(three)
    stranger = await make_user({"customers:read": "own"})
    assert (await stranger.get(of(two))).status_code == 404


async def test_who_is_asked_for_stands_in_the_record(admin: httpx.AsyncClient) -> None:
    one = await create(admin, email=EMAIL, region="CN-31", birthday="1980-02-29")
    more = {"title": "Dr", "birthday": "1980-03-01"}
    two = await create(admin, name="Li Wai", email="other@example.com", region="CN-44", **more)
    made = await merged(admin, one, two, take=["name", "email", "birthday"])
    now = await read(admin, one)
    assert (now["name"], now["email"], now["region"], now["title"]) == ("Li Wai", "other@example.com", "CN-31", "Dr")
    assert now["birthday"] == "1980-03-01"
    await undone(admin, made)
    assert [(await read(admin, each))["birthday"] for each in (one, two)] == ["1980-02-29", "1980-03-01"]


async def test_who_changes_hands_by_a_merge_has_it_in_its_history(
    admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    seller = await make_user({})
    unit = await post(admin, "/v1/units", {"name": "elsewhere"})
    hands = {"owner_id": seller.headers["X-Test-User"], "unit_id": unit["id"]}
    one, two = await create(admin), await create(admin, **hands)
    mine = {name: one[name] for name in hands}
    made = await merged(admin, one, two, take=list(hands))
    assert {name: (await read(admin, one))[name] for name in hands} == hands
    await undone(admin, made)
    assert {name: (await read(admin, one))[name] for name in hands} == mine
    moves = (await read(admin, one, "/transfers"))["items"]
    assert [{name: each[f"to_{name}"] for name in hands} for each in moves] == [mine, hands]
    assert [{name: each[f"from_{name}"] for name in hands} for each in moves] == [hands, mine]


async def test_whoever_works_for_a_company_that_is_deleted_works_for_none(
    admin: httpx.AsyncClient, database: Database
) -> None:
    company = await create(admin, kind="company")
    employee = await create(admin, company_id=company["id"])
    assert (await admin.delete(of(company))).status_code == 204
    now = await read(admin, employee)
    assert (now["company_id"], now["version"]) == (None, employee["version"] + 1)
    assert await broken(database) == set()


async def test_what_was_primary_goes_on_beside_the_survivors_and_is_primary_again(admin: httpx.AsyncClient) -> None:
    one, two = [await create(admin) for _ in range(2)]
    kinds: dict[str, dict[str, Any]] = {
        "addresses": {"kind": "home", "country": "CN", "lines": "1 Lane"},
        "contacts": {"name": "Mei"},
    }
    made: dict[str, list[Any]] = {}
    for part, body in kinds.items():
        made[part] = [
            await post(admin, of(each, f"/{part}"), {**body, "is_primary": is_primary})
            for each, is_primary in ((one, True), (two, True), (two, False))
        ]
    merge = await merged(admin, one, two)
    for part, (stays, first, second) in made.items():
        listed = {each["id"]: each["is_primary"] for each in (await read(admin, one, f"/{part}"))["items"]}
        assert listed == {stays["id"]: True, first["id"]: False, second["id"]: False}
    # Another one of theirs is the primary when they go back: it stays so.
    other = made["addresses"][2]
    changed = await admin.patch(of(one, f"/addresses/{other['id']}"), json={"is_primary": True})
    assert changed.status_code == 200, changed.text
    await undone(admin, merge)
    back = {
        part: {each["id"]: each["is_primary"] for each in (await read(admin, two, f"/{part}"))["items"]}
        for part in kinds
    }
    assert back == {
        "addresses": {made["addresses"][1]["id"]: False, other["id"]: True},
        "contacts": {made["contacts"][1]["id"]: True, made["contacts"][2]["id"]: False},
    }


async def test_a_merge_into_the_same_survivor_is_undone_before_the_one_before_it(admin: httpx.AsyncClient) -> None:
    one, two, three = await create(admin), await create(admin, phone=PHONE), await create(admin, phone="+8613800000001")
    first = await merged(admin, one, two)
    second = await merged(admin, one, three, take=["phone"])
    refused = await admin.post(f"{MERGES}/{first['id']}/undo")
    assert (refused.status_code, second["id"] in refused.json()["detail"]) == (409, True)
    for merge in (second, first):
        await undone(admin, merge)
    assert [(await read(admin, each))["phone"] for each in (one, two, three)] == [None, PHONE, "+8613800000001"]


async def test_an_override_that_is_history_stays_with_whoever_was_merged(
    admin: httpx.AsyncClient, database: Database
) -> None:
    await publish(database, KEY, spending())
    one, two = [await create(admin) for _ in range(2)]
    override = {"class": "gold", "reason": "a contract", "expires_at": None}
    assert (await admin.put(of(two, f"/classes/{KEY}/override"), json=override)).status_code == 200
    assert (await admin.delete(of(two, f"/classes/{KEY}/override"))).status_code < 300
    await merged(admin, one, two)
    assert await broken(database) == set()


async def test_employees_follow_their_company_and_go_back(admin: httpx.AsyncClient) -> None:
    one, two = await create(admin, kind="company"), await create(admin, kind="company")
    employee = await create(admin, company_id=two["id"])
    made = await merged(admin, one, two)
    assert (await read(admin, employee))["company_id"] == one["id"]
    newer = await create(admin, company_id=one["id"])
    await undone(admin, made)
    assert (await read(admin, employee))["company_id"] == two["id"]
    assert (await read(admin, newer))["company_id"] == one["id"]


async def test_what_cannot_be_one_is_refused(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    lead = await make_user({"customers:write": "own", "customers:read": "own", "customers:merge": "own"})
    mine, foreign = await create(lead), await create(admin)
    company = await create(admin, kind="company")
    employee = await create(admin, kind="company", company_id=company["id"])
    cases = [
        (lead, mine["id"], foreign["id"], "/body/merged_id"),
        (lead, foreign["id"], mine["id"], "/body/survivor_id"),
        (admin, mine["id"], mine["id"], "/body/merged_id"),
        (admin, mine["id"], company["id"], "/body/merged_id"),
        (admin, company["id"], employee["id"], "/body/merged_id"),
        (admin, mine["id"], str(uuid.uuid4()), "/body/merged_id"),
    ]
    for client, survivor, other, pointer in cases:
        answer = await client.post(MERGES, json={"survivor_id": survivor, "merged_id": other})
        assert pointers(answer) == [pointer], (survivor, other)
    many = [await create(admin, tags=[f"{name}{n}" for n in range(60)]) for name in "ab"]
    answer = await admin.post(MERGES, json={"survivor_id": many[0]["id"], "merged_id": many[1]["id"]})
    assert pointers(answer) == ["/body/merged_id"]


async def test_merges_are_listed_as_far_as_one_may_merge(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    lead = await make_user({"customers:write": "own", "customers:read": "own", "customers:merge": "own"})
    mine = await merged(lead, await create(lead), await create(lead))
    theirs = await merged(admin, await create(admin), await create(admin))
    assert [each["id"] for each in (await lead.get(MERGES)).json()["items"]] == [mine["id"]]
    assert [each["id"] for each in (await admin.get(MERGES)).json()["items"]] == [theirs["id"], mine["id"]]
    assert (await lead.get(f"{MERGES}/{theirs['id']}")).status_code == 404
    assert (await lead.post(f"{MERGES}/{theirs['id']}/undo")).status_code == 404
    assert (await lead.get(f"{MERGES}/{mine['id']}")).json() == mine


async def test_who_is_deleted_takes_along_whoever_was_merged_into_it(
    admin: httpx.AsyncClient, database: Database
) -> None:
    one, two, three = [await create(admin, phone=PHONE) for _ in range(3)]
    await bought(admin, one, "5")
    await merged(admin, two, one)
    await merged(admin, three, two)
    assert (await admin.delete(of(three))).status_code == 204
    async with database.connection() as connection:
        for place in features.PLACES:
            assert await connection.fetchval(f"SELECT count(*) FROM {place.table.name}") == 0, place.name
    assert (await admin.get(of(one))).status_code == 404


async def test_who_is_erased_is_forgotten_as_whoever_it_was(admin: httpx.AsyncClient, database: Database) -> None:
    one, two = await create(admin), await create(admin, name="canary", phone=PHONE)
    made = await merged(admin, one, two)
    answer = await admin.post(of(one, "/erasure"))
    assert answer.status_code == 200, answer.text
    assert {each["customer_id"] for each in (await admin.get("/v1/erasures")).json()["items"]} == {one["id"], two["id"]}
    async with database.connection() as connection:
        merges = [str(dict(row)) for row in await connection.fetch("SELECT * FROM customer_merge")]
        assert await connection.fetchval("SELECT count(*) FROM customer_merge_row") == 0
    assert not [each for each in merges if "canary" in each or PHONE in each]
    assert (await admin.post(f"{MERGES}/{made['id']}/undo")).status_code == 409
    assert await broken(database) == set()
