"""What feedback comes to: the latest answers and the complaints of late, kept true as they come and by time."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.classification.population import NOON, classes, recalculate
from tests.classification.test_following import new_customer
from tests.classification.test_sweeping import published_besides, sweep_who_is_due
from tests.conftest import RunJobs
from tests.feedback.asking import published, said, scored

TODAY = NOON.date()
CARE = {
    "kind": "rules",
    "rules": [{"class": "upset", "when": {"metric": "complaints_90d", "op": "gte", "value": "2"}}],
    "default": "calm",
}


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(TODAY)


def ago(days: int) -> str:
    return (NOON - timedelta(days=days)).isoformat()


async def measured(admin: httpx.AsyncClient, customer: str) -> tuple[Any, ...]:
    items = (await admin.get(f"/v1/customers/{customer}/metrics")).json()["items"]
    values = {each["name"]: each["value"] for each in items}
    return values["csat"], values["nps_score"], values["complaints_90d"]


async def test_metrics_are_the_latest_answers_and_the_complaints_of_90_days(
    admin: httpx.AsyncClient, run_jobs: RunJobs
) -> None:
    customer = await new_customer(admin, "outspoken")
    assert await measured(admin, customer) == (None, None, "0")
    await scored(admin, customer, "csat", 4, occurred_at=ago(3))
    await scored(admin, customer, "csat", 2, occurred_at=ago(9))  # came later, was said earlier
    await scored(admin, customer, "nps", 0, occurred_at=ago(3))
    await scored(admin, customer, "ces", 7, occurred_at=ago(1))
    for days in (1, 89, 90, 91):
        await said(admin, customer, kind="complaint", occurred_at=ago(days))
    assert await measured(admin, customer) == ("4", "0", "2")
    body = {"customer_id": customer, "channel": "phone", "answers": {"delivery": 5, "recommend": 8}}
    survey_id = await published(admin)
    assert (await admin.post(f"/v1/surveys/{survey_id}/responses", json=body)).status_code == 201
    inline = await measured(admin, customer)
    assert inline == ("5", "8", "2")
    await recalculate(admin, run_jobs)
    assert await measured(admin, customer) == inline


async def test_classes_follow_a_complaint_at_once_and_its_window_on_the_day(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Callable[[date], None]
) -> None:
    await published_besides(database, care=CARE)
    customer = await new_customer(admin, "complaining")
    for days in (10, 3):
        await said(admin, customer, kind="complaint", occurred_at=ago(days))
    assert (await classes(admin, customer))["care"] == "upset"
    explained = (await admin.get(f"/v1/customers/{customer}/classes/care/explanation")).json()
    assert [(each["on"], each["class"]) for each in explained["outlook"]] == [
        ((TODAY + timedelta(days=80)).isoformat(), "calm")
    ]
    for passed, expected in ((79, "upset"), (80, "calm")):
        today(TODAY + timedelta(days=passed))
        await sweep_who_is_due(database)
        assert (await classes(admin, customer))["care"] == expected
    assert (await recalculate(admin, run_jobs))["changed"] == 0


async def test_a_window_that_no_scheme_reads_loses_its_complaints_on_the_day(
    admin: httpx.AsyncClient, database: Database, today: Callable[[date], None]
) -> None:
    customer = await new_customer(admin, "complaining")
    await said(admin, customer, kind="complaint", occurred_at=ago(10))
    for passed, expected in ((79, "1"), (80, "0")):
        today(TODAY + timedelta(days=passed))
        await sweep_who_is_due(database)
        assert (await measured(admin, customer))[2] == expected


MOOD = {
    "kind": "rules",
    "rules": [
        {"class": "upset", "when": {"metric": "nps_score", "op": "lte", "value": "6"}},
        {"class": "pleased", "when": {"metric": "csat", "op": "gte", "value": "4"}},
    ],
    "default": "unheard",
}


async def test_all_scores_of_a_filled_in_survey_are_one_reason_to_decide_again(
    admin: httpx.AsyncClient, database: Database
) -> None:
    await published_besides(database, mood=MOOD)
    customer = await new_customer(admin, "answering")
    survey_id = await published(admin)
    revision = "SELECT revision FROM customer_metrics WHERE customer_id = $1"
    async with database.connection() as connection:
        before = await connection.fetchval(revision, customer)
    for answers in ({"delivery": 5, "recommend": 0, "effort": 1}, {"delivery": 1, "effort": 7}):
        body = {"customer_id": customer, "channel": "phone", "answers": answers}
        assert (await admin.post(f"/v1/surveys/{survey_id}/responses", json=body)).status_code == 201
        async with database.connection() as connection:
            after = await connection.fetchval(revision, customer)
        assert (after - before, await measured(admin, customer)) == (1, (str(answers["delivery"]), "0", "0"))
        before = after
    history = (await admin.get(f"/v1/customers/{customer}/classes/mood/history")).json()["items"]
    assert [each["to_class"] for each in history] == ["upset", "unheard"], "not pleased for a moment in between"


async def test_a_purchase_leaves_what_feedback_comes_to(admin: httpx.AsyncClient) -> None:
    customer = await new_customer(admin, "both")
    await scored(admin, customer, "nps", 9, occurred_at=ago(1))
    await said(admin, customer, kind="complaint", occurred_at=ago(1))
    body = {"occurred_at": NOON.isoformat(), "amount": "10"}
    assert (await admin.post(f"/v1/customers/{customer}/purchases", json=body)).status_code == 201
    assert await measured(admin, customer) == (None, "9", "1")
