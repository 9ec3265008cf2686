"""When time alone can next change an answer: the day on which a comparison turns, a window loses a fact, or one begins.

An age (days since something) passes each threshold on a day that is known beforehand; a ratio of an age to a constant
does, too. The earliest of these instants is the customer's review: before it, time alone changes nothing.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    Integer,
    Interval,
    Numeric,
    case,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by, array

from app.classification.compile import Threshold
from app.classification.metrics import METRICS, Age, Metric, Ratio, Window
from app.classification.refresh import AS_OF, AS_OF_DAY
from app.core import clock

LONGEST = 200_000
"""Days; no comparison is awaited for more than five centuries."""
ROUNDING = literal("0.000001", Numeric)
"""Ratios are rounded to six digits: the day before or after could be the one on which the comparison turns."""


def turning_ages(thresholds: Sequence[Threshold], limits: FromClause) -> CTE:
    """One row: for every date that ages count from, the ages at which an answer can change, in ascending order."""
    ages: dict[str, list[ColumnElement[Any]]] = {}
    for name, value in thresholds:
        if isinstance(turns := METRICS[name].turns, Age):
            number = cast(value, Numeric)
            ages.setdefault(turns.since, []).extend((func.ceil(number), func.floor(number) + 1))
    columns = [_ascending(candidates).label(since) for since, candidates in ages.items()]
    statement = select(literal(1, Integer).label("one"), *columns).select_from(limits)
    return statement.cte("turning_ages").prefix_with("MATERIALIZED")


def _ascending(candidates: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    age = func.unnest(array(candidates)).column_valued("age")
    ordered = func.array_agg(aggregate_order_by(cast(age, Integer), age), type_=ARRAY(Integer))
    return select(ordered).where(age >= 0, age <= LONGEST).scalar_subquery()


def next_day(
    rows: FromClause, ages: CTE, ratios: Sequence[tuple[Metric, ColumnElement[Any], ColumnElement[Any]]]
) -> ColumnElement[Any]:
    """The first day after `as_of_day` on which an age or a ratio of `rows` turns an answer; NULL when none will.

    A ratio is its metric, its unit's column and the value that it is compared with.
    """
    days: list[ColumnElement[Any]] = []
    for since in [column.name for column in ages.c if column.name != "one"]:
        begun, turning = rows.c[since], ages.c[since]
        passed = func.width_bucket(cast(AS_OF_DAY - begun, Integer), turning, type_=Integer)
        days.append(begun + turning[passed + 1])
    days += [_day_of_ratio(rows, *ratio) for ratio in ratios]
    return cast(func.least(*days), Date) if days else cast(literal(None), Date)


def _day_of_ratio(
    rows: FromClause, metric: Metric, unit: ColumnElement[Any], threshold: ColumnElement[Any]
) -> ColumnElement[Any]:
    assert isinstance(metric.turns, Ratio)
    turns = METRICS[metric.turns.of].turns
    assert isinstance(turns, Age)
    begun = rows.c[turns.since]
    age = cast(AS_OF_DAY - begun, Integer)
    candidates = (func.ceil((threshold - ROUNDING) * unit), func.floor((threshold + ROUNDING) * unit) + 1)
    ahead = func.least(*(case((each > age, each)) for each in candidates))
    return begun + cast(func.least(ahead, LONGEST), Integer)


WINDOWS = sorted(
    {each.turns for each in METRICS.values() if isinstance(each.turns, Window)}, key=lambda each: each.first_at
)
"""By which metrics count, whether or not a scheme reads them: they are shown and searched by, too."""


def next_instant(day: ColumnElement[Any], rows: FromClause) -> ColumnElement[Any]:
    """The beginning of that day, or earlier: when a window loses a fact or a fact begins to count."""
    begins = func.timezone(str(clock.business_zone()), cast(day, DateTime))
    exits = [rows.c[each.first_at] + literal(each.length, Interval) for each in WINDOWS]
    entry = case((rows.c.next_fact_at > AS_OF, rows.c.next_fact_at))
    return cast(func.least(begins, entry, *exits), DateTime(timezone=True))
