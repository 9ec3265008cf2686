"""What had its time goes at night, no more and no less; how much that is can be asked beforehand."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from app.core.db import Database
from app.core.jobs import JobContext
from app.governance import retention
from tests.conftest import MakeUser, RunJobs
from tests.customers.customers import create, pointers

PATH = "/v1/retention"
Night = Callable[[], Awaitable[None]]


@pytest.fixture
def night(database: Database) -> Night:
    async def pass_() -> None:
        await retention.apply(JobContext(database, {}, None, asyncio.Event()))

    return pass_


async def set_to(admin: httpx.AsyncClient, kind: str, days: int | None, **headers: str) -> httpx.Response:
    return await admin.put(f"{PATH}/{kind}", json={"days": days}, headers=headers)


async def aged(database: Database, table: str, column: str, days: int, where: str = "true") -> None:
    async with database.connection() as connection:
        await connection.execute(f"UPDATE {table} SET {column} = now() - interval '{days} days' WHERE {where}")


async def count(database: Database, table: str) -> int:
    async with database.connection() as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


async def test_every_kind_says_how_long_it_is_kept_and_what_that_deletes(admin: httpx.AsyncClient) -> None:
    items = {each["kind"]: each for each in (await admin.get(PATH)).json()["items"]}
    assert {kind: each["days"] for kind, each in items.items()} == {
        "events": None,
        "notes": None,
        "interactions": None,
        "feedback": None,
        "survey_invitations": None,
        "data_requests": None,
        "webhook_deliveries": 30,
    }
    assert all(each["due"] == 0 for each in items.values())


async def test_notes_go_when_their_time_is_over(admin: httpx.AsyncClient, database: Database, night: Night) -> None:
    customer = (await create(admin))["id"]
    for text in ("old", "new"):
        await admin.post(f"/v1/customers/{customer}/notes", json={"text": text})
    await aged(database, "customer_note", "updated_at", 400, "text = 'old'")
    await night()
    assert await count(database, "customer_note") == 2
    tried = (await admin.get(f"{PATH}/notes", params={"days": 365})).json()
    assert (tried["due"], tried["days"]) == (1, None)
    assert (await admin.get(f"{PATH}/notes", params={"days": 401})).json()["due"] == 0
    kept = await set_to(admin, "notes", 365)
    assert (kept.status_code, kept.json()["due"]) == (200, 1)
    await night()
    items = (await admin.get(f"/v1/customers/{customer}/notes")).json()["items"]
    assert [each["text"] for each in items] == ["new"]
    trail = (await admin.get("/v1/audit", params={"action": "retention.applied"})).json()["items"]
    assert [each["after"] for each in trail] == [{"days": 365, "rows": 1, "rows_before": 0}]
    assert (await set_to(admin, "notes", None)).json()["days"] is None


async def test_interactions_go_in_chunks_with_their_versions_and_the_metrics_follow(
    admin: httpx.AsyncClient,
    database: Database,
    night: Night,
    run_jobs: RunJobs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "CHUNK", 2)
    customer = (await create(admin))["id"]
    path = f"/v1/customers/{customer}/interactions"
    for day in ("2019-01-01", "2019-02-01", "2019-03-01", "2026-01-01"):
        body = {"kind": "call", "occurred_at": f"{day}T00:00:00Z"}
        made = (await admin.post(path, json=body)).json()
        await admin.patch(f"{path}/{made['id']}", json={"subject": "Teas", "reason": "forgotten"})
    assert await count(database, "interaction_version") == 4
    assert (await set_to(admin, "interactions", 2_000)).json()["due"] == 3
    await night()
    assert (await count(database, "interaction"), await count(database, "interaction_version")) == (1, 1)
    assert await count(database, "dirty_customer") == 1
    await run_jobs()


async def test_feedback_goes_with_its_text_and_the_scores_follow(
    admin: httpx.AsyncClient, database: Database, night: Night, run_jobs: RunJobs
) -> None:
    path = f"/v1/customers/{(await create(admin))['id']}/feedback"
    for day in ("2010-01-02", "2024-01-02"):
        body = {"kind": "complaint", "channel": "phone", "text": "late", "occurred_at": f"{day}T00:00:00Z"}
        assert (await admin.post(path, json=body)).status_code == 201
    assert (await set_to(admin, "feedback", 2_000)).json()["due"] == 1
    await night()
    left = (await admin.get(path)).json()["items"]
    assert [each["occurred_at"][:4] for each in left] == ["2024"]
    assert await count(database, "dirty_customer") == 1
    await run_jobs()


async def test_events_and_deliveries_go_too_but_for_those_that_are_still_to_be_sent(
    admin: httpx.AsyncClient, database: Database, night: Night
) -> None:
    await create(admin)
    await aged(database, "outbox_event", "at", 60)
    async with database.connection() as connection:
        webhook = await connection.fetchval(
            "INSERT INTO webhook (url, types, secret, after_transaction_id, after_event_id)"
            " VALUES ('https://example.com', '{}', 'x', 0, uuidv7()) RETURNING id"
        )
        for status, due in (("pending", "now()"), ("delivered", "NULL"), ("dead", "NULL")):
            await connection.execute(
                "INSERT INTO webhook_delivery (webhook_id, type, status, due_at, created_at)"
                f" VALUES ($1, 'x.y', $2, {due}, now() - interval '31 days')",
                webhook,
                status,
            )
    await night()
    assert (await count(database, "webhook_delivery"), await count(database, "outbox_event") > 0) == (1, True)
    assert (await set_to(admin, "events", 59)).status_code == 200
    before = await count(database, "outbox_event")
    await night()
    assert await count(database, "outbox_event") < before


@pytest.mark.parametrize(
    ("kind", "days"), [("notes", 0), ("notes", 36_501), ("events", 29), ("interactions", 89), ("feedback", 89)]
)
async def test_a_period_that_others_rely_on_is_refused(admin: httpx.AsyncClient, kind: str, days: int) -> None:
    assert pointers(await set_to(admin, kind, days)) == ["/body/days"]


async def test_periods_are_the_whole_companys_and_change_only_as_they_were_seen(
    admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    narrow = await make_user({"retention:read": "unit", "retention:write": "unit"})
    assert (await narrow.get(PATH)).status_code == 403
    assert (await narrow.get(f"{PATH}/notes")).status_code == 403
    assert (await set_to(narrow, "notes", 5)).status_code == 403
    assert (await admin.get(f"{PATH}/cakes")).status_code == 404
    seen = (await admin.get(f"{PATH}/notes")).headers["etag"]
    assert (await set_to(admin, "notes", 5, **{"If-Match": seen})).status_code == 200
    stale: Any = await set_to(admin, "notes", 6, **{"If-Match": seen})
    assert stale.status_code == 412
