"""Weighted scores: points by bins, fixed edges and proportion; exact at every threshold."""

from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.db import Database
from tests.classification.deciding import decide, measured
from tests.classification.documents import document, metric, refusals

HIGH = {"class": "high", "at_least": 70}
MEDIUM = {"class": "medium", "at_least": 40}
BY_FREQUENCY = {"metric": "frequency", "weight": "100", "edges": ["1", "2", "3"]}


def part(name: str, weight: str, **how: Any) -> dict[str, Any]:
    return {"metric": name, "weight": weight, **how}


def score(*parts: dict[str, Any], thresholds: Any = (HIGH, MEDIUM), **more: Any) -> dict[str, Any]:
    return {"kind": "score", "parts": list(parts), "thresholds": list(thresholds), "default": "low", **more}


def spending(start: str, to: str) -> dict[str, Any]:
    return part("monetary", "100", linear={"from": start, "to": to})


@pytest.mark.parametrize(
    ("given", "pointer", "message"),
    [
        (score(part("frequency", "60", bins=5)), "/parts", "weights must add up to 100, not 60"),
        (
            score(part("frequency", "99.9999", bins=5), part("monetary", "0.0002", bins=5)),
            "/parts",
            "must add up to 100, not 100.0001",
        ),
        (score(part("frequency", "0", bins=5)), "/parts/0/weight", "greater than 0"),
        (score(part("frequency", "100")), "/parts/0", "give one of bins, edges and linear"),
        (score(part("frequency", "100", bins=5, edges=["1"])), "/parts/0", "give one of"),
        (score(part("frequency", "100", bins=1)), "/parts/0/bins", "greater than or equal to 2"),
        (score(part("frequency", "100", bins=21)), "/parts/0/bins", "less than or equal to 20"),
        (score(part("frequency", "100", edges=["2", "1"])), "/parts/0/edges", "edges must increase"),
        (score(part("frequency", "100", edges=[])), "/parts/0/edges", "at least 1"),
        (score(spending("5", "5.0")), "/parts/0/linear", "from and to must differ"),
        (
            score(spending("0", "9") | {"higher_is_better": False}),
            "/parts/0/higher_is_better",
            "swap from and to instead",
        ),
        (
            score(part("recency_days", "100", linear={"from": "2000", "to": "0"})),
            "/parts/0/linear",
            "1100 days apart at most",
        ),
        (
            score(part("frequency", "50", bins=5), part("frequency", "50", bins=3)),
            "/parts/1/metric",
            "gives points already",
        ),
        (score(part("gap_ratio", "100", bins=5)), "/parts/0/metric", "depends on the population"),
        (score(BY_FREQUENCY, thresholds=[MEDIUM, HIGH]), "/thresholds/1/at_least", "below the threshold before"),
        (score(BY_FREQUENCY, thresholds=[HIGH, {**MEDIUM, "at_least": 70}]), "/thresholds/1/at_least", "below"),
        (score(BY_FREQUENCY, thresholds=[{**HIGH, "at_least": 101}]), "/thresholds/0/at_least", "or equal to 100"),
        (score(BY_FREQUENCY, thresholds=[HIGH, {**MEDIUM, "class": "low"}]), "/thresholds", "one threshold"),
        (
            score(BY_FREQUENCY, thresholds=[{**HIGH, "when": metric("frequency", "lt", 0)}]),
            "/thresholds/0/when",
            "can never hold",
        ),
        (
            score(BY_FREQUENCY, thresholds=[{**HIGH, "when": metric("nope", "lt", 0)}]),
            "/thresholds/0/when/metric",
            "no metric nope",
        ),
        (
            score(
                part("frequency", "100", bins=3),
                population={"frequency_1": {"of": "gap_days", "quantile": "0.5", "otherwise": "9"}},
            ),
            "/population/frequency_1",
            "frequency_1 is a name of the breakpoints themselves",
        ),
    ],
)
def test_a_score_that_makes_no_sense_is_refused(given: Any, pointer: str, message: str) -> None:
    found = refusals(given)
    assert message in found[pointer], found


def test_a_class_for_the_qualified_may_ask_for_the_same_points() -> None:
    qualified = {**HIGH, "when": metric("tenure_days", "gte", 90)}
    given = document(score(BY_FREQUENCY, thresholds=[qualified, {**HIGH, "class": "promising"}]))
    assert given.class_names == ["high", "promising", "low"]
    assert given.metrics == ["frequency", "tenure_days"]
    assert given.read_score(78) == {"score": 78}


async def test_fixed_edges_give_their_points_above_the_edge(database: Database) -> None:
    rows = [measured(frequency=n) for n in (0, 1, 2, 3, 4, 99)]
    assert await decide(database, document(score(BY_FREQUENCY)), rows) == [
        ("low", 0),
        ("low", 0),
        ("low", 33),
        ("medium", 66),
        ("high", 100),
        ("high", 100),
    ]
    smaller = document(score(part("recency_days", "100", edges=["10", "20"], higher_is_better=False)))
    ages = [measured(recency=days) for days in (0, 10, 11, 20, 21)] + [measured()]
    assert [points for _, points in await decide(database, smaller, ages)] == [100, 100, 50, 50, 0, 0]


