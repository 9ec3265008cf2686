"""Purchases and refunds on a customer's timeline."""

from sqlalchemy import Text, cast, func, literal, select

from app.customers.timeline import TimelinePart
from app.purchases.models import purchase

MONEY = "FM99999999999990.0099"

_p = purchase.c

TIMELINE = TimelinePart(
    "purchases:read",
    select(
        _p.customer_id,
        _p.occurred_at.label("at"),
        cast(_p.id, Text).label("id"),
        func.jsonb_build_object(
            literal("kind", Text),
            _p.kind,
            literal("amount", Text),
            func.to_char(_p.amount, MONEY),
            literal("currency", Text),
            _p.currency,
            literal("order_ref", Text),
            _p.order_ref,
        ).label("details"),
    ),
)
