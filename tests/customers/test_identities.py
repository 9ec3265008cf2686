"""Identities: unique per kind and value, in whatever spelling; and the batch that finds customers by them."""

from typing import Any

import httpx
import pytest

from app.core.db import Database
from app.customers import service
from tests.conftest import MakeUser
from tests.customers.customers import create, external, pointers

SPELLINGS = [
    ({"kind": "phone", "value": "+8613812345678"}, {"kind": "phone", "value": "138 1234-5678"}),
    ({"kind": "email", "value": "li.wei@example.com"}, {"kind": "email", "value": "Li.Wei@EXAMPLE.com"}),
    ({"kind": "external", "value": "C-1"}, {"kind": "external", "value": "  C-1 "}),
]


async def batch(client: httpx.AsyncClient, *customers: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await client.post("/v1/customers/batch", json={"customers": customers})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_an_identity_is_unique_in_every_spelling(admin: httpx.AsyncClient) -> None:
    for first, again in SPELLINGS:
        owner = await create(admin, identities=[first])
        assert owner["identities"] == [first]
        taken = await admin.post("/v1/customers", json={"name": "Other", "identities": [external("free"), again]})
        assert pointers(taken, 409) == ["/body/identities/1"]
        assert taken.json()["type"] == "urn:strata:problem:identity-taken"
        other = await create(admin)
        added = await admin.post(f"/v1/customers/{other['id']}/identities", json=again)
        assert pointers(added, 409) == ["/body/value"]
    assert (await create(admin, identities=[{"kind": "loyalty_card", "value": "C-1"}]))["version"] == 1


async def test_an_identity_given_twice_is_one(admin: httpx.AsyncClient) -> None:
    for first, again in SPELLINGS:
        made = await create(admin, identities=[first, again])
        assert made["identities"] == [first]


async def test_identities_of_a_customer_have_a_limit(admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_IDENTITIES", 2)
    made = await create(admin, identities=[external("A"), external("B")])
    path = f"/v1/customers/{made['id']}/identities"
    assert pointers(await admin.post(path, json=external("C"))) == ["/body/value"]
    assert (await admin.delete(path, params=external("A"))).status_code == 204
    assert (await admin.post(path, json=external("C"))).status_code == 201


async def test_an_identity_comes_and_goes_and_makes_a_version_each_time(admin: httpx.AsyncClient) -> None:
    made = await create(admin)
    path = f"/v1/customers/{made['id']}"
    added = await admin.post(f"{path}/identities", json={"kind": "phone", "value": "138 1234 5678"})
    assert (added.status_code, added.headers["etag"]) == (201, '"2"')
    assert added.json()["identities"] == [{"kind": "phone", "value": "+8613812345678"}]
    gone = await admin.delete(f"{path}/identities", params={"kind": "phone", "value": "138-1234-5678"})
    assert gone.status_code == 204
    read = await admin.get(path)
    assert (read.json()["identities"], read.json()["version"]) == ([], 3)
    again = await admin.delete(f"{path}/identities", params={"kind": "phone", "value": "138-1234-5678"})
    assert again.status_code == 404
    assert pointers(await admin.delete(f"{path}/identities", params={"kind": "phone", "value": "x"})) == [
        "/query/value"
    ]
    assert pointers(await admin.delete(f"{path}/identities")) == ["/query/kind", "/query/value"]


async def test_what_is_no_identity_is_refused_at_its_field(admin: httpx.AsyncClient) -> None:
    made = await create(admin)
    table: list[tuple[dict[str, Any], str]] = [
        ({"kind": "Phone", "value": "1"}, "kind"),
        ({"kind": "phone", "value": "nobody"}, "value"),
        ({"kind": "email", "value": "nobody"}, "value"),
        ({"kind": "external", "value": ""}, "value"),
        ({"kind": "external", "value": "x" * 201}, "value"),
        ({"kind": "external", "value": "1", "note": "2"}, "note"),
    ]
    for identity, field in table:
        one = await admin.post(f"/v1/customers/{made['id']}/identities", json=identity)
        assert pointers(one) == [f"/body/{field}"]
        new = await admin.post("/v1/customers", json={"name": "L", "identities": [external("1"), identity]})
        assert pointers(new) == [f"/body/identities/1/{field}"]
        many = [{"name": "L", "identities": [external("1")]}, {"name": "L", "identities": [identity]}]
        refused = await admin.post("/v1/customers/batch", json={"customers": many})
        assert pointers(refused) == [f"/body/customers/1/identities/0/{field}"]


async def test_a_batch_creates_updates_and_leaves_alone(admin: httpx.AsyncClient) -> None:
    there = await create(admin, region="CN-31", tags=["fair"], identities=[external("there"), external("alias")])
    same = await create(admin, name="Same", phone="13812345678", identities=[external("same")])
    items = await batch(
        admin,
        {"name": "New", "identities": [external("new"), external("new-alias")]},
        {"name": "Li Wei", "region": "CN-11", "identities": [external("alias")]},
        {"name": "Same", "phone": "+86 138 1234 5678", "identities": [external("same")]},
        {"name": "Newer", "identities": [external("new-alias")]},
        {"name": "Same", "identities": [external("same"), external("more")]},
    )
    assert [item["outcome"] for item in items] == ["created", "updated", "unchanged", "updated", "updated"]
    assert [item["index"] for item in items] == [0, 1, 2, 3, 4]
    assert [item["id"] for item in items[1:]] == [there["id"], same["id"], items[0]["id"], same["id"]]
    changed = (await admin.get(f"/v1/customers/{there['id']}")).json()
    assert (changed["region"], changed["tags"], changed["version"]) == ("CN-11", ["fair"], 2)
    assert (await admin.get(f"/v1/customers/{items[0]['id']}")).json()["name"] == "Newer"
    more = (await admin.get(f"/v1/customers/{same['id']}")).json()
    assert (more["version"], [each["value"] for each in more["identities"]]) == (2, ["same", "more"])


async def test_a_batch_is_all_or_nothing_and_500_at_most(admin: httpx.AsyncClient, database: Database) -> None:
    await create(admin, identities=[external("one")])
    await create(admin, identities=[external("two")])
    both = {"name": "Both", "identities": [external("one"), external("two")]}
    refused = await admin.post(
        "/v1/customers/batch", json={"customers": [{"name": "New", "identities": [external("new")]}, both]}
    )
    assert pointers(refused, 409) == ["/body/customers/1/identities"]
    table: list[tuple[Any, str]] = [
        ([], "/body/customers"),
        ([{"name": "L", "identities": [external(str(n))]} for n in range(501)], "/body/customers"),
        ([{"name": "L", "identities": []}], "/body/customers/0/identities"),
        ([{"name": "L"}], "/body/customers/0/identities"),
        ([{"identities": [external("1")]}], "/body/customers/0/name"),
    ]
    for customers, pointer in table:
        assert pointers(await admin.post("/v1/customers/batch", json={"customers": customers})) == [pointer]
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM customer") == 2
    whole = [{"name": f"L{n}", "identities": [external(f"n-{n}")]} for n in range(500)]
    assert {item["outcome"] for item in await batch(admin, *whole)} == {"created"}
    assert {item["outcome"] for item in await batch(admin, *whole)} == {"unchanged"}


async def test_a_batch_cannot_reach_another_ones_customer(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    await create(admin, identities=[external("theirs")])
    seller = await make_user({"customers:read": "own", "customers:write": "own"})
    body = {"customers": [{"name": "Mine now", "identities": [external("theirs")]}]}
    refused = await seller.post("/v1/customers/batch", json=body)
    assert pointers(refused, 409) == ["/body/customers/0/identities"]
    assert "theirs" not in refused.text
