"""Judged conditions and what is told of them, for the tests of words."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import true

from app.classification.definitions import IN, Fact
from app.classification.explanation.asking import Asked, Subject
from app.classification.explanation.judged import Judged, Need, need
from app.classification.explanation.steps import Step
from app.classification.explanation.told import Told
from app.classification.explanation.words import Words
from app.core.predicates import FactIs, HasEvents, Op
from tests.classification.documents import document
from tests.classification.explaining import KINDS


def events(op: str, value: Any, **more: Any) -> HasEvents:
    return HasEvents(event="purchase", where=[FactIs(property="category", op=Op(op), value=value)], **more)


TEA = events("eq", "tea", within_days=90)


def asked(
    subject: Subject, name: str, op: str, threshold: Any, value: str | None, *, met: bool = False, **more: Any
) -> Judged:
    comparison = Asked("silver", 0, subject, name, op, threshold, None, true(), fact=Fact.of_events(TEA))
    return Judged(replace(comparison, **more), value, threshold, met, [], None)


RECENCY = asked("metric", "recency_days", "lte", "30", "40")
FREQUENCY = asked("metric", "frequency", "gte", "3", "1")
MONETARY = asked("metric", "monetary_365d", "gt", "500", "20")
RETURNS = asked("metric", "refund_rate", "gte", "0.5", "0.25")
TENURE = asked("metric", "tenure_days", "gte", "90", "89")
TAG = asked("tag", "vip", "has", None, "false")
MEMBER = asked("member", "member", "has", None, "false")
REGION = asked("field", "region", "eq", "CN", "US")
JOINED = asked("field", "created_at", "gte", "2020-03-01", "2020-02-03 21:25:01.793125+00")
LEVEL = asked("class", "level", "ne", "low", "low")
SCORE = asked("score", "score", "gte", "40", "39")
EVENTS = asked("event", "purchase", "gte", "2", "1")
TOLD = Told(
    title="Spending",
    document=document(KINDS["spending"]),
    name="silver",
    decided="silver",
    since=datetime(2020, 1, 1, 12, tzinfo=UTC),
    in_force=True,
    fitted=True,
    pending=None,
    forced=False,
    forced_until=None,
    score=None,
    reasons=[],
    default=False,
    steps=[],
)

Said = Callable[[Words], str]


def condition(each: Judged, kind: str = "spending", **more: Any) -> Said:
    return lambda words: words.condition(document(KINDS[kind]), replace(each, **more))


def takes(each: Judged, *, met: bool = True, **more: Any) -> Said:
    return lambda words: words.need(replace(need(each, met=met), **more))


def asks(op: str, threshold: Any) -> Said:
    return lambda words: words.asks(Need(REGION, op, threshold))


def step(name: str, *needs: Judged, met: bool = True, **more: Any) -> Said:
    way = Step(name, "up", [need(each, met=met) for each in needs], **more)
    return lambda words: words.step(TOLD.document, TOLD.decided, way)


def enters(*needs: Judged, **more: Any) -> Said:
    way = Step(IN, "up", [need(each, met=True) for each in needs], **more)
    return lambda words: words.step(document(KINDS["here"]), None, way)


def leaves(*needs: Judged) -> Said:
    way = Step(None, "down", [need(each, met=False) for each in needs])
    return lambda words: words.step(document(KINDS["here"]), IN, way)


def whole(**told: Any) -> Said:
    if kind := told.pop("kind", None):
        told["document"] = document(KINDS[kind])
    return lambda words: words.whole(replace(TOLD, **told))
