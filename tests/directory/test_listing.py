"""The list: every filter, both orders, every page, and cursors that belong to one question."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.core.db import Database
from tests.conftest import MakeUser
from tests.customers.customers import create, external, pointers

SORTS = ["created_at", "-created_at", "updated_at", "-updated_at", "name", "-name"]


async def walk(client: httpx.AsyncClient, path: str = "/v1/customers", **query: Any) -> list[Any]:
    """Every page of a list, put together."""
    items: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(path, params={**query, **cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        assert len(page["items"]) == query["limit"]
        cursor = {"cursor": page["next_cursor"]}


async def names(client: httpx.AsyncClient, **query: Any) -> list[str]:
    return sorted(each["name"] for each in await walk(client, limit=50, **query))


@pytest.fixture
async def people(admin: httpx.AsyncClient, database: Database) -> dict[str, Any]:
    """Five customers, different in everything that is filtered by."""
    unit = (await admin.post("/v1/units", json={"name": "East"})).json()["id"]
    made = [
        await create(admin, name="Anna 100%", region="CN-31", tags=["wholesale"], identities=[external("A:1")]),
        await create(admin, name="anna_b", region="CN-31-PD", tags=["wholesale", "fair"], unit_id=unit),
        await create(admin, name="Bo", region="CN-3", phone="13812345678"),
        await create(admin, name="Ce\\dric", region="CN-310", identities=[{"kind": "phone", "value": "13812345678"}]),
        await create(admin, name="Dora"),
    ]
    async with database.connection() as connection:
        for person, (scheme, name) in zip(made, [("abc", "A"), ("abc", "B"), ("abc", "A")], strict=False):
            await connection.execute(
                "INSERT INTO customer_class (customer_id, scheme, class, since, as_of, version)"
                " VALUES ($1, $2, $3, now(), now(), 1)",
                person["id"],
                scheme,
                name,
            )
    return {"unit": unit, "owner": made[0]["owner_id"]}


async def test_each_filter_finds_whom_it_names(admin: httpx.AsyncClient, people: dict[str, Any]) -> None:
    everybody = ["Anna 100%", "Bo", "Ce\\dric", "Dora", "anna_b"]
    table: list[tuple[dict[str, Any], list[str]]] = [
        ({}, everybody),
        ({"class": "abc:A"}, ["Anna 100%", "Bo"]),
        ({"class": "abc:C"}, []),
        ({"owner": people["owner"]}, everybody),
        ({"owner": str(uuid4())}, []),
        ({"unit": people["unit"]}, ["anna_b"]),
        ({"region": "CN"}, ["Anna 100%", "Bo", "Ce\\dric", "anna_b"]),
        ({"region": "CN-31"}, ["Anna 100%", "anna_b"]),
        ({"region": "CN-3"}, ["Bo"]),
        ({"tag": "wholesale"}, ["Anna 100%", "anna_b"]),
        ({"tag": "whole"}, []),
        ({"text": "ANNA"}, ["Anna 100%", "anna_b"]),
        ({"text": "%"}, ["Anna 100%"]),
        ({"text": "_"}, ["anna_b"]),
        ({"text": "\\"}, ["Ce\\dric"]),
        ({"identity": "external:A:1"}, ["Anna 100%"]),
        ({"identity": "external:a:1"}, []),
        ({"identity": "phone:+8613812345678"}, ["Ce\\dric"]),
        ({"identity": "phone:138 1234 5678"}, ["Ce\\dric"]),
        ({"class": "abc:A", "tag": "wholesale", "region": "CN-31", "text": "anna"}, ["Anna 100%"]),
    ]
    for query, expected in table:
        assert await names(admin, **query) == expected, query
        total = (await admin.get("/v1/customers", params={**query, "include": "total", "limit": 1})).json()["total"]
        assert total == len(expected), query


async def test_what_a_filter_cannot_mean_is_named(admin: httpx.AsyncClient) -> None:
    table = [
        ("class=nope:A", "/query/class", "there is no scheme nope"),
        ("class=abc:Z", "/query/class", "abc has no class Z; it has: A, B, C"),
        ("class=abc", "/query/class", ""),
        ("owner=me", "/query/owner", ""),
        ("unit=1", "/query/unit", ""),
        ("region=Shanghai", "/query/region", ""),
        ("identity=phone:nobody", "/query/identity", "not a phone number"),
        ("identity=external", "/query/identity", ""),
        ("text=", "/query/text", ""),
        ("sort=phone", "/query/sort", ""),
        ("include=everything", "/query/include", ""),
        ("limit=0", "/query/limit", ""),
        ("limit=201", "/query/limit", ""),
    ]
    for query, pointer, message in table:
        answer = await admin.get(f"/v1/customers?{query}")
        assert pointers(answer) == [pointer], query
        assert message in answer.json()["errors"][0]["message"]


async def test_pages_together_are_all_rows_once_in_every_order(
    admin: httpx.AsyncClient, people: dict[str, Any], database: Database
) -> None:
    async with database.connection() as connection:
        # Two names and three instants of change among sixty: most rows stand level with others.
        await connection.execute(
            "INSERT INTO customer (name, updated_at) SELECT 'Twin ' || n % 2, now() - interval '1 hour' * (n % 3)"
            " FROM generate_series(1, 60) n"
        )
    for sort in SORTS:
        field = sort.lstrip("-")
        found = await walk(admin, limit=7, sort=sort)
        assert len({each["id"] for each in found}) == len(found) == 65, sort
        whole = await walk(admin, limit=200, sort=sort)
        assert [each["id"] for each in whole] == [each["id"] for each in found]
        async with database.connection() as connection:
            column = "id" if field == "created_at" else field
            order = "DESC" if sort.startswith("-") else "ASC"
            rows = await connection.fetch(f"SELECT id FROM customer ORDER BY {column} {order}, id {order}")
        assert [each["id"] for each in found] == [str(row["id"]) for row in rows], sort


async def test_a_page_does_not_shift_when_rows_come_and_go(admin: httpx.AsyncClient) -> None:
    made = [await create(admin, name="Twin") for _ in range(6)]
    first = (await admin.get("/v1/customers", params={"sort": "name", "limit": 3})).json()
    await admin.delete(f"/v1/customers/{made[0]['id']}")
    await create(admin, name="Aaron")
    late = await create(admin, name="Twin")
    query = {"sort": "name", "limit": 50, "cursor": first["next_cursor"]}
    rest = (await admin.get("/v1/customers", params=query)).json()
    found = [each["id"] for each in first["items"] + rest["items"]]
    assert found == [each["id"] for each in [*made, late]]
    assert rest["next_cursor"] is None


async def test_a_cursor_belongs_to_one_question(admin: httpx.AsyncClient, people: dict[str, Any]) -> None:
    asked = {"sort": "name", "tag": "wholesale", "limit": "1"}
    cursor = (await admin.get("/v1/customers", params=asked)).json()["next_cursor"]
    others: list[dict[str, str]] = [
        {**asked, "sort": "-name"},
        {**asked, "sort": "updated_at"},
        {**asked, "tag": "fair"},
        {**asked, "region": "CN-31"},
        {"sort": "name", "limit": "1"},
    ]
    for other in others:
        answer = await admin.get("/v1/customers", params={**other, "cursor": cursor})
        assert answer.status_code in (400, 422), other
        assert "cursor" in answer.text
    for wrong in (cursor[:-4] + "AAAA", "x", "", "é", cursor + "AAAA", "A" * 2000):
        answer = await admin.get("/v1/customers", params={**asked, "cursor": wrong})
        assert answer.status_code in (400, 422), wrong
    members = await admin.get("/v1/schemes/abc/classes/A/customers", params={"sort": "name", "cursor": cursor})
    assert members.status_code in (400, 422)
    assert (await admin.get("/v1/customers", params={**asked, "limit": "9", "cursor": cursor})).status_code == 200


async def test_members_of_a_class_are_listed_and_unknown_ones_named(
    admin: httpx.AsyncClient, people: dict[str, Any], make_user: MakeUser
) -> None:
    members = "/v1/schemes/abc/classes/A/customers"
    found = await walk(admin, members, limit=1, sort="name")
    assert [each["name"] for each in found] == ["Anna 100%", "Bo"]
    assert (await admin.get(members, params={"include": "total"})).json()["total"] == 2
    assert {each["classes"]["abc"] for each in found} == {"A"}
    unknown = await admin.get("/v1/schemes/abc/classes/Z/customers")
    assert pointers(unknown) == ["/path/name"]
    assert "A, B, C" in unknown.text
    scheme = await admin.get("/v1/schemes/nope/classes/A/customers")
    assert (scheme.status_code, "abc, rfm, rfm8" in scheme.text) == (404, True)
    stranger = await make_user({"customers:read": "own"})
    assert (await stranger.get(members, params={"include": "total"})).json() == {
        "items": [],
        "next_cursor": None,
        "total": 0,
    }
