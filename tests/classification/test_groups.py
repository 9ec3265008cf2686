"""Groups: customers whom people put together by hand, under their own noun; the same rows as static segments."""

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.core.db import Database
from tests.classification.population import NOON, RunJobs, add, classes
from tests.classification.schemes import announced
from tests.conftest import MakeUser
from tests.customers.customers import EMAIL, PHONE, create, pointers

PATH = "/v1/groups/board"
BIG = {"metric": "monetary", "op": "gte", "value": "50"}


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


async def make(client: httpx.AsyncClient, key: str = "board", **said: Any) -> Any:
    answer = await client.post("/v1/groups", json={"key": key, "title": key, **said})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def customers(client: httpx.AsyncClient, path: str = PATH) -> set[str]:
    answer = await client.get(f"{path}/customers")
    assert answer.status_code == 200, answer.text
    return {each["id"] for each in answer.json()["items"]}


async def names_of_events(database: Database, customer: str) -> list[str]:
    return [
        name for name in ("segment.entered", "segment.left") for _ in await announced(database, customer, "board", name)
    ]


async def test_a_group_is_made_with_its_first_members_who_enter_it(
    admin: httpx.AsyncClient, database: Database
) -> None:
    one, two, out = [(await create(admin))["id"] for _ in range(3)]
    answer = await admin.post(
        "/v1/groups",
        json={"key": "board", "title": "Board", "description": "Meets in spring", "members": [one, two, one]},
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()
    said = {"key": "board", "title": "Board", "description": "Meets in spring", "customers": 2}
    assert made | said == made
    read = await admin.get(PATH)
    assert (read.json(), read.headers["etag"]) == (made, answer.headers["etag"])
    assert await customers(admin) == {one, two}
    assert (await classes(admin, one))["board"] == "in"
    assert "board" not in await classes(admin, out)
    assert await names_of_events(database, one) == ["segment.entered"]
    segment = (await admin.get("/v1/segments/board")).json()
    assert segment | {"kind": "static", "customers": 2, "description": "Meets in spring"} == segment
    assert await customers(admin, "/v1/segments/board") == {one, two}


async def test_members_come_and_go_and_each_is_announced(admin: httpx.AsyncClient, database: Database) -> None:
    one, two, three = [(await create(admin))["id"] for _ in range(3)]
    assert (await make(admin))["customers"] == 0
    for _ in range(2):
        assert (await admin.put(f"{PATH}/members/{one}")).status_code == 204
    many = await admin.post(f"{PATH}/members", json={"add": [one, two, three]})
    assert many.json() == {"added": 2, "removed": 0}
    for _ in range(2):
        assert (await admin.delete(f"{PATH}/members/{one}")).status_code == 204
    many = await admin.post(f"{PATH}/members", json={"remove": [three]})
    assert many.json() == {"added": 0, "removed": 1}
    assert await customers(admin) == {two}
    assert [await names_of_events(database, each) for each in (one, two, three)] == [
        ["segment.entered", "segment.left"],
        ["segment.entered"],
        ["segment.entered", "segment.left"],
    ]
    page = await admin.get(f"{PATH}/customers", params={"include": "total", "limit": 1})
    assert (page.json()["total"], page.json()["next_cursor"]) == (1, None)


async def test_title_and_description_change_under_the_tag_that_was_read(
    admin: httpx.AsyncClient, database: Database
) -> None:
    await make(admin, description="first")
    tag = (await admin.get(PATH)).headers["etag"]
    changed = await admin.patch(PATH, json={"title": "The board"}, headers={"If-Match": tag})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["title"], changed.json()["description"]) == ("The board", "first")
    stale = await admin.patch(PATH, json={"description": "x"}, headers={"If-Match": tag})
    assert stale.status_code == 412
    same = await admin.patch(PATH, json={"title": "The board"})
    assert same.headers["etag"] == changed.headers["etag"]
    emptied = await admin.patch(PATH, json={"description": None})
    assert (emptied.json()["title"], emptied.json()["description"]) == ("The board", None)
    assert pointers(await admin.patch(PATH, json={"title": None})) == ["/body/title"]
    as_scheme = (await admin.patch("/v1/schemes/board", json={"description": "as a scheme"})).json()
    assert (as_scheme["title"], as_scheme["description"]) == ("The board", "as a scheme")
    assert (await admin.get(PATH)).json()["description"] == "as a scheme"
    assert (await admin.delete(PATH, headers={"If-Match": tag})).status_code == 412
    async with database.connection() as connection:
        kept = await connection.fetch("SELECT before, after FROM audit_event WHERE action = 'scheme.changed'")
    assert (kept[0]["before"], kept[0]["after"]) == ({"title": "board"}, {"title": "The board"})
    assert (kept[1]["before"], kept[1]["after"]) == ({"description": "first"}, {"description": None})


async def test_a_group_that_a_scheme_or_a_draft_reads_is_not_deleted(
    admin: httpx.AsyncClient, run_jobs: RunJobs
) -> None:
    one = (await create(admin))["id"]
    await make(admin, members=[one])
    reads = {"kind": "rules", "rules": [{"class": "a", "when": {"class": "board", "op": "eq", "value": "in"}}]}
    body = {"key": "reader", "title": "Reader", "document": {**reads, "default": "b"}}
    assert (await admin.post("/v1/schemes", json=body)).status_code == 201
    refused = await admin.delete(PATH)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:strata:problem:scheme-in-use")
    assert "reader version 1 (draft)" in refused.json()["detail"]
    assert (await admin.delete("/v1/schemes/reader")).status_code == 204
    assert (await admin.delete(PATH)).status_code == 204
    for gone in (PATH, f"{PATH}/customers"):
        assert (await admin.get(gone)).status_code == 404
    await run_jobs()
    assert "board" not in await classes(admin, one)
    again = await admin.post("/v1/groups", json={"key": "board", "title": "x"})
    assert (again.status_code, again.json()["type"]) == (409, "urn:strata:problem:key-taken")


