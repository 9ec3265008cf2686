"""How many they are, what they are worth, and what their records and classes say: counted over everybody."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Numeric,
    Select,
    and_,
    cast,
    func,
    literal,
    select,
    true,
    tuple_,
)

from app.classification.measurements import source_of
from app.classification.metrics import METRICS
from app.classification.models import customer_class, customer_metrics
from app.classification.portraits.groups import Group
from app.classification.portraits.shares import share
from app.core import clock
from app.core.db import ReadSession, Record

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
_channels: dict[str, Select[Any]] = {}


def add_channels(ways: Mapping[str, Select[Any]]) -> None:
    """Ways by which customers come, by name: selects of (customer_id, value), one row or more a customer."""
    _channels.update(ways)


async def totals(session: ReadSession, group: Group) -> Record:
    """Counts, revenue, the averages of `AVERAGED` and the mean gap, each `…_inside` and `…_everybody`."""
    found = await session.first(_totals(group))
    assert found is not None
    return found


async def likenesses(session: ReadSession, group: Group, inside: int, everybody: int) -> dict[str, list[Any]]:
    """Shares of classes, of what the record says, and of channels."""
    seen = group.seen
    statements = {
        "classes": _classes(group),
        "kinds": _top(seen, seen, seen.c.kind),
        "regions": _top(seen, seen, seen.c.region),
        "languages": _top(seen, seen, seen.c.language),
        "tags": _top(seen, seen, func.unnest(seen.c.tags).column_valued("tag")),
    }
    found = {what: await session.all(statement) for what, statement in statements.items()}
    channels = [
        {**row, "channel": name}
        for name, way in _channels.items()
        for row in await session.all(_among(seen, way.subquery("way")))
    ]
    return {
        what: [share(row, inside, everybody) for row in rows] for what, rows in {**found, "channels": channels}.items()
    }


def _totals(group: Group) -> Select[Any]:
    m, seen = customer_metrics.alias("m"), group.seen
    source = source_of(m, clock.business_day(clock.business_now()))
    inside = seen.c.is_inside
    monetary = func.coalesce(m.c.monetary, 0)
    columns: list[ColumnElement[Any]] = [
        func.count().filter(inside).label("inside"),
        func.count().label("everybody"),
        func.coalesce(func.sum(monetary).filter(inside), 0).label("monetary_of_inside"),
        func.coalesce(func.sum(monetary), 0).label("monetary_of_everybody"),
    ]
    for metric in AVERAGED:
        value = cast(METRICS[metric].expression(source), Numeric)
        columns += _both(metric, func.avg(value), inside)
    for name, which in (("inside", inside), ("everybody", true())):
        gaps = and_(which, m.c.purchase_days > 1)
        days = func.sum(cast(m.c.last_purchase_on - m.c.first_purchase_on, Integer)).filter(gaps)
        gap = cast(days, Numeric) / func.sum(m.c.purchase_days - 1).filter(gaps)
        columns.append(func.round(gap, literal(4)).label(f"gap_{name}"))
    return select(*columns).select_from(seen.outerjoin(m, m.c.customer_id == seen.c.id))


def _both(name: str, value: Any, inside: ColumnElement[bool]) -> list[ColumnElement[Any]]:
    return [
        func.round(value.filter(inside), literal(4)).label(f"{name}_inside"),
        func.round(value, literal(4)).label(f"{name}_everybody"),
    ]


def _classes(group: Group) -> Select[Any]:
    """Everybody is counted in the classes that occur inside only; who sees all needs no more than the index for it."""
    k, seen = customer_class, group.seen
    other = true() if group.scheme is None else k.c.scheme != group.scheme
    members = k.join(seen, and_(seen.c.id == k.c.customer_id, seen.c.is_inside))
    inside = _number(k).select_from(members).where(other).subquery("inside")
    among: FromClause = k if group.sees_all else k.join(seen, seen.c.id == k.c.customer_id)
    occurring = tuple_(k.c.scheme, k.c.class_).in_(select(inside.c.scheme, inside.c["class"]))
    everybody = _number(k).select_from(among).where(occurring).subquery("everybody")
    is_same = and_(everybody.c.scheme == inside.c.scheme, everybody.c["class"] == inside.c["class"])
    return (
        select(
            *(inside.c.scheme, inside.c["class"]),
            inside.c.customers.label("inside"),
            everybody.c.customers.label("everybody"),
        )
        .select_from(inside.join(everybody, is_same))
        .order_by(inside.c.scheme, inside.c["class"])
    )


def _number(k: Any) -> Select[Any]:
    name = k.c.class_.label("class")
    return select(k.c.scheme, name, func.count().label("customers")).group_by(k.c.scheme, k.c.class_)


def _among(seen: FromClause, way: FromClause) -> Select[Any]:
    return _top(seen, seen.join(way, way.c.customer_id == seen.c.id), way.c.value)


def _top(seen: FromClause, rows: FromClause, value: ColumnElement[Any]) -> Select[Any]:
    inside = func.count().filter(seen.c.is_inside)
    return (
        select(value.label("value"), inside.label("inside"), func.count().label("everybody"))
        .select_from(rows)
        .where(value.is_not(None))
        .group_by(value)
        .having(inside > 0)
        .order_by(inside.desc(), value)
        .limit(TOP)
    )
