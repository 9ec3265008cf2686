"""Files of customers that a job makes: who is in them, what is masked, whose they are, how they end."""

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core import csv as files
from app.core import jobs
from app.core.db import Database
from app.core.jobs import JobContext
from app.directory.files import forget_expired, still_reaches
from app.directory.writing import run_export
from app.identity.actor import Actor, Scope
from tests.conftest import MakeUser, RunJobs
from tests.customers.customers import EMAIL, PHONE, create, pointers

NAMES = ["=1+1", "@SUM(A1)", 'a "quoted", one', "蓝灯笼", "two; parts"]
TAGGED = {"where": {"tag": "fair"}}

Taken = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def fair(admin: httpx.AsyncClient) -> list[Any]:
    """Customers with a tag, and one without it."""
    made = [await create(admin, name=name, phone=PHONE, email=EMAIL, tags=["fair", "new"]) for name in NAMES]
    await create(admin, name="a stranger")
    return made


@pytest.fixture
def taken(run_jobs: RunJobs) -> Taken:
    """The file that somebody asks for, once it is made."""

    async def take(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
        asked = await client.post("/v1/exports", json=body)
        assert (asked.status_code, asked.json()["status"]) == (202, "queued"), asked.text
        assert (await client.get(f"{asked.headers['location']}/file")).status_code == 409
        await run_jobs()
        made = (await client.get(asked.headers["location"])).json()
        assert made["status"] == "completed", made
        answer = await client.get(f"{asked.headers['location']}/file")
        assert answer.status_code == 200, answer.text
        assert len(answer.content) == made["size"]
        return answer

    return take


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))


async def latest(client: httpx.AsyncClient) -> Any:
    return (await client.get("/v1/exports", params={"limit": 1})).json()["items"][0]


async def test_a_file_holds_whoever_the_search_finds_once_and_no_formula(
    admin: httpx.AsyncClient, fair: list[Any], taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in (1, 2, 5, 1000):
        monkeypatch.setattr(files, "BLOCK", block)
        answer = await taken(admin, **TAGGED)
        rows = rows_of(answer)
        assert [row["customer_id"] for row in rows] == sorted(each["id"] for each in fair)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].endswith('.csv"')
    named = {row["customer_id"]: row for row in rows}
    assert [named[each["id"]]["name"] for each in fair] == ["'=1+1", "'@SUM(A1)", *NAMES[2:]]
    first = named[fair[0]["id"]]
    assert (first["phone"], first["tags"], first["monetary"]) == (f"'{PHONE}", "fair; new", "0.00")
    assert dict(each.split(":") for each in first["classes"].split("; ")) == fair[0]["classes"]


async def test_a_file_for_machines_has_an_object_a_line_as_it_is(
    admin: httpx.AsyncClient, fair: list[Any], taken: Taken
) -> None:
    answer = await taken(admin, format="ndjson", **TAGGED)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = {each["customer_id"]: each for each in map(json.loads, answer.text.splitlines())}
    assert [lines[each["id"]]["name"] for each in fair] == NAMES
    first = lines[fair[0]["id"]]
    assert (first["phone"], first["tags"], first["classes"]) == (PHONE, ["fair", "new"], fair[0]["classes"])
    assert first["monetary"] == "0.00"


async def test_a_class_a_segment_and_everybody_are_taken_as_well(
    admin: httpx.AsyncClient, fair: list[Any], taken: Taken
) -> None:
    await admin.post("/v1/segments", json={"key": "friends", "title": "x", "static": True})
    await admin.post("/v1/segments/friends/members", json={"add": [fair[0]["id"]]})
    cases: list[tuple[dict[str, Any], str, set[str] | None]] = [
        ({"segment": "friends"}, "segment", {fair[0]["id"]}),
        ({"class": "friends:in"}, "class", {fair[0]["id"]}),
        ({}, "everybody", None),
        ({"where": {"tag": "nobody"}}, "search", set()),
    ]
    for body, kind, ids in cases:
        found = {row["customer_id"] for row in rows_of(await taken(admin, **body))}
        assert len(found) == len(NAMES) + 1 if ids is None else found == ids
        made = await latest(admin)
        assert (made["kind"], made["processed"], made["total"]) == (kind, len(found), len(found))


