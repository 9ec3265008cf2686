"""What interactions come to: kept true by each way in which they are recorded, and by time."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.classification.population import NOON, classes, recalculate
from tests.classification.test_following import new_customer
from tests.classification.test_sweeping import published_besides, sweep_who_is_due

RunJobs = Callable[[], Awaitable[None]]
TODAY = NOON.date()
OF_INTERACTIONS = ("interactions_90d", "last_interaction_at", "product_share", "service_share")
ATTENTION = {
    "kind": "rules",
    "rules": [{"class": "close", "when": {"metric": "interactions_90d", "op": "gte", "value": "2"}}],
    "default": "distant",
}


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(TODAY)


async def measured(admin: httpx.AsyncClient, customer: str) -> dict[str, Any]:
    items = (await admin.get(f"/v1/customers/{customer}/metrics")).json()["items"]
    return {each["name"]: each["value"] for each in items if each["name"] in OF_INTERACTIONS}


def spoken(days_ago: int, **said: Any) -> dict[str, Any]:
    return {"kind": "call", "occurred_at": (NOON - timedelta(days=days_ago)).isoformat(), **said}


async def record(admin: httpx.AsyncClient, customer: str, days_ago: int, **said: Any) -> str:
    answer = await admin.post(f"/v1/customers/{customer}/interactions", json=spoken(days_ago, **said))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_nobody_spoken_with_has_no_shares_and_no_last_time(admin: httpx.AsyncClient) -> None:
    customer = await new_customer(admin, "silent")
    assert await measured(admin, customer) == {
        "interactions_90d": "0",
        "last_interaction_at": None,
        "product_share": None,
        "service_share": None,
    }


async def test_metrics_follow_what_is_recorded_and_corrected(admin: httpx.AsyncClient) -> None:
    customer = await new_customer(admin, "spoken-with")
    for days_ago, matter in ((3, "service"), (91, "product"), (200, None)):
        await record(admin, customer, days_ago, matter=matter)
    last = await record(admin, customer, 1, matter="other")
    assert await measured(admin, customer) == {
        "interactions_90d": "2",
        "last_interaction_at": (NOON - timedelta(days=1)).isoformat(),
        "product_share": "0.25",
        "service_share": "0.25",
    }
    body = {"matter": "service", "occurred_at": (NOON - timedelta(days=100)).isoformat()}
    path = f"/v1/customers/{customer}/interactions/{last}"
    assert (await admin.patch(path, json=body)).status_code == 200
    assert await measured(admin, customer) == {
        "interactions_90d": "1",
        "last_interaction_at": (NOON - timedelta(days=3)).isoformat(),
        "product_share": "0.25",
        "service_share": "0.5",
    }


async def test_classes_follow_in_the_same_request(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    customer = await new_customer(admin, "needs")
    await recalculate(admin, run_jobs)
    assert (await classes(admin, customer))["need"] == "unknown"
    told = await record(admin, customer, 0, matter="service")
    assert (await classes(admin, customer))["need"] == "service"
    await admin.patch(f"/v1/customers/{customer}/interactions/{told}", json={"matter": "product"})
    assert (await classes(admin, customer))["need"] == "product"
    history = (await admin.get(f"/v1/customers/{customer}/classes/need/history")).json()["items"]
    assert [(each["to_class"], each["cause"]) for each in history[:2]] == [
        ("product", "correction"),
        ("service", "event"),
    ]


async def test_many_at_once_are_measured_by_the_next_sweep(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    ref = "of-many"
    customer = await new_customer(admin, ref)
    rows = [{**spoken(n, matter="service"), "customer_id": customer} for n in range(3)]
    assert (await admin.post("/v1/interactions/batch", json={"interactions": rows})).json()["recorded"] == 3
    await sweep_who_is_due(database)
    await run_jobs()
    assert (await measured(admin, customer))["interactions_90d"] == "3"
    assert (await classes(admin, customer))["need"] == "service"

    file = f"customer_ref,reference,kind,occurred_at,matter\n{ref},R-1,call,{NOON.isoformat()},product\n"
    form = {"kind": "interactions"}
    await admin.post("/v1/imports", files={"file": ("i.csv", file)}, data=form)
    await run_jobs()
    assert (await measured(admin, customer))["interactions_90d"] == "4"
    assert (await classes(admin, customer))["need"] == "mixed"


@pytest.mark.parametrize(("ages", "turns_in"), [((0, 0), 90), ((89, 3), 1), ((10, 20, 30), 70)])
async def test_a_window_that_loses_an_interaction_changes_the_class_on_that_day(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    today: Callable[[date], None],
    ages: tuple[int, ...],
    turns_in: int,
) -> None:
    await published_besides(database, attention=ATTENTION)
    customer = await new_customer(admin, "window")
    for age in ages:
        await record(admin, customer, age)
    explained = (await admin.get(f"/v1/customers/{customer}/classes/attention/explanation")).json()
    day = TODAY + timedelta(days=turns_in)
    assert [(each["on"], each["class"]) for each in explained["outlook"]] == [(day.isoformat(), "distant")]
    assert explained["conditions"][0]["turns_on"] == day.isoformat()
    assert explained["conditions"][0]["sentence"].endswith(f"Turns on {day} if nothing changes.")
    for passed, expected in ((turns_in - 1, "close"), (turns_in, "distant")):
        today(TODAY + timedelta(days=passed))
        await sweep_who_is_due(database)
        assert (await classes(admin, customer))["attention"] == expected
    assert (await recalculate(admin, run_jobs))["changed"] == 0


async def test_a_purchase_leaves_what_interactions_come_to(admin: httpx.AsyncClient) -> None:
    customer = await new_customer(admin, "both")
    await record(admin, customer, 5, matter="service")
    before = await measured(admin, customer)
    body = {"occurred_at": NOON.isoformat(), "amount": "10"}
    assert (await admin.post(f"/v1/customers/{customer}/purchases", json=body)).json()["classes"]["need"] == "mixed"
    assert await measured(admin, customer) == before


async def test_customers_are_found_by_what_interactions_come_to(admin: httpx.AsyncClient) -> None:
    often, seldom = await new_customer(admin, "often"), await new_customer(admin, "seldom")
    for customer, times in ((often, 3), (seldom, 1)):
        for n in range(times):
            await record(admin, customer, n)
    where = {"metric": "interactions_90d", "op": "gte", "value": "2"}
    found = await admin.post("/v1/customers/search", json={"where": where})
    assert [each["id"] for each in found.json()["items"]] == [often]
