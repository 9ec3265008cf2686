"""Counting a customer's purchases or refunds: what a predicate may ask of events."""

from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, cast, func, select

from app.core.errors import Invalid
from app.core.predicates import HasEvents, compare
from app.purchases.models import purchase, purchase_line

EVENTS = ("purchase", "refund")
_AMOUNT = purchase.c.base_amount
_OF_PURCHASE = {"amount": func.abs(_AMOUNT, type_=_AMOUNT.type), "currency": purchase.c.currency}
_OF_LINE = {name: purchase_line.c[name] for name in ("product_ref", "product_name", "category", "quantity")}


def count_events(
    leaf: HasEvents, customer_id: ColumnElement[Any], within: ColumnElement[bool], pointer: str = ""
) -> ColumnElement[int]:
    """How many of these events the customer has; `within` bounds when they occurred."""
    p = purchase.c
    counted = (
        select(cast(func.count(), Integer))
        .select_from(purchase)
        .where(p.customer_id == customer_id, p.kind == leaf.event, within, *conditions_of(leaf, pointer))
    )
    return counted.scalar_subquery()


def earliest_event(
    leaf: HasEvents, customer_id: ColumnElement[Any], within: ColumnElement[bool], pointer: str = ""
) -> ColumnElement[Any]:
    """When the earliest of them occurred; NULL without any."""
    p = purchase.c
    found = (
        select(func.min(p.occurred_at))
        .select_from(purchase)
        .where(p.customer_id == customer_id, p.kind == leaf.event, within, *conditions_of(leaf, pointer))
    )
    return found.scalar_subquery()


def conditions_of(leaf: HasEvents, pointer: str = "") -> list[ColumnElement[bool]]:
    """What is asked of one event; all that is asked of its lines must hold for one and the same line.

    Raises `Invalid` for an unknown event or property, or a comparison that does not fit it.
    """
    if leaf.event not in EVENTS:
        raise Invalid.at(f"{pointer}/event", f"there is no event {leaf.event}; there are: {', '.join(EVENTS)}")
    conditions: list[ColumnElement[bool]] = []
    of_one_line: list[ColumnElement[bool]] = []
    for n, asked in enumerate(leaf.where):
        at = f"{pointer}/where/{n}"
        if asked.property in _OF_PURCHASE:
            conditions.append(compare(_OF_PURCHASE[asked.property], asked.op, asked.value, at))
        elif asked.property in _OF_LINE:
            of_one_line.append(compare(_OF_LINE[asked.property], asked.op, asked.value, at))
        else:
            known = ", ".join([*_OF_PURCHASE, *_OF_LINE])
            raise Invalid.at(f"{at}/property", f"an event has no {asked.property}; it has: {known}")
    if of_one_line:
        line = purchase_line.c
        of_this = and_(line.customer_id == purchase.c.customer_id, line.purchase_id == purchase.c.id)
        conditions.append(select(line.purchase_id).where(of_this, *of_one_line).correlate(purchase).exists())
    return conditions
