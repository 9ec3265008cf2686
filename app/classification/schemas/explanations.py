"""Explanations: why a customer is in its class, and what leads to the next one."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypeAliasType

from app.classification.schemas.classes import OverrideInForce, PendingOut, Score
from app.core.bounds import Out
from app.core.languages import Language

Subject = Literal["metric", "field", "tag", "class", "event", "member", "score"]
Freshness = Literal["event", "clock", "population"]
Thresholds = TypeAliasType("Thresholds", list[str])
Threshold = TypeAliasType("Threshold", str | Thresholds)

_NEED: dict[str, Any] = {
    "subject": "metric",
    "metric": "monetary_365d",
    "op": "gte",
    "threshold": "10000",
    "value": "8760",
    "gap": "1240",
    "within_days": 27,
}
_CONDITION: dict[str, Any] = {
    "class": "gold",
    "group": 0,
    "subject": "metric",
    "metric": "monetary_365d",
    "op": "gte",
    "negated": False,
    "pointer": "/rules/0/when",
    "threshold": "10000",
    "breakpoint": None,
    "threshold_from": "constant",
    "threshold_as_of": None,
    "value": "8760",
    "met": False,
    "gap": "1240",
    "freshness": ["event", "clock"],
    "turns_on": None,
    "sentence": "Purchases minus refunds in 365 days: 8,760.00 CNY; gold asks for at least 10,000.00 CNY: not met.",
}
_NEXT: dict[str, Any] = {
    "class": "gold",
    "direction": "earlier_rule",
    "needs": [_NEED],
    "alternatives": [],
    "on": None,
    "stands_on": None,
    "sentence": "For gold: 1,240.00 CNY more within 27 days.",
}
_EXPLANATION: dict[str, Any] = {
    "scheme": "spending",
    "version": 1,
    "kind": "rules",
    "language": "en",
    "sentence": "Spending: silver since 2026-01-10, because purchases minus refunds in 365 days are 8,760.00 CNY"
    " (at least 5,000.00 CNY). Drops to bronze on 2026-03-01 if nothing is bought.",
    "class": "silver",
    "decided": "silver",
    "score": None,
    "since": "2026-01-10T09:30:00Z",
    "as_of": "2026-02-01T00:00:00Z",
    "in_force": True,
    "pending": None,
    "override": None,
    "breakpoints": None,
    "breakpoints_as_of": None,
    "inputs": [
        {
            "metric": "monetary_365d",
            "title": "purchases minus refunds in 365 days",
            "unit": "money",
            "value": "8760",
        }
    ],
    "parts": None,
    "conditions": [_CONDITION],
    "next": [_NEXT],
    "outlook": [{"on": "2026-03-01", "decided": "bronze", "class": "bronze"}],
}


class InputOut(Out):
    """A metric that the scheme reads, and its value."""

    metric: str
    title: str
    unit: str
    value: str | None


class NeedOut(Out):
    """What stands between a value and a threshold; `gap` is threshold minus value.

    `metric` is the metric, or the name of whatever else is compared: the field, the tag, the scheme, the event.
    `within_days`: the window that counts loses a purchase after so many days, or the class drops.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_NEED]})

    subject: Subject
    metric: str
    op: str
    threshold: Threshold | None
    value: str | None
    gap: str | None
    within_days: int | None


class ConditionOut(Out):
    """One comparison that the scheme makes; those of one group belong together.

    `negated`: it stands under a `not`, so that the scheme wants it not met. `threshold_from` says whether the document
    gives the threshold or the population, as of `threshold_as_of`. `freshness` says what can change the comparison;
    `turns_on` is the first day on which it comes out otherwise if nothing happens.
    """

    model_config = ConfigDict(populate_by_name=True, json_schema_extra={"examples": [_CONDITION]})

    name: str = Field(alias="class")
    group: int
    subject: Subject
    metric: str
    op: str
    negated: bool
    pointer: str | None = Field(description="leads to the condition in the document, where it stands in a tree")
    threshold: Threshold | None
    breakpoint: str | None
    threshold_from: Literal["constant", "population"]
    threshold_as_of: datetime | None
    value: str | None
    met: bool
    gap: str | None
    freshness: list[Freshness]
    turns_on: date | None
    sentence: str


class NextClassOut(Out):
    """A neighbouring class and what leads there: all `needs` together, or where only points lack, an alternative.

    `on`: the day on which the decision becomes this class if nothing happens; `stands_on`: the day on which the class
    follows, after grace. `class` is null where one would be in no class at all.
    """

    model_config = ConfigDict(populate_by_name=True, json_schema_extra={"examples": [_NEXT]})

    name: str | None = Field(alias="class")
    direction: Literal["up", "down", "earlier_rule", "later_rule"]
    needs: list[NeedOut]
    alternatives: list[NeedOut]
    on: date | None
    stands_on: date | None
    sentence: str


class PartOut(Out):
    """The points that a score gives for one metric."""

    metric: str
    value: str | None
    points: str | None
    at_most: str
    by: Literal["bins", "edges", "linear"]


class OutlookOut(Out):
    """What is decided and what class stands from a day on, if nothing happens."""

    model_config = ConfigDict(populate_by_name=True)

    on: date
    decided: str | None
    name: str | None = Field(alias="class")


class PendingReasonOut(PendingOut):
    """What the class becomes on that business day, unless the customer's decision changes, and why it waits."""

    reason: Literal["grace", "next_period", "minimum_stay"]


class ExplanationOut(Out):
    """A decision laid open. `class` stands; `decided` is what the document says of the inputs as of `as_of`.

    `sentence` tells the whole in the `language` asked for. `in_force` is false when, at a past instant, no version or
    no breakpoints were in force yet: then the first ones judged.
    """

    model_config = ConfigDict(populate_by_name=True, json_schema_extra={"examples": [_EXPLANATION]})

    scheme: str
    version: int
    kind: str
    language: Language
    sentence: str
    name: str | None = Field(alias="class")
    decided: str | None
    score: Score | None
    since: datetime | None
    as_of: datetime
    in_force: bool
    pending: PendingReasonOut | None
    override: OverrideInForce | None
    breakpoints: dict[str, Any] | None
    breakpoints_as_of: datetime | None
    inputs: list[InputOut]
    parts: list[PartOut] | None = Field(description="of a score, the points of each part; else null")
    conditions: list[ConditionOut]
    next: list[NextClassOut]
    outlook: list[OutlookOut]
