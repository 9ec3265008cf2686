"""Customers of a class or a segment as a file: everybody one may see, no formula, no contact data that is masked."""

import csv
import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core import csv as files
from app.core.db import Database
from tests.conftest import MakeUser
from tests.customers.customers import EMAIL, PHONE, create

NAMES = ["=1+1", "+1", "-x", "@SUM(A1)", 'a "quoted", one', "蓝灯笼", "two; parts"]
SEGMENT, CLASS = "/v1/segments/friends/export", "/v1/schemes/friends/classes/in/export"


@pytest.fixture
async def friends(admin: httpx.AsyncClient, today: Any) -> list[Any]:
    """Seven members of a segment, and one customer who is not."""
    today(datetime(2020, 6, 30, tzinfo=UTC).date())
    assert (await admin.post("/v1/segments", json={"key": "friends", "title": "x", "static": True})).status_code == 201
    made = [
        await create(admin, name=name, phone=PHONE, email=EMAIL, tags=["a", "b"], region="CN-31", source="=fair")
        for name in NAMES
    ]
    await create(admin, name="a stranger", phone=PHONE)
    bought = {"occurred_at": "2020-06-20T08:00:00Z", "amount": "100.5"}
    assert (await admin.post(f"/v1/customers/{made[0]['id']}/purchases", json=bought)).status_code == 201
    answer = await admin.post("/v1/segments/friends/members", json={"add": [each["id"] for each in made]})
    assert answer.json()["added"] == len(made)
    return made


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))


async def test_a_file_holds_every_member_once_and_no_formula(
    admin: httpx.AsyncClient, friends: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in (1, 3, 7, 1000):
        monkeypatch.setattr(files, "BLOCK", block)
        answer = await admin.get(SEGMENT)
        rows = rows_of(answer)
        assert [row["customer_id"] for row in rows] == sorted(each["id"] for each in friends)
    assert answer.headers["content-disposition"] == 'attachment; filename="friends.csv"'
    named = {row["customer_id"]: row for row in rows}
    assert [named[each["id"]]["name"] for each in friends] == [f"'{name}" for name in NAMES[:4]] + NAMES[4:]
    first = named[friends[0]["id"]]
    assert {name: first[name] for name in ("kind", "region", "source", "tags", "class")} == {
        "kind": "person",
        "region": "CN-31",
        "source": "'=fair",
        "tags": "a; b",
        "class": "in",
    }
    assert (first["frequency"], first["monetary"]) == ("1", "100.50")
    assert first["last_purchase_at"] == "2020-06-20T08:00:00+00:00"
    assert datetime.fromisoformat(first["since"]).date().isoformat() == "2020-06-30"
    assert (named[friends[1]["id"]]["monetary"], named[friends[1]["id"]]["last_purchase_at"]) == ("0.00", "")
    assert (await admin.get(CLASS)).text == answer.text


async def test_a_file_shows_contact_data_as_far_as_its_scope_reaches_and_is_written_down(
    admin: httpx.AsyncClient, database: Database, friends: list[Any], make_user: MakeUser
) -> None:
    clear = await make_user({"customers:read": "all", "customers:read_contact": "own"})
    masked = await make_user({"customers:read": "own"})
    async with database.connection() as connection:
        for user, each in ((clear, friends[2]), (masked, friends[4])):
            owner = UUID(user.headers["X-Test-User"])
            await connection.execute("UPDATE customer SET owner_id = $1 WHERE id = $2", owner, UUID(each["id"]))
    for path in (SEGMENT, CLASS):
        rows = {row["customer_id"]: (row["phone"], row["email"]) for row in rows_of(await clear.get(path))}
        assert rows.pop(friends[2]["id"]) == (f"'{PHONE}", EMAIL)
        assert set(rows.values()) == {("'+86138****5678", "l***@example.com")}
        (only,) = rows_of(await masked.get(path))
        assert (only["customer_id"], only["email"]) == (friends[4]["id"], "l***@example.com")
        assert PHONE[5:9] not in only["phone"]
    async with database.connection() as connection:
        written = await connection.fetch(
            "SELECT action, resource, resource_id, actor_id, after, request_id FROM audit_event"
            " WHERE action = 'customers.exported' ORDER BY id"
        )
    actors = [UUID(user.headers["X-Test-User"]) for user in (clear, masked)]
    assert [row["actor_id"] for row in written] == actors * 2
    assert {(row["action"], row["resource"], row["resource_id"]) for row in written} == {
        ("customers.exported", "scheme", "friends")
    }
    assert [row["after"] for row in written[:2]] == [
        {"class": "in", "customers": "all", "contact": "own"},
        {"class": "in", "customers": "own", "contact": None},
    ]
    assert all(row["request_id"] for row in written)


async def test_there_is_no_file_of_what_there_is_not(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    for path, status in [
        ("/v1/segments/nope/export", 404),
        ("/v1/segments/abc/export", 404),
        ("/v1/schemes/nope/classes/A/export", 404),
        ("/v1/schemes/abc/classes/Z/export", 422),
    ]:
        assert (await admin.get(path)).status_code == status, path
    nobody = await make_user({"segments:read": "all", "classes:read": "all"})
    assert (await nobody.get("/v1/schemes/abc/classes/A/export")).status_code == 403
