"""Scores: the definitions, to the answer; groups and periods; the same for every way of asking; only within reach."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.conftest import MakeUser, RunJobs
from tests.customers.customers import create, pointers
from tests.feedback.asking import said, scored


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(date(2020, 6, 30))


async def asked(client: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    """All scores, read in pages of two."""
    items: list[dict[str, Any]] = []
    params = {"limit": "2", **query}
    while True:
        answer = await client.get("/v1/feedback/scores", params=params)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if answer.json()["next_cursor"] is None:
            return items
        params["cursor"] = answer.json()["next_cursor"]


def expected(measure: str, given: list[int]) -> str:
    n = len(given)
    if measure == "nps":
        value = Fraction(100 * (sum(s >= 9 for s in given) - sum(s <= 6 for s in given)), n)
    elif measure == "csat":
        value = Fraction(100 * sum(s >= 4 for s in given), n)
    else:
        value = Fraction(sum(given), n)
    rounded = (Decimal(value.numerator) / Decimal(value.denominator)).quantize(Decimal("0.0001"), "ROUND_HALF_UP")
    text = format(rounded, "f").rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


EVERY = [
    ("nps", [*range(11)]),
    ("nps", [9, 10]),
    ("nps", [7, 8]),
    ("nps", [6, 9, 8]),
    ("csat", [1, 2, 3, 4, 5]),
    ("csat", [3, 3, 4]),
    ("ces", [1, 7, 7]),
    ("ces", [*range(1, 8)]),
]


@pytest.mark.parametrize(("measure", "given"), EVERY)
async def test_scores_are_as_defined(admin: httpx.AsyncClient, measure: str, given: list[int]) -> None:
    customer = (await create(admin))["id"]
    for score in given:
        await scored(admin, customer, measure, score)
    await said(admin, customer, kind="review", score=1)  # stars are no answer
    found = await asked(admin)
    assert [(each["measure"], each["answers"], each["score"]) for each in found] == [
        (measure, len(given), expected(measure, given))
    ]
    best, worst = {"nps": (9, 6), "csat": (4, 2), "ces": (None, None)}[measure]
    assert found[0]["best"] == (None if best is None else sum(each >= best for each in given))
    assert found[0]["worst"] == (None if worst is None else sum(each <= worst for each in given))


async def test_without_answers_there_is_no_score(admin: httpx.AsyncClient) -> None:
    assert await asked(admin) == []


async def test_scores_by_group_and_period(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, setting: Callable[..., None]
) -> None:
    setting(time_zone="Asia/Shanghai", today="2020-06-30")
    unit = (await admin.post("/v1/units", json={"name": "East"})).json()["id"]
    first, second = (await create(admin, unit_id=unit))["id"], (await create(admin))["id"]
    await scored(admin, first, "nps", 10, topic="tea", occurred_at="2020-04-30T15:59:59Z")
    await scored(admin, first, "nps", 0, topic="tea", occurred_at="2020-04-30T16:00:00Z", channel="shop")
    await scored(admin, second, "nps", 9, occurred_at="2020-05-31T00:00:00Z")
    await scored(admin, second, "csat", 5, occurred_at="2020-05-31T00:00:00Z")

    async def by(**query: str) -> list[tuple[Any, ...]]:
        found = await asked(admin, **query)
        return [(each["group"], each["period"], each["measure"], each["score"], each["answers"]) for each in found]

    assert await by() == [(None, None, "csat", "100", 1), (None, None, "nps", "33.3333", 3)]
    assert await by(by="customer", measure="nps") == sorted(
        [(first, None, "nps", "0", 2), (second, None, "nps", "100", 1)]
    )
    homeless = (await admin.get(f"/v1/customers/{second}")).json()["unit_id"]
    assert set(await by(by="unit", measure="nps")) == {
        (unit, None, "nps", "0", 2),
        (homeless, None, "nps", "100", 1),
    }
    assert await by(by="topic", measure="nps") == [(None, None, "nps", "100", 1), ("tea", None, "nps", "0", 2)]
    assert await by(by="channel", measure="nps") == [("phone", None, "nps", "100", 2), ("shop", None, "nps", "-100", 1)]
    months = [(None, "2020-04-01", "nps", "100", 1), (None, "2020-05-01", "nps", "0", 2)]
    assert await by(period="month", measure="nps") == months
    assert await by(period="quarter", measure="nps") == [(None, "2020-04-01", "nps", "33.3333", 3)]
    inside = {"since": "2020-04-30T16:00:00Z", "until": "2020-05-31T00:00:00Z"}
    assert await by(**inside) == [(None, None, "nps", "-100", 1)]
    async with database.connection() as connection:
        await connection.execute("DELETE FROM customer_class WHERE scheme = 'tier'")
        for customer, name in ((first, "vip"), (second, "regular")):
            await connection.execute(
                "INSERT INTO customer_class (customer_id, scheme, class, since, as_of, version)"
                " VALUES ($1, 'tier', $2, now(), now(), 1)",
                customer,
                name,
            )
    assert await by(by="class", scheme="tier", measure="nps") == [
        ("regular", None, "nps", "100", 1),
        ("vip", None, "nps", "0", 2),
    ]


@pytest.mark.parametrize("query", [{"by": "class"}, {"scheme": "tier"}, {"by": "unit", "scheme": "tier"}])
async def test_classes_are_of_a_scheme(admin: httpx.AsyncClient, query: dict[str, str]) -> None:
    assert pointers(await admin.get("/v1/feedback/scores", params=query)) == ["/query/scheme"]


async def test_scores_are_of_customers_within_reach(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    mine = await make_user({"feedback:write": "own", "feedback:read": "own"})
    own = (await create(admin, owner_id=mine.headers["X-Test-User"]))["id"]
    await scored(admin, own, "csat", 5)
    await scored(admin, (await create(admin))["id"], "csat", 1)
    assert [each["score"] for each in await asked(mine)] == ["100"]
    assert [each["score"] for each in await asked(admin)] == ["50"]
    assert await asked(mine, by="class", scheme="tier") == []
