"""Comparisons with their answers: value, threshold, met or not, what can change them and when time does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import ceil, floor
from typing import Any

from app.classification.definitions import BaseDocument, ScoreDocument
from app.classification.explanation.asking import INVERTED, Asked
from app.classification.metrics import METRICS, PREDICTED
from app.core import clock
from app.core.bounds import plain_decimal
from app.core.db import Record

NUMBERS = ("metric", "event", "score")
"""What has a distance from its threshold."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A comparison as it came out. `turns_on`: the first day on which it comes out otherwise if nothing happens."""

    asked: Asked
    value: str | None
    threshold: str | list[str] | None
    met: bool
    freshness: list[str]
    turns_on: date | None

    @property
    def gap(self) -> str | None:
        """Threshold minus value: positive when the value lies below."""
        return gap(self.value, self.threshold) if self.asked.subject in NUMBERS else None

    @property
    def op(self) -> str:
        """How the value must compare for the document to be content: the other way round under a `not`."""
        return inverted(self.asked.op, self.threshold)[0] if self.asked.negated else self.asked.op

    @property
    def content(self) -> bool:
        """Whether it is as the document wants it."""
        return self.met != self.asked.negated


@dataclass(frozen=True, slots=True)
class Need:
    """How a comparison would have to come out; `within_days`, when the window that counts soon loses a fact."""

    judged: Judged
    op: str
    threshold: str | list[str] | None
    within_days: int | None = None

    @property
    def is_bought(self) -> bool:
        """Whether it takes a purchase."""
        if self.judged.asked.subject != "metric":
            return False
        ops = {"frequency": ("gt", "gte"), "frequency_365d": ("gt", "gte")}
        ops |= {"recency_days": ("lt", "lte"), "gap_ratio": ("lt", "lte")}
        return self.op in ops.get(self.judged.asked.name, ())

    @property
    def rises(self) -> bool:
        """Whether a number has to grow."""
        return self.op in ("gte", "gt") and self.judged.gap is not None

    @property
    def whole_gap(self) -> int:
        """How many more of something counted are needed."""
        gap = Decimal(self.judged.gap or 0)
        return floor(gap) + 1 if self.op == "gt" else ceil(gap)

    def data(self) -> dict[str, Any]:
        return {
            "subject": self.judged.asked.subject,
            "metric": self.judged.asked.name,
            "op": self.op,
            "threshold": self.threshold,
            "value": self.judged.value,
            "gap": self.judged.gap,
            "within_days": self.within_days,
        }


def need(judged: Judged, *, met: bool) -> Need:
    """The comparison coming out as `met`."""
    op, threshold = judged.asked.op, judged.threshold
    if not met:
        op, threshold = inverted(op, threshold)
    if op == "ne" and judged.asked.name == "frequency" and judged.value == threshold:
        op = "gt"  # purchases only become more
    return Need(judged, op, threshold)


def inverted(op: str, threshold: Any) -> tuple[str, Any]:
    """The comparison that holds exactly when this one does not."""
    if op == "is_null":
        return op, "false" if threshold == "true" else "true"
    return INVERTED[op], threshold


def judge(
    document: BaseDocument,
    comparisons: Sequence[Asked],
    rows: Sequence[Record],
    fitted: Mapping[str, Any],
    used: Mapping[str, list[str]],
) -> list[Judged]:
    """Every comparison as it comes out at the first of `rows`; the later ones are the days ahead.

    `used` says what can change the classes of the schemes that are read.
    """
    first = rows[0]
    values = dict(zip(document.metrics, first["inputs"], strict=True))
    facts = dict(zip(document.facts, first["facts"], strict=True))
    found = []
    for n, each in enumerate(comparisons):
        turned = next((row["at"] for row in rows if row["met"][n] != first["met"][n]), None)
        if each.fact is not None:
            value = facts[each.fact]
        else:
            value = str(first["score"]) if each.subject == "score" and first["score"] is not None else None
            value = values[each.name] if each.subject == "metric" else value
        found.append(
            Judged(
                each,
                plain(value),
                _threshold(document, each, fitted),
                first["met"][n],
                _freshness(document, each, used),
                None if turned is None else clock.business_day(turned),
            )
        )
    return found


def _threshold(document: BaseDocument, each: Asked, fitted: Mapping[str, Any]) -> Any:
    return _text(each.limit) if each.breakpoint is None else document.read_breakpoint(each.breakpoint, fitted)


def _text(limit: Any) -> Any:
    if limit is None:
        return None
    if isinstance(limit, list):
        return [str(each) for each in limit]
    return str(limit).lower() if isinstance(limit, bool) else str(limit)


def _freshness(document: BaseDocument, each: Asked, used: Mapping[str, list[str]]) -> list[str]:
    kinds = _kinds(document, each, used)
    if each.breakpoint is not None:
        kinds.add("population")
    return [kind for kind in ("event", "clock", "population") if kind in kinds]


def _kinds(document: BaseDocument, each: Asked, used: Mapping[str, list[str]]) -> set[str]:
    match each.subject:
        case "metric":
            return _of_metric(each.name)
        case "score":
            assert isinstance(document, ScoreDocument)
            fitted = {"population"} if any(part.breakpoints for part in document.parts) else set[str]()
            return fitted.union(*(_of_metric(part.metric) for part in document.parts))
        case "class":
            return set(used.get(each.name, ["event"]))
        case "event":
            return {"event", "clock"} if each.fact and each.fact.events.within_days else {"event"}
        case _:
            return {"event"}


def _of_metric(name: str) -> set[str]:
    metric = METRICS[name]
    kinds: set[str] = {metric.freshness}
    if name not in PREDICTED:
        kinds.add("event")
    if metric.population:
        kinds.add("population")
    return kinds


def gap(value: str | None, threshold: Any) -> str | None:
    """Threshold minus value; None where either is no number."""
    try:
        return plain_decimal(Decimal(str(threshold)) - Decimal(str(value)))
    except ArithmeticError:
        return None


def plain(value: str | None) -> str | None:
    """A number without trailing zeros; anything else as it is."""
    if value is None:
        return None
    try:
        return plain_decimal(Decimal(value))
    except ArithmeticError:
        return value
