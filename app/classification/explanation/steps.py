"""The way to the neighbouring classes, kind by kind: what would have to come out otherwise.

PostgreSQL has judged the present; here one value at a time is imagined just beyond a threshold, and the document says
which class that is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Literal

from app.classification.definitions import (
    IN,
    AbcDocument,
    BaseDocument,
    Rfm8Document,
    RfmDocument,
    RulesDocument,
    ScoreDocument,
    SegmentDocument,
    StaticDocument,
)
from app.classification.explanation.judged import Judged, Need, need
from app.classification.explanation.points import alternatives
from app.classification.explanation.trees import deciding, holds, missing
from app.classification.metrics import METRICS

Direction = Literal["up", "down", "earlier_rule", "later_rule"]
NEVER_FALLS = ("frequency", "tenure_days")
_LITTLE = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Step:
    """A neighbouring class: all of `needs` together, or one of `alternatives`, lead there; or time alone, `on` a day.

    `stands_on`: the day on which the class itself follows, after grace. A name of None is no class at all.
    """

    name: str | None
    direction: Direction
    needs: list[Need]
    alternatives: list[Need] = field(default_factory=list)
    on: date | None = None
    stands_on: date | None = None


@dataclass(frozen=True, slots=True)
class Present:
    """What was decided, with the comparisons and, for scores, the points of each part."""

    decided: str | None
    score: int | None
    judged: Sequence[Judged]
    values: Mapping[str, str | None] = field(default_factory=dict)
    points: Sequence[Decimal | None] = ()

    @property
    def truths(self) -> dict[str, bool]:
        return {each.asked.pointer: each.met for each in self.judged if each.asked.pointer}

    @property
    def by_pointer(self) -> dict[str, Judged]:
        return {each.asked.pointer: each for each in self.judged if each.asked.pointer}


def steps(document: BaseDocument, present: Present) -> list[Step]:
    """The neighbours and the way to each; none that cannot be reached."""
    return [each for each in _KINDS[type(document)](document, present) if all(map(_is_possible, each.needs))]


def _is_possible(each: Need) -> bool:
    if each.judged.asked.name not in NEVER_FALLS or each.judged.asked.subject != "metric":
        return True
    falls = each.op in ("lt", "lte") or (each.op == "eq" and (each.judged.gap or "0").startswith("-"))
    return not falls and each.op != "is_null"


def _abc(document: AbcDocument, present: Present) -> Iterator[Step]:
    """One class up is reached by the nearest edge not met; one down is below the edge that is met.

    A class without an edge has no members, and none can be reached.
    """
    edges = [each for each in present.judged if each.threshold is not None]
    unmet, met = [each for each in edges if not each.met], [each for each in edges if each.met]
    if unmet:
        yield Step(unmet[-1].asked.target, "up", [need(unmet[-1], met=True)])
    if met:
        below = edges[edges.index(met[0]) + 1 :]
        name = below[0].asked.target if below else document.classes[-1]
        yield Step(name, "down", [need(met[0], met=False)])


def _rfm(document: RfmDocument, present: Present) -> Iterator[Step]:
    """For each score alone, the nearest better and worse one that is another segment.

    Equal edges are crossed together: where half of all customers bought once, no customer has the score 2.
    """
    score = document.read_score(present.score)
    if score is None:
        return
    for group, letter in enumerate("rfm"[: document.dimensions]):
        edges = [each for each in present.judged if each.asked.group == group and each.threshold is not None]
        unmet, met = [each for each in edges if not each.met], [each for each in edges if each.met]
        # The edges rise: recency is met from some edge on, frequency up to some edge.
        ways = (unmet[::-1], met) if letter == "r" else (unmet, met[::-1])
        for crossed, direction in zip(ways, ("up", "down"), strict=True):
            better = direction == "up"
            for n, edge in enumerate(crossed):
                if n + 1 < len(crossed) and crossed[n + 1].threshold == edge.threshold:
                    continue
                there = {**score, letter: score[letter] + (n + 1) * (1 if better else -1)}
                name = document.segment_of(there["r"], there["f"], there["m"])
                if name != present.decided:
                    yield Step(name, "up" if better else "down", [need(edge, met=better)])
                    break


def _rfm8(document: Rfm8Document, present: Present) -> Iterator[Step]:
    """Each metric alone on the other side of its mean."""
    score = document.read_score(present.score)
    for letter, each in zip("rfm", present.judged, strict=True):
        if score is not None:
            there = {**score, letter: 1 - score[letter]}
            name = document.classes["".join(str(there[axis]) for axis in "rfm")]
            yield Step(name, "down" if each.met else "up", [need(each, met=not each.met)])


def _score(document: ScoreDocument, present: Present) -> Iterator[Step]:
    """The next class above, by points and whatever else it asks; the one below, when the points or that are lost."""
    if present.score is None or present.decided is None:
        return
    names = document.class_names
    here = names.index(present.decided)
    marks = {each.asked.target: each for each in present.judged if each.asked.subject == "score"}
    if here > 0:
        above = document.thresholds[here - 1]
        mark, truths = marks[above.name], present.truths
        asks = [] if mark.met else [need(mark, met=True)]
        if above.when is not None:
            lacking = missing(above.when, _asked_at(here - 1), truths)
            asks += [need(present.by_pointer[at], met=not truths[at]) for at in lacking]
        some = [] if mark.met else _by_points(document, present, above.at_least)
        yield Step(names[here - 1], "up", asks, some)
    if here < len(names) - 1:
        yield from _lost(document, present, here, marks)


def _lost(document: ScoreDocument, present: Present, here: int, marks: Mapping[str, Judged]) -> Iterator[Step]:
    """Which class is left when the points are lost, or what else the deciding threshold asks."""
    own, truths = document.thresholds[here], present.truths
    if own.at_least > 0:
        fewer = {each.name: each.at_least < own.at_least for each in document.thresholds}
        yield Step(_reached(document, fewer, truths), "down", [need(marks[own.name], met=False)])
    if own.when is not None:
        points = {name: mark.met for name, mark in marks.items()}
        for at in deciding(own.when, _asked_at(here), truths):
            name = _reached(document, points, _imagined(present, {at: not truths[at]}))
            if name != own.name:
                better = document.class_names.index(name) < here
                yield Step(name, "up" if better else "down", [need(present.by_pointer[at], met=not truths[at])])


def _reached(document: ScoreDocument, points: Mapping[str, bool], truths: Mapping[str, bool]) -> str:
    """The class by which thresholds the points reach, and what is true."""
    for n, each in enumerate(document.thresholds):
        if points[each.name] and (each.when is None or holds(each.when, _asked_at(n), truths)):
            return each.name
    return document.default


def _asked_at(n: int) -> str:
    return f"/thresholds/{n}/when"


def _by_points(document: ScoreDocument, present: Present, at_least: int) -> list[Need]:
    return alternatives(document, present.points, present.values, present.judged, at_least)


def _rules(document: RulesDocument, present: Present) -> Iterator[Step]:
    """What the rules before the deciding one still ask for; and what comes when the deciding one lets go."""
    truths = present.truths
    here = next((n for n, rule in enumerate(document.rules) if holds(rule.when, _at(n), truths)), len(document.rules))
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for n in range(here):
        lacking = missing(document.rules[n].when, _at(n), truths)
        name = _decides(document, _imagined(present, {at: not truths[at] for at in lacking}))
        if name == document.rules[n].name and name != present.decided and (name, tuple(lacking)) not in seen:
            seen.add((name, tuple(lacking)))
            asks = [need(present.by_pointer[at], met=not truths[at]) for at in lacking]
            yield Step(name, "earlier_rule", _without_implied(asks))
    if here < len(document.rules):
        for at in deciding(document.rules[here].when, _at(here), truths):
            name = _decides(document, _imagined(present, {at: not truths[at]}))
            if name != present.decided:
                yield Step(name, "later_rule", [need(present.by_pointer[at], met=not truths[at])])


def _without_implied(needs: list[Need]) -> list[Need]:
    """Whoever makes more purchases has ended the silence."""
    counted = any(each.is_bought and each.judged.asked.name.startswith("frequency") for each in needs)
    silence = ("recency_days", "gap_ratio")
    return [each for each in needs if not (counted and each.is_bought and each.judged.asked.name in silence)]


def _at(n: int) -> str:
    return f"/rules/{n}/when"


def _decides(document: RulesDocument, truths: Mapping[str, bool]) -> str:
    held = (rule.name for n, rule in enumerate(document.rules) if holds(rule.when, _at(n), truths))
    return next(held, document.default)


def _segment(document: SegmentDocument, present: Present) -> Iterator[Step]:
    """What is still asked of whoever is not in; what would take out whoever is."""
    truths = present.truths
    if present.decided is None:
        lacking = missing(document.when, "/when", truths)
        yield Step(IN, "up", [need(present.by_pointer[at], met=not truths[at]) for at in lacking])
        return
    for at in deciding(document.when, "/when", truths):
        if not holds(document.when, "/when", _imagined(present, {at: not truths[at]})):
            yield Step(None, "down", [need(present.by_pointer[at], met=not truths[at])])


def _static(_: StaticDocument, __: Present) -> Iterator[Step]:
    return iter(())


_KINDS: dict[type[Any], Callable[[Any, Present], Iterator[Step]]] = {
    AbcDocument: _abc,
    RfmDocument: _rfm,
    Rfm8Document: _rfm8,
    RulesDocument: _rules,
    ScoreDocument: _score,
    SegmentDocument: _segment,
    StaticDocument: _static,
}


# ---- one value, just beyond its threshold ----------------------------------------------------------------------------


def _imagined(present: Present, turned: Mapping[str, bool]) -> dict[str, bool]:
    """The truths when these comparisons come out so: others of the same value follow it."""
    truths = present.truths
    for at, wanted in turned.items():
        changed = present.by_pointer[at]
        value = _just_beyond(changed, met=wanted)
        for other in present.judged:
            if not other.asked.pointer or _subject(other) != _subject(changed):
                continue
            if value is not None and (found := _compared(value, other)) is not None:
                truths[other.asked.pointer] = found
            elif (other.asked.op, other.threshold) == (changed.asked.op, changed.threshold):
                truths[other.asked.pointer] = wanted
        truths[at] = wanted
    needs = [need(present.by_pointer[at], met=wanted) for at, wanted in turned.items()]
    if any(each.is_bought for each in needs):
        named = {each.judged.asked.name for each in needs if each.judged.asked.subject == "metric"}
        truths |= _after_a_purchase(present, named)
    return truths


def _after_a_purchase(present: Present, named: set[str]) -> dict[str, bool]:
    """What a purchase does besides: the silence ends, and it counts."""
    values = {"recency_days": Decimal(0), "gap_ratio": Decimal(0)}
    if not named & {"frequency", "frequency_365d"}:
        for name in ("frequency", "frequency_365d"):
            values[name] = Decimal(present.values.get(name) or 0) + 1
    return {
        each.asked.pointer: found
        for each in present.judged
        if each.asked.pointer and each.asked.subject == "metric" and each.asked.name in values.keys() - named
        if (found := _compared(values[each.asked.name], each)) is not None
    }


def _subject(each: Judged) -> tuple[Any, ...]:
    return each.asked.subject, each.asked.name, each.asked.fact if each.asked.subject == "event" else None


def _just_beyond(each: Judged, *, met: bool) -> Decimal | None:
    """A value with which the comparison comes out so, as near to its threshold as values come."""
    if each.asked.subject != "metric":
        return None
    wanted = need(each, met=met)
    try:
        limit = Decimal(str(wanted.threshold))
    except ArithmeticError:
        return None
    is_whole = METRICS[each.asked.name].unit in ("count", "days") and each.asked.name != "mean_gap_days"
    match wanted.op:
        case "gt" | "ne":
            return limit.to_integral_value(ROUND_FLOOR) + 1 if is_whole else limit + _LITTLE
        case "lt":
            return limit.to_integral_value(ROUND_CEILING) - 1 if is_whole else limit - _LITTLE
        case "gte":
            return limit.to_integral_value(ROUND_CEILING) if is_whole else limit
        case "lte":
            return limit.to_integral_value(ROUND_FLOOR) if is_whole else limit
        case "eq":
            return limit
    return None


def _compared(value: Decimal, other: Judged) -> bool | None:
    given = other.threshold if isinstance(other.threshold, list) else [other.threshold]
    try:
        limits = [Decimal(str(each)) for each in given]
    except ArithmeticError:
        return None
    limit = limits[0]
    return {
        "gte": value >= limit,
        "gt": value > limit,
        "lte": value <= limit,
        "lt": value < limit,
        "eq": value == limit,
        "ne": value != limit,
        "in": value in limits,
        "not_in": value not in limits,
    }.get(other.asked.op)
