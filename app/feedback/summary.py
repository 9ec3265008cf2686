"""What a customer's feedback comes to: the latest CSAT and NPS answers, and the complaints of late."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from app.customers.summaries import Summary, Who
from app.feedback.models import feedback

_f = feedback.c
_is_complaint = _f.kind == "complaint"


def _scores(measure: str) -> ColumnElement[Any]:
    """The scores of a measure, the latest first."""
    scores = func.array_agg(aggregate_order_by(_f.score, _f.occurred_at.desc(), _f.id.desc()))
    return cast(scores.filter(_f.measure == measure), ARRAY(Integer))


def _totals(as_of: ColumnElement[Any], window_from: ColumnElement[Any], who: Who) -> Select[Any]:
    late = _is_complaint & (_f.occurred_at > window_from)
    said = (
        select(
            _f.customer_id,
            _scores("csat").label("csat"),
            _scores("nps").label("nps"),
            func.count().filter(late).label("complaints_90d"),
            func.min(_f.occurred_at).filter(late).label("complaints_first_at"),
        )
        .where(who(_f.customer_id), _f.occurred_at <= as_of)
        .group_by(_f.customer_id)
        .subquery("said")
    )
    latest = (said.c.csat[1].label("csat"), said.c.nps[1].label("nps_score"))
    return select(said.c.customer_id, *latest, said.c.complaints_90d, said.c.complaints_first_at)


_facts = select(_f.customer_id, _f.occurred_at).where(_is_complaint | (_f.measure == "csat") | (_f.measure == "nps"))

SUMMARY = Summary(
    name="feedback",
    window=timedelta(days=90),
    windowed="complaints_90d",
    window_first_at="complaints_first_at",
    facts=_facts,
    windowed_facts=select(_f.customer_id, _f.occurred_at).where(_is_complaint),
    totals=_totals,
)
