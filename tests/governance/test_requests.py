"""What a person asks for is written down, due, and answered: by the archive, by the erasure, or with a reason."""

import io
import json
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import features
from app.core import clock
from app.core.checks import findings
from app.core.db import Database
from app.governance import retention
from app.governance.rules import a_month_after
from tests.conftest import MakeUser
from tests.customers.customers import create
from tests.webhooks.horizon import others_have_ended

PATH = "/v1/data-requests"
NOTE = "Asked on the phone."


async def asked(client: httpx.AsyncClient, customer: Any, kind: str, **more: Any) -> Any:
    answer = await client.post(PATH, json={"customer_id": customer["id"], "kind": kind, "note": NOTE, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{PATH}/{answer.json()['id']}"
    assert answer.headers["etag"] == '"1"'
    return answer.json()


async def decided(client: httpx.AsyncClient, request: Any, how: str, status: int = 200, **options: Any) -> Any:
    answer = await client.post(f"{PATH}/{request['id']}/{how}", **options)
    assert answer.status_code == status, answer.text
    return answer.json()


async def read(client: httpx.AsyncClient, request: Any) -> Any:
    answer = await client.get(f"{PATH}/{request['id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def announced(client: httpx.AsyncClient, database: Database, request: Any) -> list[tuple[str, str | None]]:
    await others_have_ended(database)
    events = (await client.get("/v1/events", params={"limit": 200})).json()["items"]
    mine = [each for each in events if each["data"].get("data_request_id") == request["id"]]
    return [(each["type"], each["data"].get("status")) for each in mine]


async def holds(database: Database) -> None:
    async for finding in findings(database, features.CHECKS):
        if "data request" in finding.promise:
            assert finding.violations == 0, finding


@pytest.mark.parametrize(
    ("day", "due"),
    [
        ("2026-01-15", "2026-02-15"),
        ("2026-01-31", "2026-02-28"),
        ("2024-01-30", "2024-02-29"),
        ("2025-12-31", "2026-01-31"),
    ],
)
def test_a_month_is_the_same_day_of_the_next_or_its_last(day: str, due: str) -> None:
    assert a_month_after(date.fromisoformat(day)) == date.fromisoformat(due)


@given(st.dates(max_value=date(2200, 1, 1)))
def test_a_month_is_never_longer_than_one(day: date) -> None:
    due = a_month_after(day)
    assert 28 <= (due - day).days <= 31
    assert due.day <= day.day
    assert (due.year * 12 + due.month) - (day.year * 12 + day.month) == 1


async def test_a_request_is_due_a_month_after_it_was_received_unless_it_is_said_otherwise(
    admin: httpx.AsyncClient,
) -> None:
    customer = await create(admin)
    usual = await asked(admin, customer, "export", received_at="2024-01-31T12:00:00Z")
    assert (usual["received_at"], usual["due_on"], usual["status"]) == (
        "2024-01-31T12:00:00Z",
        "2024-02-29",
        "received",
    )
    assert (usual["note"], usual["decided_at"], usual["file_expires_at"]) == (NOTE, None, None)
    sooner = await asked(admin, customer, "export", received_at="2024-01-31T12:00:00Z", due_on="2024-02-07")
    assert sooner["due_on"] == "2024-02-07"
    body = {"customer_id": customer["id"], "kind": "export"}
    tomorrow = (clock.now() + timedelta(days=1)).isoformat()
    for more, pointer in [
        ({"received_at": "2024-01-31T12:00:00Z", "due_on": "2024-01-01"}, "/body/due_on"),
        ({"received_at": tomorrow}, "/body/received_at"),
        ({"customer_id": str(uuid4())}, "/body/customer_id"),
        ({"kind": "portability"}, "/body/kind"),
    ]:
        refused = await admin.post(PATH, json={**body, **more})
        assert refused.status_code == 422, refused.text
        assert [each["pointer"] for each in refused.json()["errors"]] == [pointer]


async def test_an_export_that_is_completed_is_fetched_until_it_expires(
    admin: httpx.AsyncClient, database: Database, make_user: MakeUser
) -> None:
    customer = await create(admin)
    request = await asked(admin, customer, "export")
    file = f"{PATH}/{request['id']}/file"
    assert (await admin.get(file)).status_code == 409
    done = await decided(admin, request, "complete")
    assert (done["status"], done["version"]) == ("completed", 2)
    assert done["file_expires_at"] > (clock.now() + timedelta(days=29)).isoformat()
    archive = zipfile.ZipFile(io.BytesIO((await admin.get(file)).content))
    assert json.loads(archive.read("manifest.json"))["customer_id"] == customer["id"]
    assert json.loads(archive.read("data_request.ndjson"))["note"] == NOTE
    taken = (await admin.get("/v1/audit", params={"action": "customer.handed_over"})).json()["items"]
    assert [each["resource_id"] for each in taken] == [customer["id"]]
    reader = await make_user({"data_requests:read": "all", "data_requests:write": "all"})
    assert (await reader.get(file)).status_code == 403
    assert await announced(admin, database, request) == [
        ("data_request.received", None),
        ("data_request.decided", "completed"),
    ]
    async with database.connection() as connection:
        await connection.execute("UPDATE data_request SET file_expires_at = now()")
    assert (await admin.get(file)).status_code == 410
    await holds(database)


async def test_an_erasure_that_is_completed_erases_and_outlives_the_person(
    admin: httpx.AsyncClient, database: Database, make_user: MakeUser
) -> None:
    customer = await create(admin)
    export, refused, erasure = [await asked(admin, customer, kind) for kind in ("export", "erasure", "erasure")]
    waiting = await asked(admin, customer, "export")
    await decided(admin, export, "complete")
    await decided(admin, refused, "reject", json={"reason": "There is a dispute."})
    done = await decided(admin, erasure, "complete")
    assert (done["status"], done["note"]) == ("completed", None)
    stones = (await admin.get("/v1/erasures")).json()["items"]
    assert [each["customer_id"] for each in stones] == [customer["id"]]
    for request, status in [(export, "completed"), (refused, "rejected"), (waiting, "cancelled")]:
        kept = await read(admin, request)
        assert (kept["status"], kept["note"], kept["reason"]) == (status, None, None)
        assert kept["customer_id"] == customer["id"]
    assert (await admin.get(f"{PATH}/{export['id']}/file")).status_code == 410
    assert await announced(admin, database, waiting) == [
        ("data_request.received", None),
        ("data_request.decided", "cancelled"),
    ]
    await holds(database)


@pytest.mark.parametrize(("method", "below"), [("DELETE", ""), ("POST", "/erasure")])
async def test_whoever_is_erased_in_another_way_was_answered_by_it(
    admin: httpx.AsyncClient, database: Database, make_user: MakeUser, method: str, below: str
) -> None:
    customer = await create(admin)
    request = await asked(admin, customer, "erasure")
    gone = await admin.request(method, f"/v1/customers/{customer['id']}{below}")
    assert gone.status_code < 300, gone.text
    kept = await read(admin, request)
    assert (kept["status"], kept["note"], kept["version"]) == ("completed", None, 2)
    assert [each["id"] for each in (await admin.get(PATH)).json()["items"]] == [request["id"]]
    audited = (await admin.get("/v1/audit", params={"resource_id": request["id"]})).json()["items"]
    assert [(each["action"], each["actor_kind"]) for each in audited] == [
        ("data_request.decided", "system"),
        ("data_request.received", "user"),
    ]
    assert NOTE not in json.dumps(audited)
    await holds(database)


@pytest.mark.parametrize("how", ["complete", "reject", "cancel"])
async def test_what_was_decided_stays_and_a_stale_decision_is_refused(admin: httpx.AsyncClient, how: str) -> None:
    options: dict[str, Any] = {"json": {"reason": "There is a dispute."}} if how == "reject" else {}
    request = await asked(admin, await create(admin), "export")
    await decided(admin, request, how, 412, headers={"If-Match": '"7"'}, **options)
    await decided(admin, request, how, headers={"If-Match": '"1"'}, **options)
    for again in ("complete", "cancel"):
        assert (await decided(admin, request, again, 409))["type"].endswith("data-request-decided")
    found = await read(admin, request)
    assert found["status"] == {"complete": "completed", "reject": "rejected", "cancel": "cancelled"}[how]
    assert found["reason"] == ("There is a dispute." if how == "reject" else None)
    assert found["decided_by"].startswith("user:")


@pytest.mark.parametrize(("kind", "right"), [("export", "customers:hand_over"), ("erasure", "customers:erase")])
async def test_to_give_or_refuse_it_needs_the_right_to_what_was_asked_for(
    admin: httpx.AsyncClient, make_user: MakeUser, kind: str, right: str
) -> None:
    rights = {"data_requests:read": "all", "data_requests:write": "all"}
    clerk, narrow = await make_user(rights), await make_user({**rights, right: "own"})
    officer = await make_user({**rights, right: "all"})
    request = await asked(clerk, await create(admin), kind)
    for how, options in (("complete", {}), ("reject", {"json": {"reason": "no"}})):
        assert right in (await decided(clerk, request, how, 403, **options))["detail"]
        await decided(narrow, request, how, 404, **options)
    assert (await read(clerk, request))["status"] == "received"
    assert (await decided(officer, request, "complete"))["status"] == "completed"
    mine = await asked(clerk, await create(admin), kind)
    assert (await decided(clerk, mine, "cancel"))["status"] == "cancelled"


async def test_requests_are_listed_by_kind_status_and_day_for_those_whom_one_reaches(
    admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    own = await make_user({"data_requests:read": "own", "data_requests:write": "own"})
    mine, other = await create(admin, owner_id=own.headers["X-Test-User"]), await create(admin)
    old = await asked(admin, mine, "export", received_at="2024-01-02T03:04:05Z")
    new = await asked(own, mine, "erasure")
    foreign = await asked(admin, other, "erasure")
    assert (await own.get(f"{PATH}/{foreign['id']}")).status_code == 404
    refused = await own.post(PATH, json={"customer_id": other["id"], "kind": "export"})
    assert refused.status_code == 422
    await decided(admin, old, "complete")
    for client, query, expected in [
        (own, {}, [new, old]),
        (admin, {}, [foreign, new, old]),
        (admin, {"kind": "erasure"}, [foreign, new]),
        (admin, {"status": "completed"}, [old]),
        (admin, {"due_before": "2024-02-03"}, [old]),
        (admin, {"due_before": "2024-02-02"}, []),
        (admin, {"customer": mine["id"], "status": "received"}, [new]),
    ]:
        listed = (await client.get(PATH, params=query)).json()["items"]
        assert [each["id"] for each in listed] == [each["id"] for each in expected], query


async def test_requests_follow_a_merge_and_go_back(admin: httpx.AsyncClient) -> None:
    one, other = await create(admin), await create(admin)
    request = await asked(admin, other, "erasure")
    merge = await admin.post("/v1/customers/merges", json={"survivor_id": one["id"], "merged_id": other["id"]})
    assert merge.status_code == 201, merge.text
    assert (await read(admin, request))["customer_id"] == one["id"]
    undone = await admin.post(f"/v1/customers/merges/{merge.json()['id']}/undo")
    assert undone.status_code == 200, undone.text
    assert (await read(admin, request))["customer_id"] == other["id"]


async def test_what_was_decided_is_forgotten_after_its_period_and_what_is_open_is_not(
    admin: httpx.AsyncClient, database: Database, today: Callable[[date], None]
) -> None:
    customer = await create(admin)
    closed, opened = await asked(admin, customer, "export"), await asked(admin, customer, "export")
    await decided(admin, closed, "cancel")
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE data_request SET decided_at = now() - interval '40 days' WHERE status <> 'received'"
        )
    assert (await admin.put("/v1/retention/data_requests", json={"days": 29})).status_code == 422
    shown = await admin.put("/v1/retention/data_requests", json={"days": 30})
    assert shown.json()["due"] == 1, shown.text
    async with database.transaction() as session:
        kind = retention._kinds["data_requests"]
        assert await kind.forget(session, clock.now() - timedelta(days=30), 10) == 1
    assert [each["id"] for each in (await admin.get(PATH)).json()["items"]] == [opened["id"]]


@pytest.mark.parametrize("name", ["received", "decided"])
async def test_a_request_of_which_nobody_was_told_is_found(
    admin: httpx.AsyncClient, database: Database, name: str
) -> None:
    await decided(admin, await asked(admin, await create(admin), "export"), "cancel")
    await holds(database)
    async with database.connection() as connection:
        await connection.execute("DELETE FROM outbox_event WHERE name = $1", f"data_request.{name}")
    found = {each.promise: each.violations async for each in findings(database, features.CHECKS)}
    assert {promise: count for promise, count in found.items() if count} == {
        f"every data request {name} was announced once": 1
    }
