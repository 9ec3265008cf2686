"""What is measured of a customer: each metric's type and its SQL over the stored metrics row.

Stored values are facts as of the last refresh; what depends on today (recency, tenure) is computed
when asked, with `as_of_day` as a parameter, so that the passing of time rewrites no row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import ColumnElement, DateTime, FromClause, Integer, Numeric, case, cast, func, literal
from sqlalchemy.types import TypeEngine

from app.core.bounds import plain_decimal
from app.feedback.summary import SUMMARY as FEEDBACK
from app.interactions.summary import SUMMARY as INTERACTIONS

Freshness = Literal["event", "clock", "population"]
Unit = Literal["count", "money", "days", "ratio", "instant"]

MEDIAN_GAP = "median_gap_days"
_QUOTIENT = Numeric(30, 4)
"""Four digits after the point; wide enough for the largest amount divided by the smallest."""
SHRINKAGE = 2  # pseudo-gaps of the population's median added to everybody's own


@dataclass(frozen=True, slots=True)
class Source:
    """A row of stored metrics, the day by which it is judged, and the population's breakpoints."""

    row: FromClause
    as_of_day: ColumnElement[Any]
    breakpoint: Callable[[str], ColumnElement[Any]]


@dataclass(frozen=True, slots=True)
class Age:
    """Grows by one a day since the stored date `since`."""

    since: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """An age (a metric) in units of another metric, which time does not change."""

    of: str
    to: str


