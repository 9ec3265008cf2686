"""Custom fields: what each type takes and in which spelling it is kept; who may define them."""

from typing import Any

import httpx
import pytest

from app.core.db import Database
from app.customers.rules import MOST_INDEXED
from tests.conftest import MakeUser, RunJobs
from tests.customers.customers import create, external, pointers

PATH = "/v1/custom-fields"


async def define(client: httpx.AsyncClient, **definition: Any) -> Any:
    answer = await client.post(PATH, json={"key": "size", "title": "Size", **definition})
    assert answer.status_code == 201, answer.text
    return answer.json()


TAKEN: list[tuple[dict[str, Any], dict[str, str], list[str]]] = [
    ({"type": "text"}, {"anything": "anything"}, []),
    (
        {"type": "number", "minimum": "0", "maximum": "100"},
        {"12.50": "12.5", "0": "0", "100": "100", " 7 ": "7"},
        ["-0.01", "100.01", "NaN", "1e999", "many", "", "0x10", "1.23456"],
    ),
    ({"type": "money"}, {"12.5": "12.50", "-3": "-3.00", "1.2345": "1.2345"}, ["12 CNY", "Infinity"]),
    ({"type": "date"}, {"2026-01-02": "2026-01-02"}, ["2026-02-30", "1750-01-01", "tomorrow", "2026-01-02T03:04"]),
    ({"type": "boolean"}, {"true": "true", "false": "false"}, ["yes", "True", "1", ""]),
    ({"type": "choice", "options": ["shop", "online"]}, {"shop": "shop"}, ["Shop", "shop;online", ""]),
    (
        {"type": "multi_choice", "options": ["shop", "online", "fair"]},
        {"fair; shop": "shop;fair", "online": "online", "fair;fair": "fair"},
        ["shop;web", ";", ""],
    ),
]


async def test_an_indexed_field_holds_what_an_index_can(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    most, more = "茶" * MOST_INDEXED, "茶" * (MOST_INDEXED + 1)
    made = await create(admin, custom={"size": more})
    path = f"/v1/customers/{made['id']}"
    body = {"key": "size", "title": "Size", "type": "text"}
    assert pointers(await admin.post(PATH, json={**body, "indexed": True})) == ["/body/indexed"]
    await define(admin, type="text")
    assert pointers(await admin.patch(f"{PATH}/size", json={"indexed": True})) == ["/body/indexed"]
    assert (await admin.patch(path, json={"custom": {"size": most}})).status_code == 200
    assert (await admin.patch(f"{PATH}/size", json={"indexed": True})).status_code == 200
    await run_jobs()
    assert pointers(await admin.patch(path, json={"custom": {"size": more}})) == ["/body/custom/size"]
    assert (await create(admin, custom={"size": "\U0001f375" * MOST_INDEXED}))["custom"]["size"]
    async with database.connection() as connection:
        found = await connection.fetchval("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix_customer_custom_%'")
    assert found == 1


@pytest.mark.parametrize(("definition", "taken", "refused"), TAKEN, ids=lambda each: str(each)[:40])
async def test_a_field_takes_what_its_type_says_and_keeps_it_in_one_spelling(
    admin: httpx.AsyncClient, definition: dict[str, Any], taken: dict[str, str], refused: list[str]
) -> None:
    await define(admin, **definition)
    made = await create(admin)
    path = f"/v1/customers/{made['id']}"
    for given, kept in taken.items():
        custom = {"size": given, "undefined": "any text"}
        assert (await create(admin, custom=custom))["custom"] == {**custom, "size": kept}
        changed = await admin.patch(path, json={"custom": custom})
        assert changed.json()["custom"] == {**custom, "size": kept}, changed.text
        again = await admin.patch(path, json={"custom": custom})
        assert again.json() == changed.json(), "another spelling is no change"
    for given in refused:
        custom = {"size": given}
        assert pointers(await admin.post("/v1/customers", json={"name": "x", "custom": custom})) == [
            "/body/custom/size"
        ], given
        assert pointers(await admin.patch(path, json={"custom": custom})) == ["/body/custom/size"], given
        batch = {"customers": [{"name": "x", "identities": [external("1")], "custom": custom}]}
        answer = await admin.post("/v1/customers/batch", json=batch)
        assert pointers(answer) == ["/body/customers/0/custom/size"], given


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"type": "choice"}, "/body/options"),
    ({"type": "choice", "options": ["a", "a"]}, "/body/options"),
    ({"type": "multi_choice", "options": ["a;b"]}, "/body/options/0"),
    ({"type": "text", "options": ["a"]}, "/body/options"),
    ({"type": "date", "minimum": "1"}, "/body/minimum"),
    ({"type": "number", "minimum": "2", "maximum": "1"}, "/body/maximum"),
    ({"type": "colour"}, "/body/type"),
    ({"type": "text", "key": "Store Size"}, "/body/key"),
]


@pytest.mark.parametrize(("definition", "pointer"), WRONG, ids=str)
async def test_a_definition_that_makes_no_sense_is_refused(
    admin: httpx.AsyncClient, definition: dict[str, Any], pointer: str
) -> None:
    assert pointers(await admin.post(PATH, json={"key": "size", "title": "Size", **definition})) == [pointer]
    assert (await admin.get(PATH)).json() == {"items": [], "next_cursor": None}


async def test_a_definition_is_changed_and_deleted_and_what_customers_have_stays(
    admin: httpx.AsyncClient, database: Database
) -> None:
    field = await define(admin, type="number", maximum="10")
    assert (await admin.post(PATH, json={"key": "size", "title": "x", "type": "text"})).status_code == 409
    made = await create(admin, custom={"size": "7"})
    path = f"{PATH}/size"
    assert (await admin.get(PATH)).json()["items"] == [field] == [(await admin.get(path)).json()]
    assert pointers(await admin.patch(path, json={"options": ["a"]})) == ["/body/options"]
    assert pointers(await admin.patch(path, json={"type": "text"})) == ["/body/type"]
    changed = await admin.patch(path, json={"maximum": "5"}, headers={"If-Match": '"1"'})
    assert (changed.json()["maximum"], changed.headers["etag"]) == ("5", '"2"')
    assert (await admin.get(f"/v1/customers/{made['id']}")).json()["custom"] == {"size": "7"}
    assert (await admin.patch(f"/v1/customers/{made['id']}", json={"custom": {"size": "7"}})).status_code == 200
    assert pointers(await admin.patch(f"/v1/customers/{made['id']}", json={"custom": {"size": "8"}}))
    assert (await admin.delete(path, headers={"If-Match": '"1"'})).status_code == 412
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get(path)).status_code == 404
    assert (await create(admin, custom={"size": "huge"}))["custom"] == {"size": "huge"}
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT action FROM audit_event WHERE resource = 'custom_field' ORDER BY id")
    assert [row[0] for row in rows] == ["custom_field.defined", "custom_field.changed", "custom_field.deleted"]


async def test_fields_are_defined_by_who_may_for_all_customers(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    await define(admin, type="text")
    narrow = await make_user({"customers:read": "own", "custom_fields:write": "subtree"})
    assert [each["key"] for each in (await narrow.get(PATH)).json()["items"]] == ["size"]
    for answer in (
        await narrow.post(PATH, json={"key": "other", "title": "x", "type": "text"}),
        await narrow.patch(f"{PATH}/size", json={"title": "x"}),
        await narrow.delete(f"{PATH}/size"),
    ):
        assert answer.status_code == 403
