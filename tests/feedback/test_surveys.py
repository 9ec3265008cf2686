"""Surveys over the API: drafts change, what is published stays, answers are checked and become feedback."""

from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from app.core.checks import findings
from app.core.db import Database
from app.feedback.checks import CHECKS
from tests.conftest import MakeUser
from tests.customers.customers import create, pointers
from tests.feedback.asking import DOCUMENT, QUESTIONS, draft, published


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(date(2020, 6, 30))


@pytest.fixture
async def customer_id(admin: httpx.AsyncClient) -> str:
    return str((await create(admin))["id"])


async def answer(client: httpx.AsyncClient, survey_id: str, customer_id: str, **answers: Any) -> httpx.Response:
    body = {"customer_id": customer_id, "channel": "phone", "answers": {"delivery": 4, **answers}}
    return await client.post(f"/v1/surveys/{survey_id}/responses", json=body)


async def test_a_draft_changes_and_a_published_version_never_does(admin: httpx.AsyncClient) -> None:
    survey_id = await draft(admin)
    path = f"/v1/surveys/{survey_id}/versions/1"
    first = await admin.get(path)
    assert (first.json()["status"], first.json()["published_at"], first.headers["etag"]) == ("draft", None, '"1"')
    other = {**DOCUMENT, "title": {"en": "Another"}}
    changed = await admin.put(path, json={"document": other}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["document"]["title"]["en"]) == (200, "Another")
    stale = await admin.put(path, json={"document": DOCUMENT}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert (await admin.post(f"{path}/publish", headers={"If-Match": '"1"'})).status_code == 412
    public = await admin.post(f"{path}/publish", headers={"If-Match": '"2"'})
    assert (public.status_code, public.json()["status"]) == (200, "published")
    for refused in (await admin.put(path, json={"document": DOCUMENT}), await admin.post(f"{path}/publish")):
        assert refused.status_code == 409
        assert refused.json()["type"].endswith("survey-version-published")
    assert (await admin.get(path)).json() == public.json()


async def test_the_version_published_last_is_asked(admin: httpx.AsyncClient, customer_id: str) -> None:
    survey_id = await published(admin)
    shorter = {"title": {"en": "Shorter"}, "questions": QUESTIONS[:1]}
    added = await admin.post(f"/v1/surveys/{survey_id}/versions", json={"document": shorter})
    assert (added.status_code, added.json()["number"]) == (201, 2)
    assert (await answer(admin, survey_id, customer_id, why="x")).json()["survey_version"] == 1
    assert (await admin.post(f"/v1/surveys/{survey_id}/versions/2/publish")).status_code == 200
    refused = await answer(admin, survey_id, customer_id, why="x")
    assert pointers(refused) == ["/body/answers/why"]
    assert (await answer(admin, survey_id, customer_id)).json()["survey_version"] == 2
    listed = (await admin.get(f"/v1/surveys/{survey_id}/versions", params={"limit": 1})).json()
    assert [each["number"] for each in listed["items"]] == [2]
    rest = await admin.get(f"/v1/surveys/{survey_id}/versions", params={"limit": 1, "cursor": listed["next_cursor"]})
    assert [each["number"] for each in rest.json()["items"]] == [1]


async def test_only_an_open_published_survey_takes_answers(admin: httpx.AsyncClient, customer_id: str) -> None:
    survey_id = await draft(admin)
    refused = await answer(admin, survey_id, customer_id)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:strata:problem:survey-not-open")
    await admin.post(f"/v1/surveys/{survey_id}/versions/1/publish")
    assert (await answer(admin, survey_id, customer_id)).status_code == 201
    read = await admin.get(f"/v1/surveys/{survey_id}")
    closed = await admin.patch(
        f"/v1/surveys/{survey_id}", json={"status": "closed"}, headers={"If-Match": read.headers["etag"]}
    )
    assert (closed.status_code, closed.json()["status"]) == (200, "closed")
    assert (await answer(admin, survey_id, customer_id)).status_code == 409
    stale = await admin.patch(f"/v1/surveys/{survey_id}", json={"name": "x"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412


WRONG_ANSWERS: list[dict[str, Any]] = [
    {"delivery": 0},
    {"delivery": 6},
    {"delivery": "good"},
    {"delivery": None},
    {"recommend": 11},
    {"effort": 0},
    {"effort": 8},
    {"tea": "white"},
    {"tea": ["green"]},
    {"shops": ["north", "north"]},
    {"shops": "north"},
    {"why": 3},
    {"colour": "red"},
]


@pytest.mark.parametrize("wrong", WRONG_ANSWERS)
async def test_an_answer_that_does_not_fit_is_named(
    admin: httpx.AsyncClient, customer_id: str, wrong: dict[str, Any]
) -> None:
    survey_id = await published(admin)
    refused = await answer(admin, survey_id, customer_id, **wrong)
    assert refused.status_code == 422
    assert pointers(refused) == [f"/body/answers/{key}" for key in wrong]
    assert (await admin.get("/v1/feedback")).json()["items"] == []


async def test_answers_are_shown_as_given_and_each_is_feedback(
    admin: httpx.AsyncClient, customer_id: str, database: Database
) -> None:
    survey_id = await published(admin)
    given = {"recommend": 10, "effort": 1, "tea": "green", "shops": ["south", "north"], "why": " Early. "}
    made = await answer(admin, survey_id, customer_id, **given)
    kept = {**given, "delivery": 4, "tea": ["green"], "why": "Early."}
    assert (made.status_code, made.json()["answers"]) == (201, kept)
    assert (await admin.get(f"/v1/surveys/{survey_id}/responses")).json() == {
        "items": [made.json()],
        "next_cursor": None,
    }
    facts = {each["question"]: each for each in (await admin.get("/v1/feedback")).json()["items"]}
    assert set(facts) == set(kept)
    assert {each["response_id"] for each in facts.values()} == {made.json()["id"]}
    assert {key: each["topic"] for key, each in facts.items()} == dict.fromkeys(kept, "orders") | {
        "delivery": "delivery"
    }
    assert [(facts[key]["measure"], facts[key]["score"]) for key in ("delivery", "recommend", "effort", "why")] == [
        ("csat", 4),
        ("nps", 10),
        ("ces", 1),
        (None, None),
    ]
    async with database.connection() as connection:
        names = [row[0] for row in await connection.fetch("SELECT name FROM outbox_event ORDER BY id")]
    assert names.count("feedback.received") == 6
    assert names.count("survey.answered") == names.count("survey.published") == names.count("feedback.scored_low") == 1
    assert not [finding async for finding in findings(database, CHECKS) if finding.violations]


WRONG_DOCUMENTS: list[dict[str, Any]] = [
    {**DOCUMENT, "questions": []},
    {**DOCUMENT, "questions": [QUESTIONS[0], QUESTIONS[0]]},
    {**DOCUMENT, "questions": [{**QUESTIONS[0], "options": QUESTIONS[3]["options"]}]},
    {**DOCUMENT, "questions": [{**QUESTIONS[3], "options": []}]},
    {**DOCUMENT, "questions": [{**QUESTIONS[3], "options": [QUESTIONS[3]["options"][0]] * 2}]},
    {**DOCUMENT, "title": {"zh": "只有中文"}},
]


@pytest.mark.parametrize("document", WRONG_DOCUMENTS)
async def test_a_document_that_cannot_be_asked_is_refused(admin: httpx.AsyncClient, document: dict[str, Any]) -> None:
    refused = await admin.post("/v1/surveys", json={"name": "x", "document": document})
    assert refused.status_code == 422
    assert pointers(refused)[0].startswith("/body/document")


async def test_surveys_are_changed_by_whoever_may_for_the_whole_company(make_user: MakeUser) -> None:
    unit = await make_user({"surveys:write": "unit", "surveys:read": "all"})
    refused = await unit.post("/v1/surveys", json={"name": "x", "document": DOCUMENT})
    assert refused.status_code == 403
    assert (await unit.get("/v1/surveys")).json()["items"] == []


async def test_responses_reach_as_far_as_the_permission(
    admin: httpx.AsyncClient, make_user: MakeUser, customer_id: str
) -> None:
    survey_id = await published(admin)
    mine = await make_user({"feedback:write": "own", "feedback:read": "own", "surveys:read": "all"})
    refused = await answer(mine, survey_id, customer_id)
    assert pointers(refused) == ["/body/customer_id"]
    own = (await create(admin, owner_id=mine.headers["X-Test-User"]))["id"]
    assert (await answer(mine, survey_id, own)).status_code == 201
    assert (await answer(admin, survey_id, customer_id)).status_code == 201
    path = f"/v1/surveys/{survey_id}/responses"
    assert [each["customer_id"] for each in (await mine.get(path)).json()["items"]] == [own]
    assert len((await admin.get(path)).json()["items"]) == 2