@dataclass(frozen=True, slots=True)
class Window:
    """Changes when a fact becomes older than `length`; `first_at` is the stored instant of the window's oldest."""

    first_at: str
    length: timedelta


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name, unit, what makes it change, and its SQL.

    `population` names breakpoints it needs; `turns` says how time changes it, if it does; `facts` whose facts it is of.
    """

    name: str
    unit: Unit
    freshness: Freshness
    title: str
    expression: Callable[[Source], ColumnElement[Any]]
    population: tuple[str, ...] = ()
    turns: Age | Ratio | Window | None = None
    facts: str = "purchases"


def _stored(name: str) -> Callable[[Source], ColumnElement[Any]]:
    return lambda source: source.row.c[name]


def _recency(source: Source) -> ColumnElement[Any]:
    return cast(source.as_of_day - source.row.c.last_purchase_on, Integer)


def _tenure(source: Source) -> ColumnElement[Any]:
    return cast(source.as_of_day - source.row.c.first_purchase_on, Integer)


def _purchased(source: Source) -> ColumnElement[Any]:
    return source.row.c.monetary + source.row.c.refunded


def _average_order(source: Source) -> ColumnElement[Any]:
    return cast(_purchased(source) / func.nullif(source.row.c.frequency, 0), _QUOTIENT)


def _refund_rate(source: Source) -> ColumnElement[Any]:
    return cast(source.row.c.refunded / func.nullif(_purchased(source), 0), _QUOTIENT)


def _mean_gap(source: Source) -> ColumnElement[Any]:
    """(sum of own gaps + 2 population medians) / (gaps + 2); the gaps of n days add up to last minus first."""
    row = source.row.c
    days = cast(row.last_purchase_on - row.first_purchase_on, Integer)
    median = source.breakpoint(MEDIAN_GAP)
    shrunk = (days + SHRINKAGE * median) / (row.purchase_days - 1 + literal(SHRINKAGE, Integer))
    return cast(case((row.frequency > 0, shrunk)), Numeric(20, 6))


def _gap_ratio(source: Source) -> ColumnElement[Any]:
    return cast(_recency(source) / func.nullif(_mean_gap(source), 0), Numeric(20, 6))


def _distinct_categories(source: Source) -> ColumnElement[Any]:
    return case((source.row.c.frequency > 0, func.cardinality(source.row.c.categories)))


def _share_of_interactions(about: str) -> Callable[[Source], ColumnElement[Any]]:
    def share(source: Source) -> ColumnElement[Any]:
        row = source.row.c
        return cast(cast(row[about], Numeric) / func.nullif(row.interactions, 0), _QUOTIENT)

    return share


_SINCE_LAST, _SINCE_FIRST = Age("last_purchase_on"), Age("first_purchase_on")
_IN_GAPS = Ratio("recency_days", "mean_gap_days")
_YEAR = Window("window_first_at", timedelta(days=365))
_OF_LATE = Window(INTERACTIONS.window_first_at, INTERACTIONS.window)
_COMPLAINTS = Window(FEEDBACK.window_first_at, FEEDBACK.window)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("recency_days", "days", "clock", "days since the last purchase", _recency, turns=_SINCE_LAST),
        Metric("frequency", "count", "event", "purchases", _stored("frequency")),
        Metric("monetary", "money", "event", "purchases minus refunds", _stored("monetary")),
        Metric("frequency_365d", "count", "clock", "purchases in 365 days", _stored("frequency_365d"), turns=_YEAR),
        Metric(
            "monetary_365d",
            "money",
            "clock",
            "purchases minus refunds in 365 days",
            _stored("monetary_365d"),
            turns=_YEAR,
        ),
        Metric("average_order", "money", "event", "average purchase", _average_order),
        Metric("first_purchase_at", "instant", "event", "first purchase", _stored("first_purchase_at")),
        Metric("last_purchase_at", "instant", "event", "last purchase", _stored("last_purchase_at")),
        Metric("tenure_days", "days", "clock", "days since the first purchase", _tenure, turns=_SINCE_FIRST),
        Metric("distinct_categories", "count", "event", "categories bought from", _distinct_categories),
        Metric("refund_rate", "ratio", "event", "share of purchases given back", _refund_rate),
        Metric("mean_gap_days", "days", "population", "usual days between purchases", _mean_gap, (MEDIAN_GAP,)),
        Metric("gap_ratio", "ratio", "clock", "silence, in usual gaps", _gap_ratio, (MEDIAN_GAP,), _IN_GAPS),
        Metric(
            "interactions_90d",
            "count",
            "clock",
            "interactions in 90 days",
            _stored("interactions_90d"),
            turns=_OF_LATE,
            facts=INTERACTIONS.name,
        ),
        Metric(
            "last_interaction_at",
            "instant",
            "event",
            "last interaction",
            _stored("last_interaction_at"),
            facts=INTERACTIONS.name,
        ),
        Metric(
            "product_share",
            "ratio",
            "event",
            "share of interactions about products",
            _share_of_interactions("product_interactions"),
            facts=INTERACTIONS.name,
        ),
        Metric(
            "service_share",
            "ratio",
            "event",
            "share of interactions about service",
            _share_of_interactions("service_interactions"),
            facts=INTERACTIONS.name,
        ),
        Metric("csat", "ratio", "event", "latest satisfaction", _stored("csat"), facts=FEEDBACK.name),
        Metric("nps_score", "ratio", "event", "latest recommendation", _stored("nps_score"), facts=FEEDBACK.name),
        Metric(
            "complaints_90d",
            "count",
            "clock",
            "complaints in 90 days",
            _stored("complaints_90d"),
            turns=_COMPLAINTS,
            facts=FEEDBACK.name,
        ),
        Metric(
            "probability_alive", "ratio", "population", "probability of not having left", _stored("probability_alive")
        ),
        Metric(
            "expected_purchases_365d",
            "count",
            "population",
            "purchases expected in the next 365 days",
            _stored("expected_purchases_365d"),
        ),
        Metric(
            "predicted_value_365d",
            "money",
            "population",
            "value expected in the next 365 days",
            _stored("predicted_value_365d"),
        ),
    )
}

PREDICTED = ("probability_alive", "expected_purchases_365d", "predicted_value_365d")
"""Metrics that a prediction writes; they stand until the next one."""

INSTANTS = {name for name, metric in METRICS.items() if metric.unit == "instant"}


def metric_type(name: str) -> TypeEngine[Any]:
    """The SQL type by which values compared with a metric are read."""
    unit = METRICS[name].unit
    if unit == "instant":
        return DateTime(timezone=True)
    return Numeric()


def read_value(name: str, value: Decimal) -> str:
    """A metric's value as people read it; instants are kept as seconds since 1970."""
    if METRICS[name].unit == "instant":
        return datetime.fromtimestamp(float(value), UTC).isoformat()
    return plain_decimal(value)
