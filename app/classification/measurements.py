"""A customer's metrics, as people read them."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Date, Numeric, Text, cast, literal, select

from app.classification.metrics import MEDIAN_GAP, METRICS, PREDICTED, Source
from app.classification.models import breakpoints, customer_metrics, scheme
from app.classification.predictions.queries import why_absent
from app.core import clock
from app.core.bounds import money_text, plain_decimal
from app.core.db import ReadSession


def population_median() -> ColumnElement[Any]:
    """The population's median gap, from the latest fit of any scheme that needs it; NULL before the first."""
    median = cast(breakpoints.c["values"][MEDIAN_GAP].astext, Numeric(30, 10))
    return (
        select(median)
        .join(scheme, scheme.c.breakpoints_id == breakpoints.c.id)
        .where(breakpoints.c["values"].has_key(MEDIAN_GAP))
        .order_by(breakpoints.c.fitted_at.desc())
        .limit(1)
        .scalar_subquery()
    )


def source_of(row: Any, day: Any) -> Source:
    """The stored metrics `row` as of a day, for questions outside any one scheme."""
    return Source(row, literal(day, Date), lambda _: population_median())


async def of_customer(session: ReadSession, customer_id: UUID, as_of: datetime) -> dict[str, Any]:
    """Every metric of a customer; null values before the first purchase."""
    m = customer_metrics.alias("m")
    source = source_of(m, clock.business_day(as_of))
    found = await session.first(
        select(*(cast(metric.expression(source), Text).label(name) for name, metric in METRICS.items())).where(
            m.c.customer_id == customer_id
        )
    )
    absent = found is None or any(found[name] is None for name in PREDICTED)
    notes = await why_absent(session) if absent else {}
    items = [
        {
            "name": name,
            "title": metric.title,
            "unit": metric.unit,
            "value": _readable(found[name] if found else None, metric.unit),
            "note": notes.get(name) if found is None or found[name] is None else None,
        }
        for name, metric in METRICS.items()
    ]
    return {"as_of": as_of, "items": items}


def _readable(value: str | None, unit: str) -> str | None:
    if value is None:
        return None
    if unit == "instant":
        return datetime.fromisoformat(value).isoformat()
    return money_text(Decimal(value)) if unit == "money" else plain_decimal(Decimal(value))
