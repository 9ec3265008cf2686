"""Quantiles and Pareto classes against plain references, in exact arithmetic."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.classification import fitting
from app.classification.definitions import AbcDocument, RfmDocument
from app.classification.engine import Scheme
from app.classification.rules import interpolate, positions, weighted_quantile
from app.core.db import Database

AS_OF = datetime(2020, 6, 30, 12, tzinfo=UTC)
QUANTILES = st.decimals(min_value="0.0001", max_value="0.9999", places=4)


def linear(values: Sequence[Decimal | int], quantile: Decimal | Fraction) -> Fraction:
    """numpy's default: the value at (n - 1) * q, interpolated."""
    ranked = sorted(map(Fraction, values))
    place = (len(ranked) - 1) * Fraction(quantile)
    rank = int(place)
    above = ranked[min(rank + 1, len(ranked) - 1)]
    return ranked[rank] + (above - ranked[rank]) * (place - rank)


@given(st.lists(st.decimals(min_value=0, max_value=10**9, places=4), min_size=1, max_size=60), QUANTILES)
def test_a_quantile_is_what_numpy_would_say_without_its_rounding(values: list[Decimal], quantile: Decimal) -> None:
    ((rank, fraction),) = positions(len(values), [quantile])
    ranked = sorted(values)
    found = interpolate(ranked[rank], ranked[min(rank + 1, len(values) - 1)], fraction)
    assert Fraction(found) == linear(values, quantile)


@given(st.dictionaries(st.integers(1, 2000), st.integers(0, 50), max_size=30), QUANTILES)
def test_a_histogram_has_the_quantiles_of_its_values(histogram: dict[int, int], quantile: Decimal) -> None:
    values = [value for value, weight in histogram.items() for _ in range(weight)]
    found = weighted_quantile(sorted(histogram.items()), quantile)
    if not values:
        assert found is None
    else:
        assert found is not None
        assert Fraction(found) == linear(values, quantile)


# ---- against the database --------------------------------------------------------------------------------------------


async def measured(database: Database, monetary: Sequence[Decimal], frequency: Sequence[int] = ()) -> None:
    """Customers with these stored metrics, and no others."""
    async with database.connection() as connection:
        await connection.execute("DELETE FROM customer")
        await connection.execute("DELETE FROM customer_metrics")
        await connection.execute(
            "WITH given AS (SELECT * FROM unnest($1::numeric[], $2::int[]) AS g (monetary, frequency)),"
            " made AS (INSERT INTO customer (id, name) SELECT uuidv7(), n::text FROM generate_series(1, $3) n"
            " RETURNING id, name::int AS n),"
            " numbered AS (SELECT *, row_number() OVER () AS n FROM given)"
            " INSERT INTO customer_metrics (customer_id, frequency, monetary, refunded, frequency_365d,"
            " monetary_365d, purchase_days, last_purchase_on, as_of)"
            " SELECT id, frequency, monetary, 0, 0, 0, 1, date '2020-06-30' - frequency, now()"
            " FROM made JOIN numbered USING (n)",
            list(monetary),
            list(frequency) or [1] * len(monetary),
            len(monetary),
        )


async def fitted_to(database: Database, document: Any) -> dict[str, Any]:
    """The breakpoints that a document takes from the stored metrics."""
    return (await fitting.fit(database.reading(), Scheme("test", 1, "Test", document), AS_OF)).values


def decided(value: Decimal, edges: dict[str, Any], document: AbcDocument) -> str:
    """The class by its breakpoints: the best one whose smallest value is reached."""
    reached = (name for name, edge in edges.items() if edge is not None and value >= Decimal(edge))
    return next(reached, document.classes[-1])