async def test_a_file_is_masked_by_role_is_its_askers_alone_and_is_written_down(
    admin: httpx.AsyncClient, database: Database, fair: list[Any], taken: Taken, make_user: MakeUser
) -> None:
    seller = await make_user({"customers:read": "all", "customers:read_contact": "own"})
    owner = UUID(seller.headers["X-Test-User"])
    async with database.connection() as connection:
        await connection.execute("UPDATE customer SET owner_id = $1 WHERE id = $2", owner, UUID(fair[3]["id"]))
    shown = {row["customer_id"]: row["email"] for row in rows_of(await taken(seller, **TAGGED))}
    assert shown.pop(fair[3]["id"]) == EMAIL
    assert set(shown.values()) == {"l***@example.com"}
    path = f"/v1/exports/{(await latest(seller))['id']}"
    assert [(await admin.get(each)).status_code for each in (path, f"{path}/file")] == [404, 404]
    assert (await admin.post(f"{path}/cancel")).status_code == 404
    assert (await admin.get("/v1/exports")).json()["items"] == []
    async with database.connection() as connection:
        written = await connection.fetch(
            "SELECT action, after FROM audit_event WHERE resource = 'export' AND actor_id = $1 ORDER BY id", owner
        )
        payloads = await connection.fetch("SELECT payload FROM job WHERE name = 'exports.run'")
    assert [(row["action"], row["after"]) for row in written] == [
        ("export.requested", {"format": "csv", "kind": "search", "name": None}),
        ("customers.exported", {"format": "csv", "rows": len(NAMES), "customers": "all", "contact": "own"}),
    ]
    assert [set(row["payload"]) for row in payloads] == [{"export_id"}]


async def test_whoever_may_see_less_by_now_does_not_get_the_file(
    admin: httpx.AsyncClient, fair: list[Any], taken: Taken, make_user: MakeUser, database: Database
) -> None:
    reader = await make_user({"customers:read": "all", "customers:read_contact": "all"})
    await taken(reader, **TAGGED)
    path = f"/v1/exports/{(await latest(reader))['id']}/file"
    async with database.connection() as connection:
        role = await connection.fetchval(
            "SELECT role_id FROM user_role WHERE user_id = $1", UUID(reader.headers["X-Test-User"])
        )
    for permissions, status in [
        ({"customers:read": "all", "customers:read_contact": "unit"}, 403),
        ({"customers:read": "all"}, 403),
        ({"customers:read": "all", "customers:read_contact": "all"}, 200),
    ]:
        assert (await admin.patch(f"/v1/roles/{role}", json={"permissions": permissions})).status_code == 200
        assert (await reader.get(path)).status_code == status, permissions


@pytest.mark.parametrize(
    ("then", "now", "reaches"),
    [
        (("all", [], []), ("all", [], []), True),
        (("all", [], []), ("subtree", [1], [1, 2]), False),
        (("own", [], []), ("own", [], []), True),
        (("own", [], []), (None, [], []), False),
        (("unit", [1], [1, 2]), ("subtree", [1], [1, 2]), True),
        (("unit", [1], [1]), ("unit", [2], [2]), False),
        (("subtree", [1], [1, 2]), ("unit", [1], [1, 2]), False),
        (("unit", [1], [1]), ("own", [1], [1]), False),
        ((None, [], []), (None, [], []), True),
    ],
)
def test_a_file_is_fetched_by_who_still_sees_all_that_it_shows(then: Any, now: Any, reaches: bool) -> None:
    def actor(scope: str | None, units: list[int], subtree: list[int]) -> Actor:
        permissions = {"customers:read": Scope(scope)} if scope else {}
        mine, below = [tuple(UUID(int=n) for n in each) for each in (units, subtree)]
        return Actor("user", UUID(int=9), "x", permissions, mine, below)

    assert still_reaches(actor(*then), actor(*now)) is reaches


