"""What a customer's interactions come to: how many, how many of late, the last, and what they were about."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from app.customers.summaries import Summary, Who
from app.interactions.models import interaction

i = interaction.c


def _totals(as_of: ColumnElement[Any], window_from: ColumnElement[Any], who: Who) -> Select[Any]:
    """Read from `ix_interaction_of_customer` alone."""
    inside = i.occurred_at > window_from
    return (
        select(
            i.customer_id,
            func.count().label("interactions"),
            func.count().filter(i.matter == "product").label("product_interactions"),
            func.count().filter(i.matter == "service").label("service_interactions"),
            func.count().filter(inside).label("interactions_90d"),
            func.max(i.occurred_at).label("last_interaction_at"),
            func.min(i.occurred_at).filter(inside).label("interactions_first_at"),
        )
        .where(who(i.customer_id), i.occurred_at <= as_of)
        .group_by(i.customer_id)
    )


_facts = select(i.customer_id, i.occurred_at)

SUMMARY = Summary(
    name="interactions",
    window=timedelta(days=90),
    windowed="interactions_90d",
    window_first_at="interactions_first_at",
    facts=_facts,
    windowed_facts=_facts,
    totals=_totals,
)
