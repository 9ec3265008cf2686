"""What an explanation says of the days ahead comes true, and what it says of the past was so."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from random import Random
from typing import Any

import httpx
import pytest

from app.classification.definitions import RulesDocument, SegmentDocument
from app.classification.explanation.trees import holds
from app.core.db import Database
from tests.classification.documents import PRESETS, document
from tests.classification.explaining import KINDS, add_early, told
from tests.classification.population import NOON, Visit, classes, recalculate
from tests.classification.test_sweeping import published_besides, sweep_who_is_due

RunJobs = Callable[[], Awaitable[None]]
TODAY = NOON.date()
EVERY = [*PRESETS, *KINDS]


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(TODAY)


async def a_population(database: Database, customers: int) -> list[str]:
    random = Random(3)
    made = []
    for n in range(customers):
        visits: list[Visit] = [
            (random.randrange(400), f"{random.randrange(1, 900)}.50") for _ in range(random.randrange(6))
        ]
        made.append(await add_early(database, f"c-{n}", visits, region=random.choice(["CN-31", "CN-44"])))
    return made


def stands(explained: Any, day: date) -> str | None:
    """The class that the outlook promises for a day."""
    ahead = [each["class"] for each in explained["outlook"] if date.fromisoformat(each["on"]) <= day]
    found: str | None = ahead[-1] if ahead else explained["class"]
    return found


async def test_the_days_ahead_come_as_they_were_told(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Callable[[date], None]
) -> None:
    customers = await a_population(database, 12)
    await published_besides(database, **KINDS)
    await recalculate(admin, run_jobs, refit=True)
    explained = {(each, key): await told(admin, each, key) for each in customers for key in EVERY}
    turns = sorted({date.fromisoformat(each["on"]) for one in explained.values() for each in one["outlook"]})
    assert len(turns) > 30
    assert any(each["stands_on"] != each["on"] for one in explained.values() for each in one["next"] if each["on"])
    days = sorted({day - timedelta(days=before) for day in turns for before in (0, 1)} - {TODAY})
    for day in days:
        today(day)
        await sweep_who_is_due(database)
        for customer in customers:
            there = await classes(admin, customer)
            for key in EVERY:
                assert there.get(key) == stands(explained[customer, key], day), (key, day, explained[customer, key])


async def test_a_condition_turns_on_its_day_and_not_before(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Callable[[date], None]
) -> None:
    customers = await a_population(database, 4)
    await published_besides(database, **KINDS)
    await recalculate(admin, run_jobs, refit=True)
    now = {(each, key): (await told(admin, each, key))["conditions"] for each in customers for key in EVERY}
    clocked = [
        (*place, n, each) for place, conditions in now.items() for n, each in enumerate(conditions) if each["turns_on"]
    ]
    assert len(clocked) > 40
    assert all("clock" in each["freshness"] for *_, each in clocked)
    days = {date.fromisoformat(each["turns_on"]) - timedelta(days=back) for *_, each in clocked for back in (0, 1)}
    for day in sorted(days - {TODAY}):
        today(day)
        await sweep_who_is_due(database)
        for customer, key, n, each in clocked:
            if (on := date.fromisoformat(each["turns_on"])) - day in (timedelta(0), timedelta(days=1)):
                later = (await told(admin, customer, key))["conditions"][n]
                assert later["met"] is (each["met"] != (day == on)), (key, day, each)


async def test_what_is_met_makes_the_class(admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs) -> None:
    customers = await a_population(database, 25)
    await published_besides(database, **KINDS)
    await recalculate(admin, run_jobs, refit=True)
    for customer in customers:
        there = await classes(admin, customer)
        for key in EVERY:
            explained = await told(admin, customer, key)
            assert explained["decided"] == explained["class"] == there.get(key), key
            asked = document(KINDS[key]) if key in KINDS else None
            met = {each["pointer"]: each["met"] for each in explained["conditions"]}
            if isinstance(asked, RulesDocument):
                held = [rule.name for n, rule in enumerate(asked.rules) if holds(rule.when, f"/rules/{n}/when", met)]
                assert [*held, asked.default][0] == explained["decided"]
            elif isinstance(asked, SegmentDocument):
                assert holds(asked.when, "/when", met) is (explained["decided"] is not None)


async def test_a_past_instant_is_judged_by_its_facts_and_what_was_in_force(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Callable[[date], None]
) -> None:
    customer = await add_early(database, "c", [(20, "600"), (200, "300")])
    await published_besides(database, spending=KINDS["spending"])
    await recalculate(admin, run_jobs, refit=True)
    first = await told(admin, customer, "abc")
    today(TODAY + timedelta(days=60))
    body = {"occurred_at": (NOON + timedelta(days=50)).isoformat(), "amount": "5000"}
    assert (await admin.post(f"/v1/customers/{customer}/purchases", json=body)).status_code == 201
    await recalculate(admin, run_jobs, refit=True)
    now = await told(admin, customer, "spending")
    assert (now["class"], now["inputs"][0]["value"]) == ("gold", "5900")
    then = await told(admin, customer, "spending", as_of=(NOON + timedelta(days=40)).isoformat())
    assert (then["class"], then["decided"], then["inputs"][0]["value"]) == ("silver", "silver", "900")
    past = await told(admin, customer, "abc", as_of=(NOON + timedelta(days=40)).isoformat())
    assert (past["breakpoints"], past["in_force"]) == (first["breakpoints"], True)
    assert (await told(admin, customer, "abc"))["breakpoints"] != first["breakpoints"]
    before = await told(admin, customer, "spending", as_of="2020-05-01T00:00:00Z")
    assert (before["class"], before["decided"], before["inputs"][0]["value"]) == (None, "bronze", "300")