async def test_a_linear_part_is_exact_a_step_around_each_threshold(database: Database) -> None:
    rows = [
        measured(monetary=amount)
        for amount in ("-5", "0", "3999.9999", "4000", "4000.0001", "6999.9999", "7000", "7000.0001", "10000", "1e15")
    ]
    assert await decide(database, document(score(spending("0", "10000"))), rows) == [
        ("low", 0),
        ("low", 0),
        ("low", 39),
        ("medium", 40),
        ("medium", 40),
        ("medium", 69),
        ("high", 70),
        ("high", 70),
        ("high", 100),
        ("high", 100),
    ]


async def test_of_an_age_less_may_be_better_and_each_day_is_a_turn(database: Database) -> None:
    given = document(score(part("recency_days", "100", linear={"from": "10.5", "to": "0"})))
    rows = [measured(recency=days) for days in (0, 1, 10, 11, 400)]
    assert [points for _, points in await decide(database, given, rows)] == [100, 90, 4, 0, 0]
    assert list(given.parts[0].days) == list(range(1, 12))  # type: ignore[attr-defined]


async def test_thirds_and_ninths_add_up_to_whole_points(database: Database) -> None:
    """5 i + 3 j + 2 k = 63 ninths is 70 points, although each part's share of them ends nowhere."""
    ninths = [str(edge) for edge in range(1, 10)]
    weights = {"monetary": "50", "frequency": "30", "frequency_365d": "20"}
    given = document(score(*(part(name, weight, edges=ninths) for name, weight in weights.items())))
    cells = [(i, j, k) for i in range(10) for j in range(10) for k in range(10)]
    # A bin's number is its value minus one.
    rows = [measured(monetary=i + 1, frequency=j + 1, frequency_365d=k + 1) for i, j, k in cells]
    found = await decide(database, given, rows)
    assert [points for _, points in found] == [floor(Fraction(50 * i + 30 * j + 20 * k, 9)) for i, j, k in cells]
    assert found[cells.index((7, 6, 5))] == ("high", 70)
    assert {name for (i, j, k), (name, _) in zip(cells, found, strict=True) if 5 * i + 3 * j + 2 * k == 63} == {"high"}


async def test_whoever_is_not_qualified_gets_the_next_class_down(database: Database) -> None:
    loyal = {**HIGH, "when": {"all": [metric("tenure_days", "gte", 90), {"not": metric("frequency", "gte", 9)}]}}
    given = document(score(BY_FREQUENCY, thresholds=[loyal, MEDIUM]))
    rows = [measured(frequency=n, recency=0, tenure=days) for n, days in ((8, 89), (8, 90), (9, 90), (1, 90))]
    assert [name for name, _ in await decide(database, given, rows)] == ["medium", "high", "medium", "low"]


async def test_without_edges_there_is_no_score_and_an_unknown_value_has_no_points(database: Database) -> None:
    given = document(score(part("recency_days", "100", bins=3, higher_is_better=False)))
    bought, not_yet = measured(recency=5, frequency=1), measured()
    assert await decide(database, given, [bought, not_yet], {"recency_days": [None, None]}) == [
        (None, None),
        ("low", 0),
    ]
    assert await decide(database, given, [bought, not_yet], {"recency_days": ["5", "9"]}) == [
        ("high", 100),
        ("low", 0),
    ]


AMOUNT = st.decimals(min_value=-100, max_value=10_000, places=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bounds=st.lists(AMOUNT, min_size=2, max_size=2, unique=True),
    edges=st.lists(st.integers(0, 30), min_size=1, max_size=19, unique=True).map(sorted),
    weight=st.decimals(min_value="0.0001", max_value="99.9999", places=4),
    rows=st.lists(st.tuples(AMOUNT, st.integers(0, 31)), min_size=1, max_size=10),
    higher=st.booleans(),
)
async def test_a_score_is_what_fractions_say(
    database: Database,
    bounds: list[Decimal],
    edges: list[int],
    weight: Decimal,
    rows: list[tuple[Decimal, int]],
    higher: bool,
) -> None:
    start, to = bounds
    parts = [
        part("monetary", str(weight), linear={"from": str(start), "to": str(to)}),
        part("frequency", str(100 - weight), edges=[str(edge) for edge in edges], higher_is_better=higher),
    ]

    def points(amount: Decimal, count: int) -> int:
        share = (Fraction(amount) - Fraction(start)) / (Fraction(to) - Fraction(start))
        above = sum(1 for edge in edges if count > edge)
        bins = Fraction(above if higher else len(edges) - above, len(edges))
        return floor(Fraction(weight) * min(max(share, Fraction(0)), Fraction(1)) + Fraction(100 - weight) * bins)

    given_rows = [measured(monetary=str(amount), frequency=count) for amount, count in rows]
    found = await decide(database, document(score(*parts)), given_rows)
    assert [score for _, score in found] == [points(amount, count) for amount, count in rows]
