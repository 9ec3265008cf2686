"""Breakpoints: what the population decides, computed exactly and put in force for everybody at once.

Values are kept as decimal strings under the names that the scheme's document gives them.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Date, Float, Numeric, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.classification.compile import StoredRow
from app.classification.definitions import AbcDocument, RfmDocument, RulesDocument
from app.classification.engine import Scheme, exclude_evaluation
from app.classification.metrics import Source
from app.classification.models import breakpoints, customer_metrics, scheme
from app.classification.refresh import AS_OF, NOBODY, Range, scope_params, within
from app.classification.rules import interpolate, positions, weighted_quantile
from app.core import clock
from app.core.bounds import plain_decimal
from app.core.db import ReadSession, WriteSession
from app.core.errors import Invalid
from app.core.settings import get_settings
from app.customers.queries import customer_count, nth_customer_after
from app.purchases.queries import gap_histogram


@dataclass(frozen=True, slots=True)
class Fit:
    """Breakpoints of one scheme: how many customers they come from, and their values."""

    scheme: Scheme
    population: int
    values: dict[str, Any]


async def fit(session: ReadSession, each: Scheme, as_of: datetime) -> Fit:
    """Compute a scheme's breakpoints from the stored metrics (and, for gaps, from the purchases)."""
    population, values = await _FITTERS[type(each.document)](session, each.document, as_of)
    return Fit(each, population, values)


async def put_in_force(
    session: WriteSession, fits: Sequence[Fit], *, as_of: datetime, recalculation_id: UUID | None
) -> None:
    """Record the breakpoints and make them the ones in force, when no request is evaluating."""
    await exclude_evaluation(session)
    for each in fits:
        fitted_id = await session.scalar(
            insert(breakpoints)
            .values(
                scheme=each.scheme.key,
                version=each.scheme.version,
                as_of=as_of,
                population=each.population,
                values=each.values,
                recalculation_id=recalculation_id,
            )
            .returning(breakpoints.c.id)
        )
        await session.execute(update(scheme).where(scheme.c.key == each.scheme.key).values(breakpoints_id=fitted_id))


def _metrics_row(as_of: datetime) -> tuple[Any, StoredRow]:
    def no_breakpoint(name: str) -> Any:
        raise Invalid.at("", f"{name}: a metric that depends on the population cannot decide its own breakpoints")

    row = customer_metrics.alias("m")
    return row, StoredRow(Source(row, literal(clock.business_day(as_of), Date), no_breakpoint))


async def _fit_abc(session: ReadSession, document: AbcDocument, as_of: datetime) -> tuple[int, dict[str, Any]]:
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


async def _fit_rfm(session: ReadSession, document: RfmDocument, as_of: datetime) -> tuple[int, dict[str, Any]]:
    """Value edges of each metric among customers with a purchase, interpolated in exact decimals."""
    m, row = _metrics_row(as_of)
    buyers = select(m).where(m.c.frequency > 0)
    population = await session.scalar(select(func.count()).select_from(buyers.subquery()))
    if not population:
        return 0, {metric: [None] * (document.bins - 1) for metric in document.metrics}
    quantiles = [Decimal(edge) / document.bins for edge in range(1, document.bins)]
    places = positions(population, quantiles)
    ranks = [rank for place, _ in places for rank in (place, min(place + 1, population - 1))]
    # percentile_disc at (rank + 1/2) / n is the value of that rank itself, not a float made of two.
    fractions = literal([(rank + 0.5) / population for rank in ranks], ARRAY(Float))
    statement = select(
        *(func.percentile_disc(fractions).within_group(row.metric(name)).label(name) for name in document.metrics)
    ).where(m.c.frequency > 0)
    found = await session.first(statement)
    assert found is not None
    return population, {name: _edges(found[name], places) for name in document.metrics}


def _edges(ranked: Sequence[Any], places: Sequence[tuple[int, Decimal]]) -> list[str]:
    pairs = zip(ranked[0::2], ranked[1::2], places, strict=True)
    return [plain_decimal(interpolate(Decimal(low), Decimal(high), fraction)) for low, high, (_, fraction) in pairs]


async def _fit_rules(session: ReadSession, document: RulesDocument, as_of: datetime) -> tuple[int, dict[str, Any]]:
    """Quantiles of the population's gaps between purchase days; `otherwise` while there are none."""
    population = await session.scalar(select(func.count()).select_from(customer_metrics))
    if not document.population:
        return population, {}
    gaps, first_gaps = await _gaps(session, as_of)
    histograms = {"gap_days": sorted(gaps.items()), "first_gap_days": sorted(first_gaps.items())}
    values = {}
    for name, wanted in document.population.items():
        quantile = weighted_quantile(histograms[wanted.of], wanted.quantile)
        values[name] = plain_decimal(wanted.otherwise if quantile is None else quantile)
    return population, values


async def _gaps(session: ReadSession, as_of: datetime) -> tuple[Counter[int], Counter[int]]:
    """How often each gap between purchase days occurs, and how often as a customer's first; read side by side."""
    counting = gap_histogram(AS_OF, lambda customer_id: within(customer_id, ranged=True))
    parts = [{"as_of": as_of, **scope_params(part)} for part in await _parts(session)]
    gaps: Counter[int] = Counter()
    first_gaps: Counter[int] = Counter()
    for rows in await asyncio.gather(*(session.all(counting, part) for part in parts)):
        for row in rows:
            gaps[row["gap"]] += row["gaps"]
            first_gaps[row["gap"]] += row["first_gaps"]
    return gaps, first_gaps


async def _parts(session: ReadSession) -> list[Range]:
    """Everybody in as many ranges as there are lanes."""
    lanes = get_settings().recalculation_lanes
    size = -(-await customer_count(session) // lanes)
    parts: list[Range] = []
    after = NOBODY
    while size and (up_to := await nth_customer_after(session, after, size)) is not None:
        parts.append(Range(after, up_to))
        after = up_to
    return parts


_FITTERS: dict[type[Any], Callable[[ReadSession, Any, datetime], Awaitable[tuple[int, dict[str, Any]]]]] = {
    AbcDocument: _fit_abc,
    RfmDocument: _fit_rfm,
    RulesDocument: _fit_rules,
}
