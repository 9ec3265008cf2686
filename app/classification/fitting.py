"""Breakpoints: what the population decides, computed exactly. `publishing` puts them in force.

Values are kept as decimal strings under the names that the scheme's document gives them.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Date, Float, Numeric, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.classification.compile import StoredRow
from app.classification.definitions import (
    AbcDocument,
    AskingDocument,
    PopulationQuantile,
    Rfm8Document,
    RfmDocument,
    RulesDocument,
    ScoreDocument,
    SegmentDocument,
    StaticDocument,
)
from app.classification.engine import Scheme
from app.classification.metrics import Source
from app.classification.models import customer_metrics
from app.classification.refresh import AS_OF, scope_params, within
from app.classification.rules import interpolate, positions, rounded_down, weighted_quantile
from app.classification.walking import parts
from app.core import clock
from app.core.bounds import plain_decimal
from app.core.db import ReadSession
from app.core.errors import Invalid
from app.purchases.queries import gap_histogram

Fitted = tuple[int, dict[str, Any]]
"""How many customers decided, and the breakpoints as their JSON is kept."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Breakpoints of one scheme: how many customers they come from, and their values.

    `moved`: how many customers they decide otherwise than the ones before them (`previous_id`).
    """

    scheme: Scheme
    population: int
    values: dict[str, Any]
    previous_id: UUID | None = None
    moved: int | None = None


async def fit(session: ReadSession, each: Scheme, as_of: datetime) -> Fit:
    """Compute a scheme's breakpoints from the stored metrics (and, for gaps, from the purchases)."""
    population, values = await _FITTERS[type(each.document)](session, each.document, as_of)
    return Fit(each, population, values)


def _metrics_row(as_of: datetime) -> tuple[Any, StoredRow]:
    def no_breakpoint(name: str) -> Any:
        raise Invalid.at("", f"{name}: a metric that depends on the population cannot decide its own breakpoints")

    row = customer_metrics.alias("m")
    return row, StoredRow(Source(row, literal(clock.business_day(as_of), Date), no_breakpoint))


async def _fit_abc(session: ReadSession, document: AbcDocument, as_of: datetime) -> Fitted:
    """The smallest value of each class but the last; equal values are one group, so they share a class."""
    m, row = _metrics_row(as_of)
    value = row.metric(document.metric).label("value")
    groups = select(value, func.sum(value).label("worth")).select_from(m).where(value > 0).group_by(value).subquery()
    through = func.sum(groups.c.worth).over(order_by=groups.c.value.desc())
    running = select(
        groups.c.value,
        (through - groups.c.worth if document.rule == "crossing" else through).label("share"),
        func.sum(groups.c.worth).over().label("total"),
    ).subquery()
    edges = []
    for name, cut_off in zip(document.classes, document.cut_offs, strict=False):
        limit = literal(cut_off, Numeric) * running.c.total
        inside = running.c.share < limit if document.rule == "crossing" else running.c.share <= limit
        edges.append(func.min(running.c.value).filter(inside).label(name))
    found = await session.first(select(*edges))
    assert found is not None
    population = await session.scalar(select(func.count()).select_from(m))
    return population, _distinct_edges(document, found)


def _distinct_edges(document: AbcDocument, found: Any) -> dict[str, Any]:
    """An edge equal to the class above it means that nobody is in that class."""
    values: dict[str, Any] = {}
    above: Decimal | None = None
    for name in document.classes[:-1]:
        edge = found[name]
        values[name] = None if edge is None or edge == above else plain_decimal(edge)
        above = edge if edge is not None else above
    return values


async def _fit_rfm(session: ReadSession, document: RfmDocument, as_of: datetime) -> Fitted:
    """Value edges of each metric among customers with a purchase; none where the document gives them."""
    if document.edges is not None:
        return await _buyers(session), {}
    return await _quantile_edges(session, dict.fromkeys(document.metrics, document.bins), as_of)


async def _quantile_edges(session: ReadSession, bins: Mapping[str, int], as_of: datetime) -> Fitted:
    """The edges between so many equal bins of each metric's known values among customers with a purchase."""
    m, row = _metrics_row(as_of)
    known = [func.count(row.metric(name)).label(name) for name in bins]
    counts = await session.first(select(func.count().label("buyers"), *known).where(m.c.frequency > 0))
    assert counts is not None
    places = {name: positions(counts[name], _quantiles(bins[name])) for name in bins if counts[name]}
    values: dict[str, Any] = {name: [None] * (bins[name] - 1) for name in bins}
    if places:
        statement = select(*(_ranked(row, name, counts[name], places[name]).label(name) for name in places))
        ranked = await session.first(statement.where(m.c.frequency > 0))
        assert ranked is not None
        values |= {name: _edges(ranked[name], places[name]) for name in places}
    return counts["buyers"], values


