"""What customers see and say of themselves, and that it is of nobody else."""

import io
import json
import uuid
import zipfile
from typing import Any

import httpx
import pytest

from app.core.db import Database
from app.self_service import saying
from tests.api_operations import OPERATIONS
from tests.conftest import ActAs
from tests.feedback import asking
from tests.self_service.letting_in import Customer, let_in, merged, purchased, record
from tests.webhooks.horizon import others_have_ended

EMAIL, PHONE = "mei@example.com", "+8613812341234"


@pytest.fixture
async def me(admin: httpx.AsyncClient, act_as: ActAs) -> Customer:
    identities = [{"kind": "external", "value": "C-1001"}]
    return await let_in(admin, act_as, email=EMAIL, phone=PHONE, identities=identities, language="en")


async def audited(database: Database, action: str) -> list[Any]:
    async with database.connection() as connection:
        rows: list[Any] = await connection.fetch("SELECT * FROM audit_event WHERE action = $1 ORDER BY id", action)
    return rows


# ---- the profile -----------------------------------------------------------------------------------------------------


async def test_my_profile_is_shown_unmasked_and_that_is_written_down(
    me: Customer, app: Any, database: Database
) -> None:
    answer = await me.client.get("/v1/my/profile")
    mine = answer.json()
    assert (mine["email"], mine["phone"]) == (EMAIL, PHONE)
    assert mine["identities"] == [{"kind": "external", "value": "C-1001"}]
    assert answer.headers["etag"] == f'"{mine["version"]}"'
    assert not {"tags", "owner_id", "unit_id", "custom", "source"} & set(mine), "what is internal is shown"
    await app.state.readings.flush()
    read = await audited(database, "customer.read")
    assert [(str(row["actor_id"]), row["resource_id"]) for row in read] == [(me.user_id, me.id)]


