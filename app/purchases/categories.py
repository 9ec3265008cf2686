"""The categories that customers have bought from."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    cast,
    distinct,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from app.purchases.models import purchase, purchase_line

NONE = cast(literal("{}"), ARRAY(Text))


def categories_bought(
    as_of: BindParameter[Any], who: Callable[[ColumnElement[Any]], ColumnElement[bool]]
) -> Select[Any]:
    """Per customer, the categories of the purchases up to `as_of`, each once and sorted; no row for none."""
    p = purchase.c
    return (
        select(p.customer_id, _each_once().label("categories"))
        .select_from(purchase.join(purchase_line, _is_line_of(purchase)))
        .where(who(p.customer_id), who(purchase_line.c.customer_id), p.occurred_at <= as_of, p.kind == "purchase")
        .group_by(p.customer_id)
    )


def categories_with(
    known: ColumnElement[Any], customer_id: ColumnElement[Any], which: ColumnElement[bool]
) -> ColumnElement[Any]:
    """The categories `known`, and those of the customer's purchases for which the condition holds."""
    p = purchase.c
    new = (
        select(purchase_line.c.category.label("category"))
        .select_from(purchase.join(purchase_line, _is_line_of(purchase)))
        # Both sides by the customer, so that no plan reads everybody's lines.
        .where(p.customer_id == customer_id, purchase_line.c.customer_id == customer_id)
        .where(which, p.kind == "purchase", purchase_line.c.category.is_not(None))
        .correlate_except(purchase, purchase_line)
    )
    before = select(func.unnest(known).label("category")).correlate_except()
    every = before.union(new).subquery("every")
    ordered = func.array_agg(aggregate_order_by(every.c.category, every.c.category), type_=ARRAY(Text))
    return select(func.coalesce(ordered, NONE)).select_from(every).correlate_except(every).scalar_subquery()


def _each_once() -> ColumnElement[Any]:
    category = purchase_line.c.category
    return func.array_agg(distinct(category), type_=ARRAY(Text)).filter(category.is_not(None))


def _is_line_of(bought: FromClause) -> ColumnElement[bool]:
    line = purchase_line.c
    return and_(line.customer_id == bought.c.customer_id, line.purchase_id == bought.c.id)