@pytest.mark.parametrize(("method", "below"), [("DELETE", ""), ("POST", "/erasure")])
async def test_a_file_is_withdrawn_when_somebody_in_it_is_deleted_or_erased(
    admin: httpx.AsyncClient, database: Database, fair: list[Any], taken: Taken, method: str, below: str
) -> None:
    await taken(admin, **TAGGED)
    await taken(admin, where={"not": {"tag": "fair"}})
    without, with_her = (await admin.get("/v1/exports")).json()["items"]
    assert (await admin.request(method, f"/v1/customers/{fair[2]['id']}{below}")).is_success
    gone = await admin.get(f"/v1/exports/{with_her['id']}/file")
    assert (gone.status_code, gone.json()["type"]) == (410, "urn:strata:problem:export-expired")
    assert (await admin.get(f"/v1/exports/{without['id']}/file")).status_code == 200
    async with database.connection() as connection:
        kept = await connection.fetch("SELECT DISTINCT export_id FROM export_piece")
    assert [str(row[0]) for row in kept] == [without["id"]]


async def test_a_file_that_is_being_made_is_given_up_when_somebody_in_it_is_deleted(
    admin: httpx.AsyncClient, database: Database, fair: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK", 2)
    asked = (await admin.post("/v1/exports", json=TAGGED)).json()
    with pytest.raises(jobs.Interrupted):
        await run_export(_stopping(database, asked["id"]))
    assert (await admin.delete(f"/v1/customers/{fair[0]['id']}")).status_code == 204
    await run_export(_stopping(database, asked["id"]))
    made = await latest(admin)
    assert (made["status"], "gone" in made["error"]) == ("failed", True)


async def test_a_file_expires_and_is_forgotten(
    admin: httpx.AsyncClient, database: Database, fair: list[Any], taken: Taken
) -> None:
    await taken(admin, **TAGGED)
    path = f"/v1/exports/{(await latest(admin))['id']}"
    context = JobContext(database, {}, None, asyncio.Event())
    await forget_expired(context)
    assert (await admin.get(f"{path}/file")).status_code == 200
    async with database.connection() as connection:
        await connection.execute("UPDATE export SET expires_at = now()")
    assert (await admin.get(f"{path}/file")).status_code == 410
    await forget_expired(context)
    assert (await admin.get(path)).status_code == 404
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM export_piece") == 0


async def test_a_file_goes_on_behind_its_last_piece_and_stops_when_it_is_cancelled(
    admin: httpx.AsyncClient, database: Database, fair: list[Any], run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK", 2)
    asked = (await admin.post("/v1/exports", json=TAGGED)).json()
    with pytest.raises(jobs.Interrupted):
        await run_export(_stopping(database, asked["id"]))
    assert (await admin.get(f"/v1/exports/{asked['id']}")).json()["processed"] == 2
    await run_jobs()
    answer = await admin.get(f"/v1/exports/{asked['id']}/file")
    assert [row["customer_id"] for row in rows_of(answer)] == sorted(each["id"] for each in fair)
    other = f"/v1/exports/{(await admin.post('/v1/exports', json=TAGGED)).json()['id']}"
    assert (await admin.post(f"{other}/cancel")).json()["status"] == "cancelled"
    assert (await admin.post(f"{other}/cancel")).status_code == 409
    await run_jobs()
    assert (await admin.get(f"{other}/file")).status_code == 409


def _stopping(database: Database, export_id: str) -> JobContext:
    """A worker that is told to stop when it has hardly begun."""
    stopping = asyncio.Event()
    stopping.set()
    return JobContext(database, {"export_id": export_id}, None, stopping)


async def test_what_cannot_be_asked_is_refused_where_it_stands(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"class": "nope:A"}, "/body/class"),
        ({"class": "abc:Z"}, "/body/class"),
        ({"segment": "abc"}, "/body/segment"),
        ({"segment": "nope"}, "/body/segment"),
        ({"segment": "x", "class": "abc:A"}, "/body"),
        ({"where": {"metric": "nope", "op": "gt", "value": "1"}}, "/body/where/metric"),
        ({"format": "xlsx"}, "/body/format"),
    ]
    for body, pointer in cases:
        assert pointers(await admin.post("/v1/exports", json=body)) == [pointer], body
    masked = await make_user({"customers:read": "all"})
    by_phone = {"where": {"field": "phone", "op": "eq", "value": PHONE}}
    assert (await masked.post("/v1/exports", json=by_phone)).status_code == 403
