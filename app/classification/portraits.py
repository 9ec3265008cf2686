"""Portraits: who the customers of a class are, against everybody whom one may see; computed in SQL."""

from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Numeric, Select, Subquery, and_, cast, func, literal, select

from app.classification.measurements import source_of
from app.classification.metrics import METRICS
from app.classification.models import customer_class, customer_metrics
from app.core import clock
from app.core.bounds import money_text, plain_decimal
from app.core.db import ReadSession, Record
from app.customers.document import visible_to
from app.customers.models import customer
from app.identity.actor import Actor

AVERAGED = (
    "monetary",
    "frequency",
    "monetary_365d",
    "frequency_365d",
    "average_order",
    "recency_days",
    "tenure_days",
    "refund_rate",
)
TOP = 10


async def portrait(session: ReadSession, actor: Actor, permission: str, *, key: str, name: str) -> dict[str, Any]:
    """The customers of a class among those the permission reaches: how many, what they are worth, what they are like.

    A lift is their share divided by everybody's.
    """
    seen = _seen(actor, permission, key, name)
    whole = await session.first(_averages(seen))
    assert whole is not None
    inside, everybody = whole["inside"], whole["everybody"]
    shares = {
        "classes": _classes(seen, key),
        "regions": _top(seen, seen.c.region),
        "tags": _top(seen, func.unnest(seen.c.tags).column_valued("tag")),
    }
    rows = {what: await session.all(statement) for what, statement in shares.items()}
    return {
        "customers": inside,
        "share": _ratio(inside, everybody),
        "monetary": whole["monetary"],
        "monetary_share": _ratio(whole["monetary"], whole["monetary_of_everybody"]),
        "metrics": [_metric(metric, whole) for metric in AVERAGED],
        **{what: [_share(row, inside, everybody) for row in found] for what, found in rows.items()},
    }


def _seen(actor: Actor, permission: str, key: str, name: str) -> Subquery:
    """Everybody whom the actor may see, and who of them is inside."""
    k = customer_class.c
    is_inside = and_(k.customer_id == customer.c.id, k.scheme == key, k.class_ == name)
    return (
        select(customer.c.id, customer.c.region, customer.c.tags, k.customer_id.is_not(None).label("is_inside"))
        .select_from(customer.outerjoin(customer_class, is_inside))
        .where(visible_to(actor, permission))
        .subquery("seen")
    )


def _averages(seen: Subquery) -> Select[Any]:
    m = customer_metrics.alias("m")
    source = source_of(m, clock.business_day(clock.business_now()))
    inside = seen.c.is_inside
    monetary = func.coalesce(m.c.monetary, 0)
    columns: list[ColumnElement[Any]] = [
        func.count().filter(inside).label("inside"),
        func.count().label("everybody"),
        func.coalesce(func.sum(monetary).filter(inside), 0).label("monetary"),
        func.coalesce(func.sum(monetary), 0).label("monetary_of_everybody"),
    ]
    for metric in AVERAGED:
        value = cast(METRICS[metric].expression(source), Numeric)
        columns.append(func.round(func.avg(value).filter(inside), literal(4)).label(f"{metric}_inside"))
        columns.append(func.round(func.avg(value), literal(4)).label(f"{metric}_everybody"))
    return select(*columns).select_from(seen.outerjoin(m, m.c.customer_id == seen.c.id))


def _classes(seen: Subquery, key: str) -> Select[Any]:
    other = customer_class.alias("other")
    joined = seen.join(other, and_(other.c.customer_id == seen.c.id, other.c.scheme != key))
    return _counted(seen, joined, other.c.scheme, other.c.class_).order_by(other.c.scheme, other.c.class_)


def _top(seen: Subquery, value: ColumnElement[Any]) -> Select[Any]:
    counted = _counted(seen, seen, value.label("value"))
    return counted.where(value.is_not(None)).order_by(func.count().filter(seen.c.is_inside).desc(), value).limit(TOP)


def _counted(seen: Subquery, rows: FromClause, *groups: ColumnElement[Any]) -> Select[Any]:
    inside = func.count().filter(seen.c.is_inside)
    return (
        select(*groups, inside.label("inside"), func.count().label("everybody"))
        .select_from(rows)
        .group_by(*groups)
        .having(inside > 0)
    )


def _metric(name: str, whole: Record) -> dict[str, Any]:
    metric = METRICS[name]
    averages = {
        "average": whole[f"{name}_inside"],
        "average_of_everybody": whole[f"{name}_everybody"],
    }
    written = money_text if metric.unit == "money" else plain_decimal
    texts = {which: None if value is None else written(Decimal(value)) for which, value in averages.items()}
    return {"name": name, "title": metric.title, "unit": metric.unit, **texts}


def _share(row: Record, inside: int, everybody: int) -> dict[str, Any]:
    share, usual = _ratio(row["inside"], inside), _ratio(row["everybody"], everybody)
    lift = round(row["inside"] * everybody / (inside * row["everybody"]), 4)
    return {**row, "customers": row["inside"], "share": share, "share_of_everybody": usual, "lift": lift}


def _ratio(part: Any, whole: Any) -> float:
    return float(round(Decimal(part) / Decimal(whole), 6)) if whole else 0.0
