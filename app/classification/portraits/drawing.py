"""A portrait, put together."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from app.classification.metrics import METRICS
from app.classification.portraits import basics, habits
from app.classification.portraits.groups import Group
from app.classification.portraits.shares import ratio
from app.core import clock
from app.core.bounds import money_text, plain_decimal
from app.core.db import ReadSession, Record


async def portrait(session: ReadSession, group: Group) -> dict[str, Any]:
    """How many they are, what they are worth and what they are like, against everybody.

    A lift is their share divided by everybody's. Whose purchases are read, and how many, `measured` says.
    """
    as_of = clock.business_now()
    whole = await basics.totals(session, group)
    inside, everybody = [await habits.draw(session, group, inside=which) for which in (True, False)]
    medians = [await habits.medians(session, sample) for sample in (inside, everybody)]
    likenesses = await basics.likenesses(session, group, whole["inside"], whole["everybody"])
    bought = await habits.bought(session, inside, everybody, as_of)
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
