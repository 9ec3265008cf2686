"""The audit trail as a page and as a file: what was asked for, and for whom it is."""

import csv
import io
import json
from typing import Any

import httpx
import pytest

from tests.conftest import MakeUser
from tests.customers.customers import PHONE, create

TRAIL, FILE = "/v1/audit", "/v1/audit/export"


async def events(who: httpx.AsyncClient, **asked: str) -> list[dict[str, Any]]:
    """All pages, two events each."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await who.get(TRAIL, params={"limit": "2", **asked, **cursor})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next_cursor"] is None:
            return found
        cursor = {"cursor": answer.json()["next_cursor"]}


async def test_the_trail_is_filtered_and_paged_the_latest_first(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    other = await make_user({"customers:write": "all", "customers:read": "all"})
    first, second = await create(admin, name="one", phone=PHONE), await create(other, name="two")
    for name in ("three", "four"):
        changed = await admin.patch(f"/v1/customers/{first['id']}", json={"name": name})
        assert changed.status_code == 200
    about_first = await events(admin, resource="customer", resource_id=first["id"])
    assert [each["action"] for each in about_first] == ["customer.changed", "customer.changed", "customer.created"]
    assert PHONE not in json.dumps(about_first)
    assert [each["resource_id"] for each in await events(admin, actor=other.headers["X-Test-User"])] == [second["id"]]
    made = await events(admin, action="customer.created")
    assert [each["resource_id"] for each in made] == [second["id"], first["id"]]
    at = made[0]["at"]
    assert [each["id"] for each in await events(admin, action="customer.created", since=at)] == [made[0]["id"]]
    assert [each["id"] for each in await events(admin, action="customer.created", until=at)] == [made[1]["id"]]
    assert await events(admin, action="customer.created", since="2199-01-01T00:00:00Z") == []
    page = (await admin.get(TRAIL, params={"limit": 1, "action": "customer.created"})).json()
    other_filter = {"limit": 1, "action": "customer.changed", "cursor": page["next_cursor"]}
    assert (await admin.get(TRAIL, params=other_filter)).status_code == 422


async def test_the_trail_is_taken_as_a_file_which_is_audited(admin: httpx.AsyncClient) -> None:
    made = [await create(admin, name=name) for name in ("one", "two", "three")]
    asked = {"action": "customer.created"}
    as_csv = await admin.get(FILE, params=asked)
    assert as_csv.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(as_csv.content.decode(), newline="")))
    assert [row["resource_id"] for row in rows] == [each["id"] for each in made]
    assert json.loads(rows[0]["after"])["kind"] == "person"
    as_lines = await admin.get(FILE, params={**asked, "format": "ndjson"})
    assert as_lines.headers["content-type"].startswith("application/x-ndjson")
    assert as_lines.headers["content-disposition"] == 'attachment; filename="audit.ndjson"'
    lines = [json.loads(line) for line in as_lines.text.splitlines()]
    assert [line["id"] for line in lines] == [row["id"] for row in rows]
    assert lines[0]["after"] == json.loads(rows[0]["after"])
    taken = await events(admin, action="audit.exported")
    assert [each["after"] for each in taken] == [{"format": kind, **asked} for kind in ("ndjson", "csv")]


@pytest.mark.parametrize("scope", ["own", "unit", "subtree", "all", None])
async def test_the_trail_is_for_those_who_may_read_all_of_it(make_user: MakeUser, scope: str | None) -> None:
    somebody = await make_user({"audit:read": scope} if scope else {})
    for path in (TRAIL, FILE):
        assert (await somebody.get(path)).status_code == (200 if scope == "all" else 403)


@pytest.mark.parametrize(
    "asked",
    [{"since": "yesterday"}, {"action": "x' OR 1=1"}, {"actor": "me"}, {"resource": "A B"}, {"format": "xml"}],
    ids=str,
)
async def test_a_filter_that_is_none_is_refused(admin: httpx.AsyncClient, asked: dict[str, str]) -> None:
    assert (await admin.get(FILE, params=asked)).status_code == 422
