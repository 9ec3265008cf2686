"""Tags: of one customer, and renamed, merged and deleted for everybody; schemes that read them follow."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from app.core.db import Database
from app.customers import tags
from tests.classification import schemes
from tests.conftest import MakeUser, RunJobs
from tests.customers.customers import create, pointers


async def counts(client: httpx.AsyncClient, **query: Any) -> dict[str, int]:
    answer = await client.get("/v1/tags", params=query)
    assert answer.status_code == 200, answer.text
    return {each["tag"]: each["customers"] for each in answer.json()["items"]}


async def tags_of(client: httpx.AsyncClient, customer: Any) -> list[str]:
    found: list[str] = (await client.get(f"/v1/customers/{customer['id']}")).json()["tags"]
    return found


async def test_a_tag_is_put_on_a_customer_once_and_taken_off_once(admin: httpx.AsyncClient) -> None:
    made = await create(admin, tags=["wholesale"])
    for tag in ("fair", "with/slash", "带 空格 100%"):
        path = f"/v1/customers/{made['id']}/tags/{quote(tag, safe='')}"
        first, again = [await admin.put(path) for _ in range(2)]
        assert (first.status_code, again.status_code) == (200, 200), first.text
        assert first.json() == again.json(), "a tag that is there is no change"
        assert sorted(first.json()["tags"]) == sorted(["wholesale", tag])
        assert first.headers["etag"] == f'"{first.json()["version"]}"'
        assert [(await admin.delete(path)).status_code for _ in range(2)] == [204, 404]
    assert await tags_of(admin, made) == ["wholesale"]


async def test_whoever_is_shown_contact_data_for_putting_a_tag_that_is_there_is_written_down(
    admin: httpx.AsyncClient, database: Database
) -> None:
    made = await create(admin, tags=["fair"])
    assert (await admin.put(f"/v1/customers/{made['id']}/tags/fair")).status_code == 200
    async with database.connection() as connection:
        actions = await connection.fetch(
            "SELECT action FROM audit_event WHERE resource_id = $1 ORDER BY id", made["id"]
        )
    assert [row["action"] for row in actions] == ["customer.created", "customer.read"]


async def test_a_customer_carries_a_hundred_tags_and_no_more(admin: httpx.AsyncClient) -> None:
    made = await create(admin, tags=[f"t{n}" for n in range(100)])
    assert pointers(await admin.put(f"/v1/customers/{made['id']}/tags/more")) == ["/path/tag"]
    assert (await admin.put(f"/v1/customers/{made['id']}/tags/t7")).status_code == 200


async def test_tags_are_counted_over_the_customers_one_sees(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    seller = await make_user({"customers:read": "own", "customers:write": "own"})
    await create(admin, tags=["b", "a"])
    await create(seller, tags=["b"])
    assert await counts(admin) == {"a": 1, "b": 2}
    assert await counts(seller) == {"b": 1}
    first = (await admin.get("/v1/tags", params={"limit": 1})).json()
    assert await counts(admin, limit=1, cursor=first["next_cursor"]) == {"b": 2}


async def test_a_renamed_tag_is_renamed_for_everybody_and_nothing_else_is_touched(
    admin: httpx.AsyncClient, database: Database
) -> None:
    carrying, other = await create(admin, tags=["a", "z"]), await create(admin, tags=["z"])
    answer = await admin.patch("/v1/tags/a", json={"tag": "b"})
    assert (answer.status_code, answer.json()) == (200, {"customers": 1, "remaining": 0})
    after = (await admin.get(f"/v1/customers/{carrying['id']}")).json()
    assert (after["tags"], after["version"]) == (["b", "z"], 2)
    assert (await admin.get(f"/v1/customers/{other['id']}")).json() == other
    async with database.connection() as connection:
        written = await connection.fetch("SELECT * FROM audit_event WHERE action = 'tag.replaced'")
        told = await connection.fetch("SELECT payload FROM outbox_event WHERE name = 'tag.replaced'")
    assert [(row["resource_id"], row["after"]) for row in written] == [("a", {"into": "b", "customers": 1})]
    assert [row["payload"] for row in told] == [{"tag": "a", "into": "b"}]


async def test_a_name_that_is_taken_is_for_merging(admin: httpx.AsyncClient) -> None:
    first, second = await create(admin, tags=["a", "b"]), await create(admin, tags=["c", "b"])
    taken = await admin.patch("/v1/tags/a", json={"tag": "b"})
    assert pointers(taken, 409) == ["/body/tag"]
    assert taken.json()["type"] == "urn:strata:problem:tag-taken"
    merged = await admin.post("/v1/tags/merges", json={"tags": ["a", "c"], "into": "b"})
    assert merged.json() == {"customers": 2, "remaining": 0}
    assert [await tags_of(admin, each) for each in (first, second)] == [["b"], ["b"]]
    assert pointers(await admin.post("/v1/tags/merges", json={"tags": ["a", "b"], "into": "b"})) == [
        "/body/tags/0",
        "/body/tags/1",
    ]


async def test_a_deleted_tag_is_gone_from_everybody(admin: httpx.AsyncClient) -> None:
    made = await create(admin, tags=["a", "b"])
    assert (await admin.delete("/v1/tags/a")).json() == {"customers": 1, "remaining": 0}
    assert await tags_of(admin, made) == ["b"]
    assert (await admin.delete("/v1/tags/a")).status_code == 404
    assert (await admin.patch("/v1/tags/a", json={"tag": "b"})).status_code == 404


async def test_a_tag_is_changed_for_everybody_only_by_who_may_change_everybody(
    admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    made = await create(admin, tags=["a"])
    narrow = await make_user({"customers:read": "all", "customers:write": "all", "tags:write": "subtree"})
    for answer in (
        await narrow.patch("/v1/tags/a", json={"tag": "b"}),
        await narrow.post("/v1/tags/merges", json={"tags": ["a"], "into": "b"}),
        await narrow.delete("/v1/tags/a"),
    ):
        assert answer.status_code == 403
    assert await tags_of(admin, made) == ["a"]


async def test_more_customers_than_a_request_should_hold_follow_in_the_background(
    admin: httpx.AsyncClient, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "CHUNK", 2)
    made = [await create(admin, tags=["a", "b"]) for _ in range(5)]
    answer = await admin.post("/v1/tags/merges", json={"tags": ["a", "b"], "into": "c"})
    assert answer.json() == {"customers": 5, "remaining": 3}
    assert await counts(admin) == {"a": 3, "b": 3, "c": 2}
    await run_jobs()
    assert [await tags_of(admin, each) for each in made] == [["c"]] * 5
    assert {(await admin.get(f"/v1/customers/{each['id']}")).json()["version"] for each in made} == {2}


async def test_schemes_that_read_tags_follow_a_rename(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    document = {
        "kind": "rules",
        "rules": [{"class": "trade", "when": {"tag": "wholesale"}}],
        "default": "retail",
    }
    await schemes.publish(database, "trading", document)
    made = await create(admin, tags=["whole sale"])
    assert made["classes"]["trading"] == "retail"
    await admin.patch("/v1/tags/whole sale", json={"tag": "wholesale"})
    async with database.connection() as connection:
        assert [str(row[0]) for row in await connection.fetch("SELECT customer_id FROM dirty_customer")] == [made["id"]]
    assert (await admin.post("/v1/recalculations", json={})).status_code == 202
    await run_jobs()
    assert (await admin.get(f"/v1/customers/{made['id']}")).json()["classes"]["trading"] == "trade"


async def test_a_tag_that_a_scheme_or_a_segment_reads_keeps_its_name(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    made = await create(admin, tags=["wholesale", "fair", "loose"])
    document = {
        "kind": "rules",
        "rules": [{"class": "trade", "when": {"any": [{"tag": "wholesale"}]}}],
        "default": "retail",
    }
    await schemes.publish(database, "trading", document)
    segment = {"key": "fairs", "title": "Fairs", "when": {"not": {"tag": "fair"}}}
    assert (await admin.post("/v1/segments", json=segment)).status_code in (201, 202)
    for answer, reader in (
        (await admin.patch("/v1/tags/wholesale", json={"tag": "trade"}), "trading"),
        (await admin.post("/v1/tags/merges", json={"tags": ["loose", "fair"], "into": "x"}), "fairs"),
        (await admin.delete("/v1/tags/fair"), "fairs"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:strata:problem:tag-read")
        assert f"is read by {reader};" in answer.json()["detail"]
    assert await tags_of(admin, made) == ["fair", "loose", "wholesale"]
    assert (await admin.delete("/v1/schemes/fairs")).status_code < 300
    assert (await admin.delete("/v1/tags/fair")).json() == {"customers": 1, "remaining": 0}
