"""Quantiles and Pareto classes against plain references, in exact arithmetic."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Date, Numeric, literal, select

from app.classification import fitting
from app.classification.compile import expression
from app.classification.definitions import AbcDocument, RfmDocument
from app.classification.engine import Scheme
from app.classification.metrics import Source
from app.classification.models import customer_metrics
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


def breakpoint_values(document: Any, values: dict[str, Any]) -> dict[str, Decimal | None]:
    found: dict[str, Decimal | None] = {}
    for name, path in document.breakpoint_paths.items():
        each: Any = values
        for step in path:
            each = each[int(step)] if isinstance(each, list) else each[step]
        found[name] = None if each is None else Decimal(each)
    return found


async def decided(database: Database, document: Any) -> tuple[dict[str, Any], list[Any]]:
    """The breakpoints that a document fits, and each customer decided with them, by the very statements."""
    fit = await fitting.fit(database.reading(), Scheme("test", 1, "Test", document), AS_OF)
    limits = breakpoint_values(document, fit.values)
    m = customer_metrics.alias("m")
    told = expression(document, Source(m, literal(AS_OF.date(), Date), lambda n: literal(limits[n], Numeric)))
    rows = await database.reading().all(select(m.c.monetary, told.class_name.label("class")).select_from(m))
    return fit.values, rows


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
        _, rows = await decided(database, document)
        assert {row["monetary"]: row["class"] for row in rows} == pareto(amounts, document), (rule, values)


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
    fitted, rows = await decided(database, document)
    expected = pareto(values, document)
    assert sorted((row["monetary"], row["class"]) for row in rows) == sorted((v, expected[v]) for v in values)
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
    fitted, _ = await decided(database, document)
    metrics = {
        "monetary": [money for money, _ in buyers],
        "frequency": [Decimal(count) for _, count in buyers],
        "recency_days": [Decimal(count) for _, count in buyers],
    }
    for name, values in metrics.items():
        for n, edge in enumerate(fitted[name]):
            exact = linear(values, Fraction(n + 1, bins))
            assert abs(Fraction(Decimal(edge)) - exact) < Fraction(1, 10**12), (name, n)
