"""Feedback over the API: what is recorded, refused and announced, who sees it, how it is listed."""

from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from app.core.db import Database
from app.feedback.rules import LOW, LOW_STARS, SCALES, STARS
from tests.conftest import MakeUser
from tests.customers.customers import create, pointers
from tests.feedback.asking import published, said, scored

COMPLAINT: dict[str, Any] = {
    "reference": "FB-1",
    "kind": "complaint",
    "channel": "phone",
    "topic": "delivery",
    "text": "The box came open.",
    "occurred_at": "2020-06-02T11:04:05+08:00",
}


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(date(2020, 6, 30))


@pytest.fixture
async def customer_id(admin: httpx.AsyncClient) -> str:
    return str((await create(admin))["id"])


async def events(database: Database) -> list[tuple[str, Any]]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT name, payload FROM outbox_event ORDER BY id")
    return [(row["name"], row["payload"]) for row in rows if row["name"].startswith(("feedback", "complaint"))]


async def test_feedback_is_answered_as_it_was_recorded(admin: httpx.AsyncClient, customer_id: str) -> None:
    path = f"/v1/customers/{customer_id}/feedback"
    answer = await admin.post(path, json=COMPLAINT)
    made = answer.json()
    assert answer.status_code == 201
    assert made == {
        **COMPLAINT,
        "id": made["id"],
        "customer_id": customer_id,
        "measure": None,
        "score": None,
        "choices": None,
        "occurred_at": "2020-06-02T03:04:05Z",
        "response_id": None,
        "question": None,
        "written_at": made["written_at"],
        "written_by": f"user:{(await admin.get('/v1/me')).json()['id']}",
    }
    assert (await admin.get(answer.headers["location"])).json() == made
    for listed in (path, "/v1/feedback", "/v1/feedback?kind=complaint&topic=delivery&channel=phone"):
        assert (await admin.get(listed)).json() == {"items": [made], "next_cursor": None}
    assert (await admin.get("/v1/feedback?kind=review")).json()["items"] == []
    again = await admin.post(path, json=COMPLAINT)
    assert pointers(again, 409) == ["/body/reference"]


WRONG: list[dict[str, Any]] = [
    {"kind": "praise"},
    {"score": 3},
    {"measure": "csat", "score": 3},
    {"kind": "answer"},
    {"kind": "answer", "measure": "csat"},
    {"kind": "answer", "measure": "csat", "score": 0},
    {"kind": "answer", "measure": "csat", "score": 6},
    {"kind": "answer", "measure": "nps", "score": 11},
    {"kind": "answer", "measure": "ces", "score": 0},
    {"kind": "answer", "measure": "ces", "score": 8},
    {"kind": "review", "score": 0},
    {"kind": "review", "score": 6},
    {"kind": "review", "measure": "nps", "score": 5},
    {"occurred_at": "2020-07-02T12:00:00Z"},
    {"channel": "By phone"},
    {"text": "x" * 4001},
]


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_no_feedback_is_refused(admin: httpx.AsyncClient, customer_id: str, wrong: Any) -> None:
    path = f"/v1/customers/{customer_id}/feedback"
    refused = await admin.post(path, json={**COMPLAINT, **wrong})
    assert refused.status_code == 422
    assert (await admin.get(path)).json()["items"] == []


async def test_each_complaint_and_each_low_score_is_told_and_no_other(
    admin: httpx.AsyncClient, customer_id: str, database: Database
) -> None:
    low: list[tuple[str, str | None, int]] = []
    for measure, scale in SCALES.items():
        for score in scale:
            made = await scored(admin, customer_id, measure, score)
            if score <= LOW[measure]:
                low.append((made["id"], measure, score))
    for score in STARS:
        made = await said(admin, customer_id, kind="review", score=score)
        if score <= LOW_STARS:
            low.append((made["id"], None, score))
    complaint = await said(admin, customer_id, kind="complaint", topic="delivery", text="canary words")
    await said(admin, customer_id, kind="suggestion", text="canary words")
    told = await events(database)
    heard = [(p["feedback_id"], p["measure"], p["score"]) for name, p in told if name == "feedback.scored_low"]
    assert heard == low
    assert [p["feedback_id"] for name, p in told if name == "complaint.received"] == [complaint["id"]]
    received = [p for name, p in told if name == "feedback.received"]
    assert len(received) == sum(map(len, SCALES.values())) + len(STARS) + 2
    assert "canary" not in str(told)


async def test_feedback_is_on_the_timeline(admin: httpx.AsyncClient, customer_id: str) -> None:
    made = await scored(admin, customer_id, "nps", 9, topic="delivery")
    timeline = (await admin.get(f"/v1/customers/{customer_id}/timeline", params={"kind": "feedback"})).json()["items"]
    details = {"kind": "answer", "measure": "nps", "score": "9", "channel": "phone", "topic": "delivery"}
    assert [(each["id"], each["details"]) for each in timeline] == [(made["id"], details)]


async def test_pages_of_feedback_are_whole_and_in_order(admin: httpx.AsyncClient, customer_id: str) -> None:
    made = [
        await said(admin, customer_id, kind="suggestion", occurred_at=f"2020-06-0{day}T12:00:00Z")
        for day in (2, 3, 3, 1)
    ]
    for path in ("/v1/feedback", f"/v1/customers/{customer_id}/feedback"):
        seen, query = [], {"limit": "1"}
        while True:
            page = (await admin.get(path, params=query)).json()
            seen += page["items"]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert seen == sorted(made, key=lambda each: (each["occurred_at"], each["id"]), reverse=True)
    since = await admin.get("/v1/feedback", params={"since": "2020-06-02T12:00:00Z", "until": "2020-06-03T12:00:00Z"})
    assert [each["id"] for each in since.json()["items"]] == [made[0]["id"]]


async def test_feedback_reaches_as_far_as_the_permission(
    admin: httpx.AsyncClient, make_user: MakeUser, customer_id: str
) -> None:
    mine = await make_user({"feedback:write": "own", "feedback:read": "own"})
    own = (await create(admin, owner_id=mine.headers["X-Test-User"]))["id"]
    theirs, seen = await said(admin, customer_id, kind="review"), await said(mine, own, kind="review")
    assert (await mine.get("/v1/feedback")).json()["items"] == [seen]
    assert (await mine.get(f"/v1/customers/{customer_id}/feedback/{theirs['id']}")).status_code == 404
    assert (await mine.get(f"/v1/customers/{customer_id}/feedback")).status_code == 404
    assert (await mine.post(f"/v1/customers/{customer_id}/feedback", json=COMPLAINT)).status_code == 404


async def test_what_a_customer_said_goes_with_it(
    admin: httpx.AsyncClient, customer_id: str, database: Database
) -> None:
    survey_id = await published(admin)
    body = {"customer_id": customer_id, "channel": "shop", "answers": {"delivery": 5}}
    assert (await admin.post(f"/v1/surveys/{survey_id}/responses", json=body)).status_code == 201
    await said(admin, customer_id, kind="suggestion")
    assert (await admin.delete(f"/v1/customers/{customer_id}")).status_code == 204
    async with database.connection() as connection:
        for table in ("feedback", "survey_response"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