async def test_i_change_what_is_mine_to_say_and_it_is_audited_as_mine(
    me: Customer, admin: httpx.AsyncClient, database: Database
) -> None:
    body = {"name": "Mei Chen-Li", "language": "zh", "region": "CN-31", "title": None}
    answer = await me.client.patch("/v1/my/profile", json=body, headers={"If-Match": '"1"'})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["name"], answer.headers["etag"]) == ("Mei Chen-Li", '"2"')
    assert (await admin.get(f"/v1/customers/{me.id}")).json()["language"] == "zh"
    stale = await me.client.patch("/v1/my/profile", json={"name": "x"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert [str(row["actor_id"]) for row in await audited(database, "customer.changed")] == [me.user_id]


@pytest.mark.parametrize(
    "field", ["owner_id", "unit_id", "tags", "custom", "company_id", "kind", "source", "id", "version"]
)
async def test_what_is_not_mine_to_say_is_refused(me: Customer, field: str) -> None:
    answer = await me.client.patch("/v1/my/profile", json={field: None})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/body/{field}"


# ---- classes ---------------------------------------------------------------------------------------------------------


async def test_i_see_my_class_of_what_is_shown_to_customers_and_what_is_missing_to_the_next(
    me: Customer, admin: httpx.AsyncClient
) -> None:
    await purchased(admin, me.id, "100", "2026-01-02T03:04:05Z")
    assert (await me.client.get("/v1/my/classes")).json()["items"] == []
    assert (await admin.put("/v1/shown-schemes/lifecycle")).status_code == 200
    [mine] = (await me.client.get("/v1/my/classes")).json()["items"]
    told = (await admin.get(f"/v1/customers/{me.id}/classes/lifecycle/explanation?language=en")).json()
    assert (mine["scheme"], mine["class"], mine["sentence"]) == ("lifecycle", told["class"], told["sentence"])
    upwards = [step for step in told["next"] if step["direction"] in ("up", "earlier_rule")]
    assert mine["next"] == upwards
    assert mine["next"][0]["needs"][0]["gap"]
    zh = await me.client.get("/v1/my/classes", headers={"Accept-Language": "zh-CN"})
    assert zh.headers["content-language"] == "zh"
    assert zh.json()["items"][0]["next"][0]["sentence"] != mine["next"][0]["sentence"]
    assert (await admin.delete("/v1/shown-schemes/lifecycle")).status_code == 204
    assert (await me.client.get("/v1/my/classes")).json()["items"] == []


async def test_who_was_never_measured_sees_that_there_is_no_class_yet(
    me: Customer, admin: httpx.AsyncClient, database: Database
) -> None:
    await admin.put("/v1/shown-schemes/tier")
    async with database.connection() as connection:
        for table in ("customer_metrics", "customer_class"):
            await connection.execute(f"DELETE FROM {table} WHERE customer_id = $1", uuid.UUID(me.id))
    [mine] = (await me.client.get("/v1/my/classes")).json()["items"]
    assert (mine["class"], mine["sentence"], mine["next"]) == (None, None, [])


async def test_which_schemes_are_shown_is_decided_by_who_may_publish(admin: httpx.AsyncClient, make_user: Any) -> None:
    assert (await admin.put("/v1/shown-schemes/nothing_like_it")).status_code == 404
    assert (await admin.delete("/v1/shown-schemes/tier")).status_code == 404
    first = await admin.put("/v1/shown-schemes/tier")
    assert (await admin.put("/v1/shown-schemes/tier")).json() == first.json()
    assert (await admin.get("/v1/shown-schemes")).json()["items"] == [first.json()]
    for scope, status in (("unit", 403), ("all", 200)):
        somebody = await make_user({"schemes:publish": scope})
        assert (await somebody.put("/v1/shown-schemes/abc")).status_code == status


# ---- surveys ---------------------------------------------------------------------------------------------------------


async def invited(admin: httpx.AsyncClient, customer_id: str, *, days: int = 30) -> dict[str, Any]:
    survey_id = await asking.published(admin)
    body = {"customer_ids": [customer_id], "channel": "email", "days": days}
    answer = await admin.post(f"/v1/surveys/{survey_id}/invitations", json=body)
    found: dict[str, Any] = answer.json()["items"][0]
    return found


ANSWERS = {"delivery": 2, "recommend": 9, "why": "It came late."}


async def test_i_answer_a_survey_here_once(me: Customer, admin: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    invitation = await invited(admin, me.id)
    [waiting] = (await me.client.get("/v1/my/surveys")).json()["items"]
    assert (waiting["id"], waiting["url"]) == (invitation["id"], invitation["url"])
    path = f"/v1/my/surveys/{waiting['id']}"
    asked = (await me.client.get(path)).json()["document"]
    assert [question["key"] for question in asked["questions"]] == [each["key"] for each in asking.QUESTIONS]
    wrong = await me.client.post(f"{path}/answers", json={"answers": {"delivery": 9, "other": "x"}})
    assert wrong.status_code == 422
    assert {each["pointer"] for each in wrong.json()["errors"]} == {"/body/answers/delivery", "/body/answers/other"}
    answered = await me.client.post(f"{path}/answers", json={"answers": ANSWERS})
    assert answered.status_code == 201, answered.text
    assert answered.json()["answers"] == ANSWERS
    again = await me.client.post(f"{path}/answers", json={"answers": ANSWERS})
    assert again.status_code == 404
    assert (await client.get(invitation["url"])).status_code == 409, "the link works still"
    assert (await me.client.get("/v1/my/surveys")).json()["items"] == []
    facts = (await admin.get(f"/v1/customers/{me.id}/feedback")).json()["items"]
    assert {(each["question"], each["channel"], each["written_by"]) for each in facts} == {
        (key, "email", f"user:{me.user_id}") for key in ANSWERS
    }


async def test_what_is_closed_expired_or_answered_by_link_waits_no_more(
    me: Customer, admin: httpx.AsyncClient, client: httpx.AsyncClient, database: Database
) -> None:
    closed, expired, answered = [await invited(admin, me.id) for _ in range(3)]
    await admin.patch(f"/v1/surveys/{closed['survey_id']}", json={"status": "closed"})
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE survey_invitation SET expires_at = now() WHERE id = $1", uuid.UUID(expired["id"])
        )
    form = {"delivery": "5"}
    assert (await client.post(answered["url"], data=form)).status_code == 200
    assert (await me.client.get("/v1/my/surveys")).json()["items"] == []
    for each in (closed, expired, answered):
        path = f"/v1/my/surveys/{each['id']}"
        assert (await me.client.get(path)).status_code == 404
        assert (await me.client.post(f"{path}/answers", json={"answers": ANSWERS})).status_code == 404


async def test_surveys_come_in_pages(me: Customer, admin: httpx.AsyncClient) -> None:
    made = [(await invited(admin, me.id))["id"] for _ in range(3)]
    first = (await me.client.get("/v1/my/surveys?limit=2")).json()
    rest = (await me.client.get("/v1/my/surveys", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [each["id"] for each in first["items"] + rest["items"]] == made[::-1]


# ---- suggestions, complaints, consents -------------------------------------------------------------------------------


async def test_a_complaint_is_feedback_by_self_service_and_told_as_any_other(
    me: Customer, admin: httpx.AsyncClient, database: Database
) -> None:
    body = {"kind": "complaint", "topic": "delivery", "text": "The second box came open."}
    key = {"Idempotency-Key": "complaint-1"}
    left = await me.client.post("/v1/my/feedback", json=body, headers=key)
    assert left.status_code == 201, left.text
    assert (await me.client.post("/v1/my/feedback", json=body, headers=key)).json() == left.json()
    await asking.said(admin, me.id, kind="suggestion", text="what a clerk wrote down")
    assert (await me.client.get("/v1/my/feedback")).json()["items"] == [left.json()]
    [fact] = (await admin.get(f"/v1/customers/{me.id}/feedback?kind=complaint")).json()["items"]
    assert (fact["channel"], fact["text"]) == ("self_service", body["text"])
    await others_have_ended(database)
    told = [each["type"] for each in (await admin.get("/v1/events?types=complaint.received")).json()["items"]]
    assert told == ["complaint.received"]
    for wrong in ({**body, "kind": "answer"}, {**body, "text": ""}, {**body, "channel": "phone"}):
        assert (await me.client.post("/v1/my/feedback", json=wrong)).status_code == 422


async def test_a_flood_of_complaints_is_stopped_by_the_minute_and_by_the_day(
    me: Customer, admin: httpx.AsyncClient, act_as: ActAs, setting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting(self_service_per_minute=3)
    body = {"kind": "suggestion", "text": "More tea."}
    statuses = [(await me.client.post("/v1/my/feedback", json=body)).status_code for _ in range(5)]
    assert statuses == [201, 201, 201, 429, 429]
    assert (await me.client.get("/v1/my/data")).status_code == 429
    assert (await me.client.get("/v1/my/profile")).status_code == 200
    another = await let_in(admin, act_as)
    monkeypatch.setattr(saying, "MOST_A_DAY", 1)
    assert (await another.client.post("/v1/my/feedback", json=body)).status_code == 201
    late = await another.client.post("/v1/my/feedback", json=body)
    assert (late.status_code, late.json()["type"]) == (429, "urn:strata:problem:enough-for-today")
    assert late.headers["retry-after"] == "3600"
    assert len((await another.client.get("/v1/my/feedback")).json()["items"]) == 1


async def test_i_give_and_withdraw_consents_and_see_which_stand(
    me: Customer, admin: httpx.AsyncClient, database: Database
) -> None:
    body = {"channel": "email", "purpose": "marketing"}
    for status in ("given", "withdrawn"):
        answer = await me.client.post("/v1/my/consents", json={**body, "status": status})
        assert answer.status_code == 201, answer.text
    [stands] = (await me.client.get("/v1/my/consents")).json()["items"]
    assert (stands["status"], stands["source"]) == ("withdrawn", "self-service")
    ever = (await me.client.get("/v1/my/consents/history")).json()["items"]
    assert [each["status"] for each in ever] == ["withdrawn", "given"]
    [seen] = (await admin.get(f"/v1/customers/{me.id}/consents")).json()["items"]
    assert (seen["status"], seen["recorded_by"]) == ("withdrawn", f"user:{me.user_id}")
    await others_have_ended(database)
    told = (await admin.get("/v1/events?types=consent.withdrawn")).json()["items"]
    assert [each["data"]["customer_id"] for each in told] == [me.id]


# ---- all of it -------------------------------------------------------------------------------------------------------


async def test_i_get_all_that_is_kept_of_me_and_nothing_of_anybody_else(
    me: Customer, admin: httpx.AsyncClient, database: Database
) -> None:
    other = await record(admin, name="Somebody else", email="else@example.com")
    await asking.said(admin, other, kind="complaint", text="not mine")
    await me.client.post("/v1/my/feedback", json={"kind": "suggestion", "text": "More tea."})
    answer = await me.client.get("/v1/my/data")
    assert answer.headers["content-type"] == "application/zip"
    files = zipfile.ZipFile(io.BytesIO(answer.content))
    assert json.loads(files.read("manifest.json"))["customer_id"] == me.id
    everything = b"".join(files.read(name) for name in files.namelist()).decode()
    assert EMAIL in everything
    assert "More tea." in everything
    assert other not in everything
    assert "not mine" not in everything
    taken = await audited(database, "customer.handed_over")
    assert [(str(row["actor_id"]), row["resource_id"]) for row in taken] == [(me.user_id, me.id)]


async def test_another_customers_ids_lead_nowhere(me: Customer, admin: httpx.AsyncClient, act_as: ActAs) -> None:
    other = await let_in(admin, act_as, email="else@example.com")
    invitation = await invited(admin, other.id)
    path = f"/v1/my/surveys/{invitation['id']}"
    assert (await me.client.get(path)).status_code == 404
    assert (await me.client.post(f"{path}/answers", json={"answers": ANSWERS})).status_code == 404
    assert (await other.client.get(path)).status_code == 200


MY = {name: each for name, each in OPERATIONS.items() if each.path.startswith("/v1/my/")}
OTHERS = [name for name, each in OPERATIONS.items() if name not in MY and not each.is_public]
OF_WHOEVER_IS_LOGGED_IN = {"read_me", "change_my_password", "list_my_sessions", "end_my_session", "log_out"}


async def test_of_everything_else_a_customer_may_do_nothing(me: Customer) -> None:
    refused = {}
    for name in sorted(set(OTHERS) - OF_WHOEVER_IS_LOGGED_IN):
        operation = OPERATIONS[name]
        path = operation.at(**{part: me.id if part.endswith("_id") else "1" for part in operation.path_names})
        body = operation.example if operation.media_type == "application/json" else None
        refused[name] = (await me.client.request(operation.method, path, json=body)).status_code
    assert {name: status for name, status in refused.items() if status != 403} == {}
    assert len(refused) > 100


async def test_after_a_merge_i_am_the_survivor_with_what_both_said(me: Customer, admin: httpx.AsyncClient) -> None:
    left = await me.client.post("/v1/my/feedback", json={"kind": "suggestion", "text": "More tea."})
    invitation = await invited(admin, me.id)
    survivor = await record(admin, name="Mei at the fair")
    await merged(admin, survivor, me.id)
    mine = (await me.client.get("/v1/my/profile")).json()
    assert (mine["id"], mine["email"]) == (survivor, EMAIL)
    assert [each["id"] for each in (await me.client.get("/v1/my/feedback")).json()["items"]] == [left.json()["id"]]
    answered = await me.client.post(f"/v1/my/surveys/{invitation['id']}/answers", json={"answers": ANSWERS})
    assert answered.status_code == 201, answered.text
