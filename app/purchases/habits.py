"""When some customers buy and what they buy most: counts over many purchases, for portraits."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Select,
    Subquery,
    Text,
    and_,
    any_,
    cast,
    extract,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from app.purchases.models import purchase, purchase_line

Who = Callable[[ColumnElement[Any]], ColumnElement[bool]]
TIMES = {"weekday": range(1, 8), "month": range(1, 13), "hour": range(24)}
"""What purchases are counted by: ISO weekdays (1 is Monday), months, hours of the day."""


def purchases_by_time(as_of: BindParameter[Any], zone: str, who: Who) -> Select[Any]:
    """How many purchases up to `as_of` fell on each weekday, month and hour in the zone, and their sum.

    One row for each that occurs, the columns of the other two being null; refunds do not count. `ix_purchase_metrics`
    is all that is read.
    """
    p = purchase.c
    moments = (
        select(
            cast(extract("isodow", p.occurred_on), Integer).label("weekday"),
            cast(extract("month", p.occurred_on), Integer).label("month"),
            cast(extract("hour", func.timezone(literal(zone, Text), p.occurred_at)), Integer).label("hour"),
            p.base_amount,
        )
        .where(who(p.customer_id), p.occurred_at <= as_of, p.base_amount >= 0)
        .subquery("moments")
    )
    times = [moments.c[name] for name in TIMES]
    sets = func.grouping_sets(*(tuple_(time) for time in times))
    return select(*times, func.count().label("purchases"), func.sum(moments.c.base_amount).label("amount")).group_by(
        sets
    )


def most_bought(as_of: BindParameter[Any], who: Who, limit: int) -> Select[Any]:
    """The categories that most purchases up to `as_of` have a line of: `purchases`, and `amount` in base currency."""
    found = _by_category(_per_purchase(as_of, who))
    return found.order_by(func.count().desc(), "category").limit(limit)


def bought_of(as_of: BindParameter[Any], who: Who, categories: Sequence[str]) -> Select[Any]:
    """The same of these categories."""
    return _by_category(
        _per_purchase(as_of, who, purchase_line.c.category == any_(literal(list(categories), ARRAY(Text))))
    )


def _by_category(bought: Subquery) -> Select[Any]:
    amount = func.coalesce(func.sum(bought.c.amount), 0).label("amount")
    return select(bought.c.category, func.count().label("purchases"), amount).group_by(bought.c.category)


def _per_purchase(as_of: BindParameter[Any], who: Who, *which: ColumnElement[bool]) -> Subquery:
    """The categories of each purchase, once, with what their lines cost together; lines are in its own currency."""
    p, line = purchase.c, purchase_line.c
    rate = p.base_amount / func.nullif(p.amount, 0)
    is_line = and_(line.customer_id == p.customer_id, line.purchase_id == p.id)
    return (
        select(line.category, func.sum(line.amount * rate).label("amount"))
        .select_from(purchase.join(purchase_line, is_line))
        # Both sides by the customer, so that no plan reads everybody's lines.
        .where(who(p.customer_id), who(line.customer_id), p.occurred_at <= as_of, p.kind == "purchase")
        .where(line.category.is_not(None), *which)
        .group_by(p.customer_id, p.id, line.category)
        .subquery("bought")
    )