async def test_a_segment_with_a_condition_is_no_group(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    one = (await create(admin))["id"]
    answer = await admin.post("/v1/segments", json={"key": "big", "title": "Big", "when": BIG})
    assert answer.status_code == 201, answer.text
    await run_jobs()
    draft = {"key": "planned", "title": "Planned", "document": {"kind": "static"}}
    assert (await admin.post("/v1/schemes", json=draft)).status_code == 201
    await make(admin)
    for key in ("big", "lifecycle", "planned", "nope"):
        path = f"/v1/groups/{key}"
        for answer in (
            await admin.get(path),
            await admin.get(f"{path}/customers"),
            await admin.patch(path, json={"title": "x"}),
            await admin.delete(path),
            await admin.post(f"{path}/members", json={"add": [one]}),
            await admin.put(f"{path}/members/{one}"),
            await admin.delete(f"{path}/members/{one}"),
        ):
            assert answer.status_code == 404, (key, answer.request.method, answer.text)
    listed = (await admin.get("/v1/groups")).json()
    assert [each["key"] for each in listed["items"]] == ["board"]
    segment = (await admin.get("/v1/segments/big")).json()
    assert segment["title"] == "Big"


async def test_pages_of_groups_are_all_of_them_and_count_when_asked(admin: httpx.AsyncClient) -> None:
    one = (await create(admin))["id"]
    for n in range(5):
        await make(admin, f"g{n}", members=[one] if n % 2 else [])
    found, query = [], {"limit": "2", "include": "customers"}
    while True:
        page = (await admin.get("/v1/groups", params=query)).json()
        found += [(each["key"], each["customers"]) for each in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == [(f"g{n}", n % 2) for n in range(5)]
    bare = (await admin.get("/v1/groups")).json()["items"]
    assert [each["customers"] for each in bare] == [None] * 5


async def test_what_a_group_cannot_be_is_refused_where_it_stands(admin: httpx.AsyncClient, database: Database) -> None:
    one = (await create(admin))["id"]
    table: list[tuple[dict[str, Any], list[str]]] = [
        ({"key": "Board"}, ["/body/key"]),
        ({"key": "x" * 41}, ["/body/key"]),
        ({"title": ""}, ["/body/title"]),
        ({"title": "a\u0000b"}, ["/body/title"]),
        ({"description": "x" * 1001}, ["/body/description"]),
        ({"members": [one] * 501}, ["/body/members"]),
        ({"members": ["x"]}, ["/body/members/0"]),
        ({"members": [one, str(uuid4())]}, ["/body/members/1"]),
        ({"when": BIG}, ["/body/when"]),
    ]
    for body, expected in table:
        answer = await admin.post("/v1/groups", json={"key": "bad", "title": "Bad", **body})
        assert pointers(answer) == expected, body
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM scheme WHERE key = 'bad'") == 0
    assert len((await make(admin, "full", members=[one] * 500)).keys()) > 1


async def test_nobody_puts_together_whom_they_may_not_see(
    admin: httpx.AsyncClient, database: Database, make_user: MakeUser
) -> None:
    seller = await make_user({"customers:read": "own", "segments:read": "own", "segments:write": "own"})
    mine, other = [(await create(admin, phone=PHONE, email=EMAIL))["id"] for _ in range(2)]
    async with database.connection() as connection:
        owner = UUID(seller.headers["X-Test-User"])
        await connection.execute("UPDATE customer SET owner_id = $2 WHERE id = $1", UUID(mine), owner)
    await make(admin, members=[other])
    assert (await seller.put(f"{PATH}/members/{mine}")).status_code == 204
    for _ in range(2):
        assert (await seller.put(f"{PATH}/members/{other}")).status_code == 404
        assert (await seller.delete(f"{PATH}/members/{other}")).status_code == 404
    assert pointers(await seller.post(f"{PATH}/members", json={"add": [mine, other]})) == ["/body/add/1"]
    assert pointers(await seller.post(f"{PATH}/members", json={"remove": [other]})) == ["/body/remove/0"]
    for answer in (
        await seller.post("/v1/groups", json={"key": "own", "title": "x"}),
        await seller.patch(PATH, json={"title": "x"}),
        await seller.delete(PATH),
    ):
        assert answer.status_code == 403
    assert await customers(admin) == {mine, other}
    seen = (await seller.get(f"{PATH}/customers")).json()["items"]
    assert [(each["id"], each["phone"], each["email"]) for each in seen] == [
        (mine, "+86138****5678", "l***@example.com")
    ]
    assert (await seller.get(PATH)).json()["customers"] == 1
    counted = (await seller.get("/v1/groups", params={"include": "customers"})).json()["items"]
    assert [each["customers"] for each in counted] == [1]
    stranger = await make_user({"customers:read": "all"})
    assert (await stranger.get(PATH)).status_code == 403
    assert (await stranger.put(f"{PATH}/members/{mine}")).status_code == 403


async def test_members_of_a_group_are_found_by_a_scheme_that_is_published_later(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    one, two = await add(database, "one", [(1, "10")]), await add(database, "two", [(1, "10")])
    await make(admin, members=[one])
    when = {"class": "board", "op": "eq", "value": "in"}
    answer = await admin.post("/v1/segments", json={"key": "of_board", "title": "x", "when": when})
    assert answer.status_code == 201, answer.text
    await run_jobs()
    assert await customers(admin, "/v1/segments/of_board") == {one}
    assert (await admin.put(f"{PATH}/members/{two}")).status_code == 204
    assert await customers(admin, "/v1/segments/of_board") == {one, two}
