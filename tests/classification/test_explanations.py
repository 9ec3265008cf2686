"""Why a customer is in its class: every threshold of the presets at value - 1 step, value and value + 1 step."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.classification.population import NOON, SCHEMES, RunJobs, Visit, add, classes, explanation, recalculate
from tests.classification.schemes import publish

EACH_SIDE = (-1, 0, 1)


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


async def a_population(database: Database) -> list[str]:
    """Forty customers: amounts and habits spread so that every edge lies between or on real values."""
    made = []
    for n in range(40):
        visits: list[Visit] = [
            ((n * 7) % 90 + visit * (4 + n % 9), f"{(n * 13) % 50 + 1}.25") for visit in range(n % 6 + 1)
        ]
        made.append(await add(database, f"base-{n}", visits))
    return made


async def limits(admin: httpx.AsyncClient, scheme: str) -> dict[str, Any]:
    found: dict[str, Any] = (await admin.get(f"/v1/schemes/{scheme}/breakpoints")).json()["values"]
    return found


async def without_refit(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    """Measure and classify what was added, with the breakpoints that are in force."""
    await recalculate(admin, run_jobs)


def check(told: Any, scheme: str, stored: dict[str, str]) -> None:
    """What must hold of every explanation: the decision is the stored class, and each gap is exact."""
    assert told["decided"] == told["class"] == stored.get(scheme)
    values = {each["metric"]: each["value"] for each in told["inputs"]}
    for each in told["conditions"]:
        assert each["value"] == values[each["metric"]]
        if each["value"] is None or each["threshold"] is None:
            assert each["met"] is False
            continue
        value, threshold = Decimal(each["value"]), Decimal(each["threshold"])
        assert Decimal(each["gap"]) == threshold - value
        holds = {
            "gte": value >= threshold,
            "lte": value <= threshold,
            "gt": value > threshold,
            "eq": value == threshold,
        }
        assert each["met"] is holds[each["op"]], each


def condition(told: Any, name: str, metric: str) -> Any:
    return next(each for each in told["conditions"] if (each["class"], each["metric"]) == (name, metric))


async def test_abc_edges_are_exact_to_the_smallest_amount(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database
) -> None:
    await a_population(database)
    await recalculate(admin, run_jobs, refit=True)
    edges = {name: Decimal(value) for name, value in (await limits(admin, "abc")).items()}
    step = Decimal("0.0001")
    made = {
        (name, side): await add(database, f"{name}{side}", [(5, str(edge + side * step))])
        for name, edge in edges.items()
        for side in EACH_SIDE
    }
    await without_refit(admin, run_jobs)
    for (name, side), customer in made.items():
        below = {"A": "B", "B": "C"}[name]
        told = await explanation(admin, customer, "abc")
        check(told, "abc", await classes(admin, customer))
        assert told["class"] == (below if side < 0 else name), (name, side)
        edge = condition(told, name, "monetary")
        assert (edge["op"], Decimal(edge["threshold"]), edge["breakpoint"]) == ("gte", edges[name], name)
        assert Decimal(edge["gap"]) == -side * step
        steps = {each["direction"]: each for each in told["next"]}
        if side < 0:
            assert (steps["up"]["class"], Decimal(steps["up"]["needs"][0]["gap"])) == (name, step)
        else:
            assert steps["down"]["class"] == below
            assert Decimal(steps["down"]["needs"][0]["threshold"]) == edges[name]


async def test_rfm_edges_are_right_closed(admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database) -> None:
    await a_population(database)
    await recalculate(admin, run_jobs, refit=True)
    edges = {name: [Decimal(each) for each in values] for name, values in (await limits(admin, "rfm")).items()}
    made: dict[tuple[str, Decimal], str] = {}
    for metric, step in (("recency_days", Decimal(1)), ("frequency", Decimal(1)), ("monetary", Decimal("0.0001"))):
        for edge in edges[metric]:
            for side in EACH_SIDE:
                value = (edge // step + side) * step  # a fractional edge lies between two days or orders
                visits: list[Visit] = {
                    "recency_days": [(int(value), "10")],
                    "frequency": [(5, "10")] * int(value),
                    "monetary": [(5, str(value))],
                }[metric]
                if visits and value >= 0:
                    made[metric, value] = await add(database, f"{metric}{value}", visits)
    await without_refit(admin, run_jobs)
    assert len(made) > 20
    for (metric, value), customer in made.items():
        told = await explanation(admin, customer, "rfm")
        check(told, "rfm", await classes(admin, customer))
        above = sum(1 for edge in edges[metric] if value > edge)
        letter = metric[0]
        assert told["score"][letter] == (5 - above if letter == "r" else 1 + above), (metric, value)
        shown = [Decimal(each["threshold"]) for each in told["conditions"] if each["metric"] == metric]
        assert shown == edges[metric]


async def test_the_next_segment_is_the_one_that_is_reached(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database
) -> None:
    for n in range(30):  # more than half bought once: the lower frequency edges are equal
        await add(database, f"base-{n}", [(n * 3, "10")] * (1 if n < 19 else n % 7 + 1))
    await recalculate(admin, run_jobs, refit=True)
    edges = (await limits(admin, "rfm"))["frequency"]
    assert edges[0] == edges[1] == "1"
    reached = set()
    for days, orders in ((40, 1), (40, 2), (40, 3), (40, 5), (2, 2), (85, 4)):
        customer = await add(database, "from", [(days, "10")] * orders)
        await without_refit(admin, run_jobs)
        for step in (await explanation(admin, customer, "rfm"))["next"]:
            (need,) = step["needs"]
            edge = Decimal(need["threshold"])
            there = {"recency_days": days, "frequency": orders}
            beyond = step["direction"] == ("down" if need["metric"] == "recency_days" else "up")
            there[need["metric"]] = int(edge) + 1 if beyond else int(edge)
            if there["frequency"] == 0:
                continue
            other = await add(database, "there", [(there["recency_days"], "10")] * there["frequency"])
            await without_refit(admin, run_jobs)
            assert (await classes(admin, other))["rfm"] == step["class"], (days, orders, step)
            reached.add((need["metric"], step["direction"]))
    # Nobody ever has fewer purchases than before.
    assert reached == {("recency_days", "up"), ("recency_days", "down"), ("frequency", "up")}


async def test_lifecycle_limits_are_exact(admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database) -> None:
    # First gaps 10, 20, ... 1010 days make P80 = 810 and P95 = 960; with as many second gaps of 10 the median is 10.
    for n in range(1, 102):
        await add(database, f"base-{n}", [(0, "10"), (10, "10"), (10 + n * 10, "10")])
    await recalculate(admin, run_jobs, refit=True)
    assert await limits(admin, "lifecycle") == {
        "median_gap_days": "10",
        "first_gap_p80": "810",
        "first_gap_p95": "960",
    }
    # Two purchases g days apart: mean gap (g + 20) / 3; four: (g + 20) / 5. Silence is measured in mean gaps.
    table: list[tuple[list[int], str]] = [
        ([], "prospect"),
        ([809], "first_purchase"),
        ([810], "first_purchase"),
        ([811], "at_risk"),
        ([959], "at_risk"),
        ([960], "at_risk"),
        ([961], "churned"),
        ([14, 24], "repeat"),
        ([15, 25], "repeat"),
        ([16, 26], "at_risk"),
        ([29, 39], "at_risk"),
        ([30, 40], "at_risk"),
        ([31, 41], "churned"),
        ([14, 24, 34], "repeat"),
        ([14, 24, 34, 44], "loyal"),
        ([15, 25, 35, 45], "loyal"),
        ([16, 26, 36, 46], "at_risk"),
        ([30, 40, 50, 60], "at_risk"),
        ([31, 41, 51, 61], "churned"),
        ([15, 15], "repeat"),
    ]
    made = [await add(database, f"{days}", [(day, "10") for day in days]) for days, _ in table]
    await without_refit(admin, run_jobs)
    for customer, (days, expected) in zip(made, table, strict=True):
        told = await explanation(admin, customer, "lifecycle")
        check(told, "lifecycle", await classes(admin, customer))
        assert told["class"] == expected, days
        for each in told["next"]:
            assert each["direction"] in ("earlier_rule", "later_rule", "down")
            assert all(not need["gap"] or need["threshold"] is not None for need in each["needs"])
    once = await explanation(admin, made[3], "lifecycle")
    limit = condition(once, "first_purchase", "recency_days")
    assert (limit["threshold"], limit["breakpoint"], limit["gap"]) == ("810", "first_gap_p80", "-1")


async def test_a_class_that_has_no_members_is_no_next_class(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database
) -> None:
    big = await add(database, "big", [(1, "79")])
    small = await add(database, "small", [(1, "21")])
    await add(database, "none", [])
    await recalculate(admin, run_jobs, refit=True, schemes=["abc"])
    assert await limits(admin, "abc") == {"A": "21", "B": None}
    for customer in (big, small):
        (step,) = (await explanation(admin, customer, "abc"))["next"]
        assert (step["class"], step["direction"], step["needs"][0]["threshold"]) == ("C", "down", "21")
    poor = await add(database, "poor", [(1, "20")])
    await without_refit(admin, run_jobs)
    (step,) = (await explanation(admin, poor, "abc"))["next"]
    assert (step["class"], step["direction"], step["needs"][0]["gap"]) == ("A", "up", "1")


async def test_what_is_decided_is_what_stands_whenever_it_was_decided(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database, today: Callable[[date], None]
) -> None:
    made = await a_population(database)
    await recalculate(admin, run_jobs, refit=True)
    today(date(2020, 12, 31))
    for asked in ({"refit": False}, {"refit": True}, {"refit": True, "as_of": "2020-05-31"}, {"as_of": "2020-06-15"}):
        await recalculate(admin, run_jobs, **asked)
        for customer in made[::2]:
            stored = await classes(admin, customer)
            for scheme in SCHEMES:
                check(await explanation(admin, customer, scheme), scheme, stored)


async def test_nothing_is_explained_before_it_is_fitted(admin: httpx.AsyncClient) -> None:
    made = (await admin.post("/v1/customers", json={"name": "New"})).json()["id"]
    for scheme in SCHEMES:
        told = await explanation(admin, made, scheme)
        assert (told["class"], told["breakpoints"], told["since"]) == (None, None, None)
        assert told["next"] == [] or scheme == "lifecycle"
    unknown = await admin.get(f"/v1/customers/{made}/classes/nope/explanation")
    assert (unknown.status_code, "abc, rfm, rfm8" in unknown.text) == (404, True)
    assert (await admin.get("/v1/schemes/abc/breakpoints")).status_code == 404


STEADY = {"metric": "tenure_days", "op": "gte", "value": "90"}
LOYAL = {"metric": "frequency_365d", "op": "gte", "value": "2"}
EQUAL_MARKS = {
    "kind": "score",
    "parts": [{"metric": "monetary", "weight": "100", "edges": ["100"]}],
    "thresholds": [
        {"class": "best", "at_least": 50, "when": {"all": [STEADY, LOYAL]}},
        {"class": "good", "at_least": 50, "when": STEADY},
        {"class": "fair", "at_least": 20, "when": {"not": STEADY}},
        {"class": "low", "at_least": 0},
    ],
    "default": "none",
}


async def test_what_is_lost_of_a_score_leads_where_it_leads(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database
) -> None:
    await publish(database, "worth", EQUAL_MARKS)
    customer = await add(database, "steady", [(200, "150"), (5, "1")])
    await recalculate(admin, run_jobs)
    found = await explanation(admin, customer, "worth")
    assert found["class"] == "best"
    ways = {each["needs"][0]["metric"]: (each["class"], each["direction"]) for each in found["next"]}
    assert ways == {"score": ("low", "down"), "frequency_365d": ("good", "down")}