def pareto(values: Sequence[Decimal], document: AbcDocument) -> dict[Decimal, str]:
    """The class of each value, by walking down from the largest with whole groups of equals."""
    total = sum(value for value in values if value > 0)
    classes, before = {}, Decimal(0)
    for value in sorted(set(values), reverse=True):
        through = before + value * values.count(value)
        share, name = (before if document.rule == "crossing" else through), document.classes[-1]
        if value > 0:
            for candidate, cut_off in zip(document.classes, document.cut_offs, strict=False):
                inside = share < cut_off * total if document.rule == "crossing" else share <= cut_off * total
                if inside:
                    name = candidate
                    break
        classes[value], before = name, through
    return classes


AMOUNTS = st.sampled_from([-5, 0, 1, 1, 2, 5, 5, 15, 80]).map(Decimal) | st.decimals(
    min_value=-10, max_value=1000, places=2
)
EXAMPLES: list[tuple[list[int], dict[str, str]]] = [
    ([80, 15, 5], {"crossing": "ABC", "inclusive": "ABC"}),
    ([79, 16, 5], {"crossing": "AAC", "inclusive": "ABC"}),
    ([81, 14, 5], {"crossing": "ABC", "inclusive": "BBC"}),
    ([100], {"crossing": "A", "inclusive": "C"}),
    ([50, 50], {"crossing": "AA", "inclusive": "CC"}),
    ([0, -5], {"crossing": "CC", "inclusive": "CC"}),
    ([10, 0, -5], {"crossing": "ACC", "inclusive": "CCC"}),
]


@pytest.mark.parametrize("rule", ["crossing", "inclusive"])
async def test_abc_decides_the_worked_examples(database: Database, rule: Any) -> None:
    document = AbcDocument(kind="abc", rule=rule)
    for values, expected in EXAMPLES:
        amounts = [Decimal(value) for value in values]
        assert "".join(pareto(amounts, document)[value] for value in amounts) == expected[rule]
        await measured(database, amounts)
        edges = await fitted_to(database, document)
        assert "".join(decided(value, edges, document) for value in amounts) == expected[rule], (rule, values)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)
@given(
    values=st.lists(AMOUNTS, min_size=1, max_size=30),
    rule=st.sampled_from(["crossing", "inclusive"]),
    cut_offs=st.sampled_from([["0.8", "0.95"], ["0.5"], ["0.2", "0.4", "0.6"]]),
)
async def test_abc_decides_as_plain_python_does(
    database: Database, values: list[Decimal], rule: Any, cut_offs: list[str]
) -> None:
    names = ["A", "B", "C", "D"][: len(cut_offs) + 1]
    document = AbcDocument(kind="abc", rule=rule, cut_offs=[Decimal(each) for each in cut_offs], classes=names)
    await measured(database, values)
    fitted = await fitted_to(database, document)
    expected = pareto(values, document)
    assert {value: decided(value, fitted, document) for value in values} == expected
    for name, edge in fitted.items():
        members = [value for value in values if expected[value] == name]
        assert (edge is None) == (not members)
        assert edge is None or Decimal(edge) == min(members)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)
@given(buyers=st.lists(st.tuples(AMOUNTS, st.integers(1, 9)), min_size=1, max_size=30), bins=st.sampled_from([3, 5]))
async def test_rfm_edges_are_linear_quantiles_and_right_closed(
    database: Database, buyers: list[tuple[Decimal, int]], bins: Any
) -> None:
    whole = {"class": "all", "cells": [{"r": [1, bins], "f": [1, bins]}]}
    document = RfmDocument.model_validate({"kind": "rfm", "bins": bins, "segments": [whole]})
    await measured(database, [money for money, _ in buyers], [count for _, count in buyers])
    fitted = await fitted_to(database, document)
    metrics = {
        "monetary": [money for money, _ in buyers],
        "frequency": [Decimal(count) for _, count in buyers],
        "recency_days": [Decimal(count) for _, count in buyers],
    }
    for name, values in metrics.items():
        for n, edge in enumerate(fitted[name]):
            exact = linear(values, Fraction(n + 1, bins))
            assert 0 <= exact - Fraction(Decimal(edge)) < Fraction(1, 10**10), (name, n)
