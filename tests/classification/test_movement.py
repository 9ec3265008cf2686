"""From what a document decides to the class that stands: grace, steps, periods, minimum stay, corrections, overrides.

Classes by what was spent in 365 days: gold from 1,000, silver from 500, bronze from 100, else basic. What was spent on
2019-07-10 at midnight counts for the last time on 2020-07-08.
"""

from datetime import date, datetime, timedelta

import httpx
import pytest

from app.core.db import Database
from tests.classification.moving import (
    CALLED_OFF,
    KEY,
    LAST_YEAR,
    LEAVES,
    PENDING,
    TODAY,
    Today,
    Until,
    buy,
    customer_with,
    instant,
    stands,
)
from tests.classification.schemes import announced, changes, publish, spending

UPGRADE_PENDING, UPGRADE_CALLED_OFF = "customer.upgrade_pending", "customer.upgrade_called_off"


@pytest.fixture(autouse=True)
def _today(today: Today) -> None:
    today(TODAY)


# ---- downgrades ------------------------------------------------------------------------------------------------------


async def test_a_downgrade_waits_exactly_its_grace(admin: httpx.AsyncClient, database: Database, until: Until) -> None:
    await publish(database, KEY, spending(downgrade={"grace_days": 30}))
    customer = await customer_with(admin, (LAST_YEAR, "600"), ("2020-06-20T00:00:00Z", "200"))
    await until(LEAVES - timedelta(days=1))
    assert await stands(admin, customer) == ("silver", None)
    await until(LEAVES)
    assert await stands(admin, customer) == ("silver", ("bronze", "2020-08-08"))
    reason = {"cause": "clock", "version": 1}
    told = {"before": "silver", "after": "bronze", "on": "2020-08-08", "reason": reason}
    told |= {"scheme": KEY, "customer_id": customer}
    assert await announced(database, customer, KEY, PENDING) == [told]
    for day in (LEAVES + timedelta(days=12), LEAVES + timedelta(days=29)):
        await until(day)
        assert await stands(admin, customer) == ("silver", ("bronze", "2020-08-08"))
    await until(LEAVES + timedelta(days=30))
    assert await stands(admin, customer) == ("bronze", None)
    assert (await changes(admin, customer, KEY))[-1] == ("silver", "bronze", "clock")
    assert len(await announced(database, customer, KEY, PENDING)) == 1
    assert await announced(database, customer, KEY, CALLED_OFF) == []


async def test_a_pending_change_is_reviewed_on_its_day(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending(downgrade={"grace_days": 30}))
    customer = await customer_with(admin, (LAST_YEAR, "600"), ("2020-06-20T00:00:00Z", "200"))

    async def review() -> datetime | None:
        async with database.connection() as connection:
            found: datetime | None = await connection.fetchval(
                "SELECT next_review_at FROM customer_metrics WHERE customer_id = $1", customer
            )
        return found

    assert await review() == datetime.fromisoformat(instant(LEAVES))
    await until(LEAVES)
    assert await review() == datetime.fromisoformat("2020-08-08T00:00:00Z")


async def test_a_pending_downgrade_is_called_off_when_the_customer_qualifies_again(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending(downgrade={"grace_days": 30}))
    customer = await customer_with(admin, (LAST_YEAR, "600"), ("2020-06-20T00:00:00Z", "200"))
    await until(LEAVES)
    assert await buy(admin, customer, instant(LEAVES), "300") == "silver"
    assert await stands(admin, customer) == ("silver", None)
    assert [each["after"] for each in await announced(database, customer, KEY, CALLED_OFF)] == ["bronze"]
    await until(LEAVES + timedelta(days=30))
    assert await stands(admin, customer) == ("silver", None)
    assert [change[1] for change in await changes(admin, customer, KEY)] == ["basic", "silver"]


async def test_a_second_grace_begins_anew(admin: httpx.AsyncClient, database: Database, until: Until) -> None:
    await publish(database, KEY, spending(downgrade={"grace_days": 10}))
    customer = await customer_with(admin, (LAST_YEAR, "600"), ("2019-07-15T00:00:00Z", "350"))
    await until(LEAVES)
    await buy(admin, customer, instant(LEAVES), "200")
    assert await stands(admin, customer) == ("silver", None)
    await until(date(2020, 7, 14))
    assert await stands(admin, customer) == ("silver", ("bronze", "2020-07-24"))
    assert [each["on"] for each in await announced(database, customer, KEY, PENDING)] == ["2020-07-19", "2020-07-24"]


async def test_getting_worse_within_grace_changes_where_it_leads_and_not_when(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending(downgrade={"grace_days": 30}))
    customer = await customer_with(admin, (LAST_YEAR, "600"), ("2019-07-20T00:00:00Z", "200"))
    await until(LEAVES)
    assert await stands(admin, customer) == ("silver", ("bronze", "2020-08-08"))
    await until(date(2020, 7, 19))
    assert await stands(admin, customer) == ("silver", ("basic", "2020-08-08"))
    await until(date(2020, 8, 8))
    assert await stands(admin, customer) == ("basic", None)


