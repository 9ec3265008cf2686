"""A portrait, put together."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, literal, select

from app.classification.metrics import METRICS
from app.classification.portraits import basics, habits
from app.classification.portraits.groups import Group
from app.classification.portraits.shares import ratio
from app.core import clock
from app.core.bounds import money_text, plain_decimal
from app.core.db import ReadSession, Record


async def portrait(session: ReadSession, group: Group) -> dict[str, Any]:
    """How many they are, what they are worth and what they are like, against everybody.

    A lift is their share divided by everybody's. Whose purchases are read, and how many, `measured` says. What is
    counted over everybody and what is read of the samples go side by side: each takes seconds of a million customers.
    """
    as_of = clock.business_now()
    (whole, likenesses), (medians, bought) = await asyncio.gather(
        _counted(session, group), _sampled(session, group, as_of)
    )
    return {
        "as_of": as_of,
        "customers": whole["inside"],
        "share": ratio(whole["inside"], whole["everybody"]),
        "monetary": whole["monetary_of_inside"],
        "monetary_share": ratio(whole["monetary_of_inside"], whole["monetary_of_everybody"]),
        "metrics": [_metric(name, whole, *medians) for name in basics.AVERAGED],
        **likenesses,
        **bought,
        "rhythm": {
            "mean_gap_days": whole["gap_inside"],
            "mean_gap_days_of_everybody": whole["gap_everybody"],
            **bought["rhythm"],
        },
    }


async def _counted(session: ReadSession, group: Group) -> tuple[Record, dict[str, list[Any]]]:
    whole = await basics.totals(session, group)
    return whole, await basics.likenesses(session, group, whole["inside"], whole["everybody"])


async def _sampled(session: ReadSession, group: Group, as_of: datetime) -> tuple[list[Record], dict[str, Any]]:
    inside, everybody = [await habits.draw(session, group, inside=which) for which in (True, False)]
    async with session.database.transaction() as own:
        # Of thousands of customers PostgreSQL would read everybody's purchases: four times as long, of a million.
        await own.all(select(func.set_config("enable_seqscan", "off", literal(True))))
        medians = [await habits.medians(own, sample) for sample in (inside, everybody)]
        return medians, await habits.bought(own, inside, everybody, as_of)


def _metric(name: str, whole: Record, medians: Record, usual_medians: Record) -> dict[str, Any]:
    metric = METRICS[name]
    written: Callable[[Decimal], str] = money_text if metric.unit == "money" else plain_decimal
    values = {
        "average": whole[f"{name}_inside"],
        "average_of_everybody": whole[f"{name}_everybody"],
        "median": medians[name],
        "median_of_everybody": usual_medians[name],
    }
    texts = {which: None if value is None else written(Decimal(value)) for which, value in values.items()}
    return {"name": name, "title": metric.title, "unit": metric.unit, **texts}
