"""Returning to an earlier version undoes what came after it; a publication moves classes at once only when asked to."""

from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.classification import schemes
from tests.classification.moving import KEY, LAST_YEAR, LEAVES, TODAY, customer_with, instant, put, stands
from tests.classification.schemes import RunJobs, announced, changes, on_day, spending
from tests.classification.versions import draft, publish
from tests.customers.customers import pointers

HELD: dict[str, Any] = {"downgrade": {"grace_days": 90}, "upgrade": "next_year", "minimum_stay_days": 30}
READER = {
    "kind": "rules",
    "rules": [{"class": "yes", "when": {"class": KEY, "op": "eq", "value": "gold"}}],
    "default": "no",
    "movement": {"downgrade": {"grace_days": 90}},
}


@pytest.fixture(autouse=True)
def _today(today: Callable[[date], None]) -> None:
    today(TODAY)


def wrong(**movement: Any) -> dict[str, Any]:
    """Somebody has left two zeros away: who bought for ten is gold."""
    document = spending(**movement)
    for rule in document["rules"]:
        rule["when"]["value"] = rule["when"]["value"][:-2]
    return document


async def test_a_return_takes_back_at_once_what_a_mistaken_version_gave(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    await schemes.publish(database, KEY, spending(**HELD))
    await schemes.publish(database, "reader", READER)
    customer = await customer_with(admin)
    other = await customer_with(admin, (instant(TODAY), "120"))
    held = await customer_with(admin, (instant(TODAY), "130"))
    await put(admin, held, "silver", date(2021, 1, 1))
    before = {each: await stands(admin, each) for each in (customer, held)}
    await draft(admin, KEY, wrong())
    await publish(admin, run_jobs, KEY, 2)
    assert (await stands(admin, other))[0] == "gold"
    assert (await schemes.standing(admin, other, "reader"))["class"] == "yes"
    ended = await publish(admin, run_jobs, KEY, 1)
    assert ended["movement"] == "at_once"
    assert await stands(admin, other) == ("bronze", None)
    assert {each: await stands(admin, each) for each in (customer, held)} == before
    assert await changes(admin, other, KEY) == [
        (None, "basic", "event"),
        ("basic", "gold", "publish"),
        ("gold", "bronze", "publish"),
    ]
    assert (await schemes.standing(admin, other, "reader"))["class"] == "no"
    assert (await schemes.standing(admin, other, "reader"))["pending"] is None


async def test_a_return_takes_no_grace_from_who_had_the_class_before(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Callable[[date], None]
) -> None:
    await schemes.publish(database, KEY, spending(downgrade={"grace_days": 30}))
    customer = await customer_with(admin, (LAST_YEAR, "600"))
    await on_day(database, run_jobs, today, LEAVES)
    assert await stands(admin, customer) == ("silver", ("basic", "2020-08-08"))
    await draft(admin, KEY, {**spending(downgrade={"grace_days": 30}), "default": "none"})
    await publish(admin, run_jobs, KEY, 2)
    await publish(admin, run_jobs, KEY, 1)
    assert await stands(admin, customer) == ("silver", ("basic", "2020-08-08"))


async def test_a_return_can_be_asked_to_move_classes_as_documented(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    await schemes.publish(database, KEY, spending(downgrade={"grace_days": 30}))
    customer = await customer_with(admin, (instant(TODAY), "120"))
    await draft(admin, KEY, wrong())
    await publish(admin, run_jobs, KEY, 2)
    ended = await publish(admin, run_jobs, KEY, 1, movement="as_documented")
    assert ended["movement"] == "as_documented"
    assert await stands(admin, customer) == ("gold", ("bronze", "2020-07-30"))


@pytest.mark.parametrize(
    ("asked", "stays"),
    [({}, ("silver", ("basic", "2020-08-08"))), ({"movement": "at_once"}, ("basic", None))],
)
async def test_a_new_version_passes_over_movement_only_when_asked_to(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    today: Callable[[date], None],
    asked: dict[str, Any],
    stays: Any,
) -> None:
    await schemes.publish(database, KEY, spending(downgrade={"grace_days": 30}))
    customer = await customer_with(admin, (LAST_YEAR, "600"))
    await on_day(database, run_jobs, today, LEAVES)
    strict = spending(downgrade={"grace_days": 30})
    strict["rules"][0]["when"]["value"] = "2000"
    await draft(admin, KEY, strict)
    await publish(admin, run_jobs, KEY, 2, **asked)
    assert await stands(admin, customer) == stays


async def test_how_a_publication_moves_is_one_of_two_words(admin: httpx.AsyncClient, database: Database) -> None:
    await schemes.publish(database, KEY, spending())
    await draft(admin, KEY, wrong())
    answer = await admin.post(f"/v1/schemes/{KEY}/versions/2/publish", json={"movement": "slowly"})
    assert pointers(answer) == ["/body/movement"]
    assert await announced(database, "nobody", KEY, "scheme.published") == []