async def test_one_step_at_a_time_each_after_its_own_grace(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending(downgrade={"grace_days": 10, "one_step": True}))
    customer = await customer_with(admin, (LAST_YEAR, "1000"))
    await until(LEAVES)
    assert await stands(admin, customer) == ("gold", ("silver", "2020-07-19"))
    await until(date(2020, 7, 19))
    assert await stands(admin, customer) == ("silver", ("bronze", "2020-07-29"))
    await until(date(2020, 7, 28))
    assert (await stands(admin, customer))[0] == "silver"
    await until(date(2020, 7, 29))
    assert await stands(admin, customer) == ("bronze", ("basic", "2020-08-08"))
    await until(date(2020, 8, 8))
    assert await stands(admin, customer) == ("basic", None)
    assert [each["after"] for each in await announced(database, customer, KEY, PENDING)] == [
        "silver",
        "bronze",
        "basic",
    ]


async def test_steps_stop_where_the_decision_is(admin: httpx.AsyncClient, database: Database, until: Until) -> None:
    await publish(database, KEY, spending(downgrade={"grace_days": 10, "one_step": True}))
    customer = await customer_with(admin, (LAST_YEAR, "1000"), ("2020-06-20T00:00:00Z", "150"))
    await until(LEAVES)
    await until(date(2020, 7, 19))
    assert await stands(admin, customer) == ("silver", ("bronze", "2020-07-29"))
    await until(date(2020, 7, 29))
    assert await stands(admin, customer) == ("bronze", None)


async def test_without_grace_one_step_is_taken_a_day(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending(downgrade={"one_step": True}))
    customer = await customer_with(admin, (LAST_YEAR, "1000"))
    found = []
    for days in range(4):
        for _ in range(2):  # a day may be looked at often
            await until(LEAVES + timedelta(days=days))
        found.append((await stands(admin, customer))[0])
    assert found[:2] == ["silver", "bronze"]
    assert found[-1] == "basic"
    assert [change[1] for change in await changes(admin, customer, KEY)] == [
        "basic",
        "gold",
        "silver",
        "bronze",
        "basic",
    ]


async def test_a_purchase_of_the_same_day_takes_no_further_step(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending(downgrade={"one_step": True}))
    customer = await customer_with(admin, (LAST_YEAR, "1000"))
    await until(LEAVES)
    assert (await stands(admin, customer))[0] == "silver"
    body = {"occurred_at": f"{LEAVES.isoformat()}T00:00:00Z", "amount": "1"}
    assert (await admin.post(f"/v1/customers/{customer}/purchases", json=body)).status_code == 201
    assert (await stands(admin, customer))[0] == "silver"


async def test_a_sweep_that_comes_late_moves_then(admin: httpx.AsyncClient, database: Database, until: Until) -> None:
    await publish(database, KEY, spending(downgrade={"grace_days": 10}))
    customer = await customer_with(admin, (LAST_YEAR, "1000"))
    await until(LEAVES)
    await until(date(2020, 9, 1))
    assert await stands(admin, customer) == ("basic", None)
    await until(date(2020, 9, 1))
    assert len(await changes(admin, customer, KEY)) == 3


async def test_a_purchase_during_grace_neither_shortens_nor_lengthens_it(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending(downgrade={"grace_days": 30}))
    customer = await customer_with(admin, (LAST_YEAR, "600"))
    await until(LEAVES)
    day = date(2020, 7, 20)
    await until(day)
    assert await buy(admin, customer, instant(day), "120") == "silver"
    assert await stands(admin, customer) == ("silver", ("bronze", "2020-08-08"))
    day = date(2020, 8, 8)
    await until(day)
    assert await stands(admin, customer) == ("bronze", None)


# ---- upgrades --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("upgrade", "day"),
    [
        ("next_month", date(2020, 7, 1)),
        ("next_quarter", date(2020, 7, 1)),
        ("next_year", date(2021, 1, 1)),
    ],
)
async def test_an_upgrade_waits_for_the_next_period(
    admin: httpx.AsyncClient, database: Database, until: Until, upgrade: str, day: date
) -> None:
    await publish(database, KEY, spending(upgrade=upgrade))
    customer = await customer_with(admin, (instant(TODAY), "700"))
    assert await stands(admin, customer) == ("basic", ("silver", day.isoformat()))
    assert await buy(admin, customer, instant(TODAY), "700") == "basic"
    assert await stands(admin, customer) == ("basic", ("gold", day.isoformat()))
    if day - timedelta(days=1) > TODAY:
        await until(day - timedelta(days=1))
        assert (await stands(admin, customer))[0] == "basic"
    await until(day)
    assert await stands(admin, customer) == ("gold", None)


