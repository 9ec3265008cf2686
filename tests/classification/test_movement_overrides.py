"""Overrides and movement: what somebody decided stands above grace, and ends on its day."""

from datetime import date
from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.classification.moving import (
    CALLED_OFF,
    KEY,
    LAST_YEAR,
    LEAVES,
    TODAY,
    Today,
    Until,
    customer_with,
    instant,
    put,
    stands,
)
from tests.classification.schemes import announced, changes, publish, spending, standing


@pytest.fixture(autouse=True)
def _today(today: Today) -> None:
    today(TODAY)


async def test_an_override_stands_above_grace_and_gives_way_to_the_decision(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending(downgrade={"grace_days": 30}))
    customer = await customer_with(admin, (LAST_YEAR, "600"), ("2020-06-20T00:00:00Z", "200"))
    await until(LEAVES)
    await put(admin, customer, "gold", date(2020, 9, 1))
    assert await stands(admin, customer) == ("gold", None)
    await until(date(2020, 8, 8))  # when the grace would have ended
    assert await stands(admin, customer) == ("gold", None)
    await until(date(2020, 9, 1))
    assert await stands(admin, customer) == ("bronze", None)
    assert await changes(admin, customer, KEY) == [
        (None, "basic", "event"),
        ("basic", "silver", "correction"),
        ("silver", "gold", "override"),
        ("gold", "bronze", "clock"),
    ]


async def test_an_override_that_keeps_the_class_calls_a_pending_change_off(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending(downgrade={"grace_days": 30}))
    customer = await customer_with(admin, (LAST_YEAR, "600"))
    await until(LEAVES)
    await put(admin, customer, "silver", date(2020, 12, 31))
    assert await stands(admin, customer) == ("silver", None)
    assert len(await announced(database, customer, KEY, CALLED_OFF)) == 1
    await until(date(2020, 8, 8))
    assert await stands(admin, customer) == ("silver", None)
    found = await standing(admin, customer, KEY)
    assert found["override"]["class"] == "silver"


async def test_an_override_ends_on_its_day_not_before(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending())
    customer = await customer_with(admin, (instant(TODAY), "200"))
    await put(admin, customer, "gold", date(2020, 7, 5))
    found: list[Any] = []
    for day in (4, 5, 6):
        await until(date(2020, 7, day))
        found.append((await stands(admin, customer))[0])
    assert found == ["gold", "bronze", "bronze"]