def _quantiles(bins: int) -> list[Fraction]:
    return [Fraction(edge, bins) for edge in range(1, bins)]


def _ranked(row: StoredRow, name: str, known: int, places: Sequence[tuple[int, Fraction]]) -> ColumnElement[Any]:
    """For each place the values of the rank below it and of the next.

    percentile_disc at (rank + 1/2) / n is the value of that rank itself, not a float made of two.
    """
    ranks = [rank for place, _ in places for rank in (place, min(place + 1, known - 1))]
    fractions = literal([(rank + 0.5) / known for rank in ranks], ARRAY(Float))
    return func.percentile_disc(fractions).within_group(row.metric(name))


def _edges(ranked: Sequence[Decimal], places: Sequence[tuple[int, Fraction]]) -> list[str]:
    pairs = zip(ranked[0::2], ranked[1::2], places, strict=True)
    return [plain_decimal(interpolate(Decimal(low), Decimal(high), fraction)) for low, high, (_, fraction) in pairs]


async def _fit_rfm8(session: ReadSession, document: Rfm8Document, as_of: datetime) -> Fitted:
    """The mean of each metric among customers with a purchase, from an exact sum."""
    m, row = _metrics_row(as_of)
    columns = [
        column.label(f"{what}_{name}")
        for name in document.metrics
        for what, column in (("sum", func.sum(row.metric(name))), ("known", func.count(row.metric(name))))
    ]
    found = await session.first(select(func.count().label("buyers"), *columns).where(m.c.frequency > 0))
    assert found is not None
    values: dict[str, Any] = {}
    for name in document.metrics:
        total, known = found[f"sum_{name}"], found[f"known_{name}"]
        values[name] = plain_decimal(rounded_down(Fraction(total) / known)) if known else None
    return found["buyers"], values


async def _fit_score(session: ReadSession, document: ScoreDocument, as_of: datetime) -> Fitted:
    """Value edges of the parts that are scored in bins, and the quantiles that the qualifiers ask for."""
    bins = {part.metric: part.bins for part in document.parts if part.bins}
    population, values = await _quantile_edges(session, bins, as_of)
    return population, values | await _gap_quantiles(session, document.population, as_of)


async def _fit_asking(session: ReadSession, document: AskingDocument, as_of: datetime) -> Fitted:
    """The quantiles that the conditions ask for."""
    population = await session.scalar(select(func.count()).select_from(customer_metrics))
    return population, await _gap_quantiles(session, document.population, as_of)


async def _fit_nothing(session: ReadSession, _: StaticDocument, __: datetime) -> Fitted:
    return await session.scalar(select(func.count()).select_from(customer_metrics)), {}


async def _buyers(session: ReadSession) -> int:
    m = customer_metrics.c
    return int(await session.scalar(select(func.count()).select_from(customer_metrics).where(m.frequency > 0)))


async def _gap_quantiles(
    session: ReadSession, wanted: Mapping[str, PopulationQuantile], as_of: datetime
) -> dict[str, str]:
    """Quantiles of the population's gaps between purchase days; `otherwise` while there are none."""
    if not wanted:
        return {}
    gaps, first_gaps = await _gaps(session, as_of)
    histograms = {"gap_days": sorted(gaps.items()), "first_gap_days": sorted(first_gaps.items())}
    values = {}
    for name, each in wanted.items():
        quantile = weighted_quantile(histograms[each.of], each.quantile)
        values[name] = plain_decimal(each.otherwise if quantile is None else quantile)
    return values


async def _gaps(session: ReadSession, as_of: datetime) -> tuple[Counter[int], Counter[int]]:
    """How often each gap between purchase days occurs, and how often as a customer's first; read side by side."""
    counting = gap_histogram(AS_OF, lambda customer_id: within(customer_id, ranged=True))
    params = [{"as_of": as_of, **scope_params(part)} for part in await parts(session)]
    gaps: Counter[int] = Counter()
    first_gaps: Counter[int] = Counter()
    for rows in await asyncio.gather(*(session.all(counting, part) for part in params)):
        for row in rows:
            gaps[row["gap"]] += row["gaps"]
            first_gaps[row["gap"]] += row["first_gaps"]
    return gaps, first_gaps


_FITTERS: dict[type[Any], Callable[[ReadSession, Any, datetime], Awaitable[Fitted]]] = {
    AbcDocument: _fit_abc,
    RfmDocument: _fit_rfm,
    Rfm8Document: _fit_rfm8,
    RulesDocument: _fit_asking,
    ScoreDocument: _fit_score,
    SegmentDocument: _fit_asking,
    StaticDocument: _fit_nothing,
}