async def test_a_pending_upgrade_is_called_off_by_a_refund(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending(upgrade="next_month"))
    customer = await customer_with(admin, (instant(TODAY), "700"))
    assert await buy(admin, customer, instant(TODAY), "690", "refund") == "basic"
    assert await stands(admin, customer) == ("basic", None)
    (pending,) = await announced(database, customer, KEY, UPGRADE_PENDING)
    assert (pending["before"], pending["after"], pending["on"]) == ("basic", "silver", "2020-07-01")
    (called_off,) = await announced(database, customer, KEY, UPGRADE_CALLED_OFF)
    assert called_off == {
        "customer_id": customer,
        "scheme": KEY,
        "before": "basic",
        "after": "silver",
        "reason": {"cause": "correction", "version": 1},
    }
    assert await announced(database, customer, KEY, CALLED_OFF) == []
    await until(date(2020, 7, 1))
    assert await stands(admin, customer) == ("basic", None)


async def test_an_upgrade_at_once_ends_a_pending_downgrade(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending(downgrade={"grace_days": 30}))
    customer = await customer_with(admin, (LAST_YEAR, "600"))
    await until(LEAVES)
    assert await buy(admin, customer, instant(LEAVES), "1000") == "gold"
    assert await stands(admin, customer) == ("gold", None)


async def test_a_pending_downgrade_turns_into_a_pending_upgrade(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending(upgrade="next_month", downgrade={"grace_days": 90}))
    customer = await customer_with(admin, (LAST_YEAR, "600"))
    await until(date(2020, 7, 1))
    assert await stands(admin, customer) == ("silver", None)
    await until(LEAVES)
    assert await stands(admin, customer) == ("silver", ("basic", "2020-10-07"))
    await buy(admin, customer, instant(LEAVES), "1000")
    assert await stands(admin, customer) == ("silver", ("gold", "2020-08-01"))
    assert [each["after"] for each in await announced(database, customer, KEY, PENDING)] == ["basic"]
    assert [each["after"] for each in await announced(database, customer, KEY, CALLED_OFF)] == ["basic"]
    assert [each["after"] for each in await announced(database, customer, KEY, UPGRADE_PENDING)][-1] == "gold"
    assert await announced(database, customer, KEY, UPGRADE_CALLED_OFF) == []


# ---- staying, correcting, ordering -----------------------------------------------------------------------------------


async def test_no_class_is_left_before_the_minimum_stay(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending(minimum_stay_days=60))
    customer = await customer_with(admin)
    await until(date(2020, 8, 29))  # sixty days in basic
    assert await buy(admin, customer, "2020-08-29T00:00:00Z", "700") == "silver"
    assert await buy(admin, customer, "2020-08-29T00:00:00Z", "600", "refund") == "silver"
    assert await stands(admin, customer) == ("silver", ("bronze", "2020-10-28"))
    await until(date(2020, 10, 27))
    assert (await stands(admin, customer))[0] == "silver"
    await until(date(2020, 10, 28))
    assert await stands(admin, customer) == ("bronze", None)


async def test_the_minimum_stay_holds_upgrades_back_as_well(
    admin: httpx.AsyncClient, database: Database, until: Until
) -> None:
    await publish(database, KEY, spending(minimum_stay_days=10))
    customer = await customer_with(admin, (instant(TODAY), "700"))
    assert await stands(admin, customer) == ("basic", ("silver", "2020-07-10"))
    await until(date(2020, 7, 10))
    assert await stands(admin, customer) == ("silver", None)


@pytest.mark.parametrize(("corrections", "becomes"), [("as_usual", "gold"), ("at_once", "bronze")])
async def test_a_refund_waits_or_takes_effect_at_once_as_the_document_says(
    admin: httpx.AsyncClient, database: Database, corrections: str, becomes: str
) -> None:
    await publish(database, KEY, spending(downgrade={"grace_days": 30}, corrections=corrections))
    customer = await customer_with(admin, (instant(TODAY), "1200"))
    assert await buy(admin, customer, instant(TODAY), "1000", "refund") == becomes
    pending = (await stands(admin, customer))[1]
    assert pending == (("bronze", "2020-07-30") if corrections == "as_usual" else None)
    if corrections == "at_once":
        assert (await changes(admin, customer, KEY))[-1] == ("gold", "bronze", "correction")


@pytest.mark.parametrize(("corrections", "becomes"), [("as_usual", "basic"), ("at_once", "silver")])
async def test_a_back_dated_purchase_is_a_correction(
    admin: httpx.AsyncClient, database: Database, corrections: str, becomes: str
) -> None:
    await publish(database, KEY, spending(upgrade="next_year", corrections=corrections))
    customer = await customer_with(admin)
    assert await buy(admin, customer, instant(TODAY - timedelta(days=1)), "600") == becomes
    assert await buy(admin, customer, instant(TODAY), "600") == becomes, "what is of today is none"


async def test_the_order_of_the_classes_is_the_documents(admin: httpx.AsyncClient, database: Database) -> None:
    turned = ["basic", "bronze", "silver", "gold"]
    await publish(database, KEY, spending(order=turned, downgrade={"grace_days": 30}))
    customer = await customer_with(admin, (instant(TODAY), "1200"))
    assert await stands(admin, customer) == ("basic", ("gold", "2020-07-30"))
