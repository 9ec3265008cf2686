"""How customers come back: what models of repeat purchases need to know of each."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Float, Integer, Numeric, Select, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from app.purchases.models import purchase


def repeat_purchases(
    as_of: BindParameter[Any],
    as_of_day: BindParameter[Any],
    who: Callable[[ColumnElement[Any]], ColumnElement[bool]],
) -> Select[Any]:
    """Customers with a purchase up to `as_of`: `repeats`, days with one after the first; `recency` and `age`, days from
    the first to the last and to `as_of_day`; `spend`, the mean of the repeat days in the base currency, to the cent.

    A day is one purchase, whatever was bought on it; refunds do not count. One walk along `ix_purchase_metrics`.
    """
    p = purchase.c
    days = (
        select(p.customer_id, p.occurred_on, func.sum(p.base_amount).label("spent"))
        .where(who(p.customer_id), p.occurred_at <= as_of, p.base_amount >= 0)
        .group_by(p.customer_id, p.occurred_on)
        .subquery("days")
    )
    d = days.c
    repeats, first, last = func.count() - 1, func.min(d.occurred_on), func.max(d.occurred_on)
    spent_first = func.array_agg(aggregate_order_by(d.spent, d.occurred_on), type_=ARRAY(Numeric))[1]
    mean = func.round((func.sum(d.spent) - spent_first) / func.nullif(repeats, 0), 2)
    return select(
        d.customer_id,
        cast(repeats, Integer).label("repeats"),
        cast(last - first, Integer).label("recency"),
        cast(func.greatest(as_of_day, last) - first, Integer).label("age"),
        cast(func.coalesce(mean, 0), Float).label("spend"),
    ).group_by(d.customer_id)
