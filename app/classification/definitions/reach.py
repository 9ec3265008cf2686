"""Rules that can never decide: they contradict themselves, or rules before them take everybody they could.

A condition is read as alternatives (any of), each a set of constraints (all of): a number between two bounds, a text
among some values, and whatever else is asked, taken as it stands. What cannot be decided that way has the benefit
of the doubt: a rule that is refused is certainly of no use, one that is accepted may be.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil, floor

from sqlalchemy import Text

from app.classification.metrics import INSTANTS, METRICS
from app.core.comparisons import Spelled
from app.core.predicates import (
    AllOf,
    AnyOf,
    BreakpointRef,
    ClassIs,
    FieldIs,
    HasEvents,
    MetricIs,
    Node,
    NotOf,
    Op,
)
from app.customers import fields

MAX_ALTERNATIVES = 16
_INFINITE = Decimal("Infinity")
_COUNTED = ("frequency", "frequency_365d", "interactions_90d", "complaints_90d")
"""Metrics that everybody has and that are never below zero."""
_WHOLE = (*_COUNTED, "recency_days", "tenure_days", "distinct_categories")

Bound = tuple[Decimal, int]
"""A number, and by how little the bound lies beside it: `> 5` begins at (5, 1), `< 5` ends at (5, -1)."""


@dataclass(frozen=True, slots=True)
class _Range:
    """The numbers from one bound to another."""

    low: Bound = (-_INFINITE, 0)
    high: Bound = (_INFINITE, 0)

    def within(self, other: "_Range") -> bool:
        return self.low >= other.low and self.high <= other.high

    def both(self, other: "_Range") -> "_Range | None":
        low, high = max(self.low, other.low), min(self.high, other.high)
        return _Range(low, high) if low <= high else None


_ANY_NUMBER = _Range()
_COUNT = _Range(low=(Decimal(0), 0))


@dataclass(frozen=True, slots=True)
class _Constraints:
    """What must all hold: numbers in ranges, texts among values, and conditions taken as they stand."""

    ranges: dict[str, _Range] = field(default_factory=dict)
    texts: dict[str, frozenset[str]] = field(default_factory=dict)
    others: frozenset[str] = frozenset()

    def both(self, other: "_Constraints") -> "_Constraints | str":
        """What holds when both do, or the subject of their contradiction."""
        ranges, texts = dict(self.ranges), dict(self.texts)
        for subject, one in other.ranges.items():
            found = one.both(ranges.get(subject, _ANY_NUMBER))
            if found is None:
                return subject
            ranges[subject] = found
        for subject, values in other.texts.items():
            texts[subject] = values & texts.get(subject, values)
            if not texts[subject]:
                return subject
        others = self.others | other.others
        for each in others:
            if _opposite(each) in others:
                return each.removeprefix(_NOT)
            if each.removeprefix(_NULL) in ranges or each.removeprefix(_NULL) in texts:
                return each.removeprefix(_NULL)
        return _Constraints(ranges, texts, others)

    def number_within(self, subject: str, ranges: Iterable[_Range]) -> bool:
        """Whether the subject is a known number of one of the ranges."""
        one = self.ranges.get(subject, _COUNT if _domain(subject) is _COUNT else None)
        return one is not None and any(one.within(each) for each in ranges)

    def imply(self, other: "_Constraints") -> bool:
        """Whether the other's constraints hold wherever these do."""
        return (
            other.others <= self.others
            and all(self.number_within(each, [one]) for each, one in other.ranges.items())
            and all(each in self.texts and self.texts[each] <= values for each, values in other.texts.items())
        )


_NULL, _NOT = "unknown ", "not "
_Alternatives = list[_Constraints]


def unreachable(rules: Sequence[Node]) -> dict[int, str]:
    """Which of these ordered rules can never decide, and why."""
    found: dict[int, str] = {}
    before: list[tuple[int, _Alternatives]] = []
    for n, rule in enumerate(rules):
        contradictions: list[str] = []
        alternatives = _alternatives(rule, contradictions)
        why = _why(alternatives, contradictions, before)
        if why is not None:
            found[n] = why
        before.append((n, alternatives))
    return found


def _why(
    alternatives: _Alternatives, contradictions: list[str], before: Sequence[tuple[int, _Alternatives]]
) -> str | None:
    if not alternatives:
        about = ", ".join(dict.fromkeys(contradictions))
        return f"can never hold: what it asks of {about} contradicts itself" if about else "can never hold"
    for n, earlier in before:
        if _Constraints() in earlier:
            return f"never decides: rule {n + 1} always holds"
        if all(any(one.imply(each) for each in earlier) for one in alternatives):
            return f"never decides: whoever it holds for, rule {n + 1} holds for before"
    taken = _taken([each for _, earlier in before for each in earlier])
    if all(any(one.number_within(subject, ranges) for subject, ranges in taken.items()) for one in alternatives):
        return "never decides: the rules before it take everybody it holds for"
    return None


def _taken(alternatives: Iterable[_Constraints]) -> dict[str, list[_Range]]:
    """Numbers that alone decide: of each subject, the ranges that are taken, put together where they touch."""
    ranges: dict[str, list[_Range]] = {}
    for each in alternatives:
        if len(each.ranges) == 1 and not each.texts and not each.others:
            ((subject, one),) = each.ranges.items()
            ranges.setdefault(subject, []).append(one)
    return {subject: list(_joined(subject, found)) for subject, found in ranges.items()}


def _joined(subject: str, ranges: Iterable[_Range]) -> Iterator[_Range]:
    current: _Range | None = None
    for each in sorted(ranges, key=lambda one: one.low):
        if current is None:
            current = each
        elif each.low <= _next(subject, current.high):
            current = _Range(current.low, max(current.high, each.high))
        else:
            yield current
            current = each
    if current is not None:
        yield current


def _next(subject: str, bound: Bound) -> Bound:
    """The lowest bound that leaves no number between."""
    return (bound[0] + 1, 0) if _whole(subject) else (bound[0], bound[1] + 1)


# ---- conditions as alternatives --------------------------------------------------------------------------------------


def _alternatives(node: Node, contradictions: list[str], *, negated: bool = False) -> _Alternatives:
    match node:
        case NotOf():
            return _alternatives(node.part, contradictions, negated=not negated)
        case AllOf() | AnyOf():
            parts = [_alternatives(part, contradictions, negated=negated) for part in node.parts]
            if isinstance(node, AllOf) != negated:
                return _product(node.parts, parts, contradictions, negated=negated)
            together = [each for part in parts for each in part]
            return together if len(together) <= MAX_ALTERNATIVES else [_as_it_stands(node, negated=negated)]
        case _:
            return _of_leaf(node, negated=negated)


def _product(
    nodes: Sequence[Node], parts: Sequence[_Alternatives], contradictions: list[str], *, negated: bool
) -> _Alternatives:
    product = [_Constraints()]
    for node, part in zip(nodes, parts, strict=True):
        fitting = part if len(product) * len(part) <= MAX_ALTERNATIVES else [_as_it_stands(node, negated=negated)]
        pairs = [one.both(other) for one in product for other in fitting]
        contradictions += [each for each in pairs if isinstance(each, str)]
        product = [each for each in pairs if not isinstance(each, str)]
    return product


def _as_it_stands(node: Node, *, negated: bool) -> _Constraints:
    text = node.model_dump_json(by_alias=True)
    return _Constraints(others=frozenset([_NOT + text if negated else text]))


def _opposite(condition: str) -> str:
    return condition.removeprefix(_NOT) if condition.startswith(_NOT) else _NOT + condition


def _of_leaf(leaf: Node, *, negated: bool) -> _Alternatives:
    match leaf:
        case MetricIs() if leaf.op is Op.IS_NULL:
            return _of_null(leaf.metric, is_null=leaf.value is not negated)
        case MetricIs() if leaf.metric not in INSTANTS and not isinstance(leaf.value, BreakpointRef):
            values = leaf.value if isinstance(leaf.value, list) else [leaf.value]
            numbers = sorted({Decimal(str(value)) for value in values})
            if leaf.op is not Op.NOT_IN and (len(numbers) == 1 or not negated):
                return _of_number(leaf.metric, leaf.op, numbers, leaf, negated=negated)
        case HasEvents():
            return _of_events(leaf, negated=negated)
        case ClassIs() | FieldIs() if leaf.op in (Op.EQ, Op.IN) and not negated and _is_text(leaf):
            texts = frozenset(map(str, leaf.value if isinstance(leaf.value, list) else [leaf.value]))
            return [_Constraints(texts={_text_name(leaf): texts})]
        case ClassIs() | FieldIs() if leaf.op is Op.IS_NULL:
            return _of_null(_text_name(leaf), is_null=leaf.value is not negated)
    return [_as_it_stands(leaf, negated=negated)]


def _text_name(leaf: ClassIs | FieldIs) -> str:
    return f"class {leaf.scheme}" if isinstance(leaf, ClassIs) else f"field {leaf.field}"


def _is_text(leaf: ClassIs | FieldIs) -> bool:
    if isinstance(leaf, ClassIs):
        return True
    kind = fields.field(leaf.field).type
    return isinstance(kind, Text) and not isinstance(kind, Spelled)


def _of_null(subject: str, *, is_null: bool) -> _Alternatives:
    unknown = _Constraints(others=frozenset([_NULL + subject]))
    if subject in _COUNTED:
        return [] if is_null else [_Constraints()]
    if is_null:
        return [unknown]
    if subject in METRICS:
        return [_Constraints(ranges={subject: _ANY_NUMBER})]
    return [_Constraints(others=frozenset([_NOT + _NULL + subject]))]


def _of_number(metric: str, op: Op, numbers: Sequence[Decimal], leaf: Node, *, negated: bool) -> _Alternatives:
    """The ranges that a comparison allows; its opposite also holds for whoever has no such number."""
    if len(numbers) > MAX_ALTERNATIVES:
        return [_as_it_stands(leaf, negated=negated)]
    ranges = [each for number in numbers for each in _ranges(op, number, negated=negated)]
    found = [_of_range(metric, each) for each in ranges]
    if negated and metric not in _COUNTED:
        found.append(_Constraints(others=frozenset([_NULL + metric])))
    return [each for each in found if each is not None]


def _ranges(op: Op, number: Decimal, *, negated: bool) -> list[_Range]:
    below, at_most = _Range(high=(number, -1)), _Range(high=(number, 0))
    above, at_least = _Range(low=(number, 1)), _Range(low=(number, 0))
    same = _Range((number, 0), (number, 0))
    ways: dict[Op, tuple[list[_Range], list[_Range]]] = {
        Op.LT: ([below], [at_least]),
        Op.LTE: ([at_most], [above]),
        Op.GT: ([above], [at_most]),
        Op.GTE: ([at_least], [below]),
        Op.EQ: ([same], [below, above]),
        Op.IN: ([same], [below, above]),
        Op.NE: ([below, above], [same]),
    }
    return ways[op][negated]


def _of_events(leaf: HasEvents, *, negated: bool) -> _Alternatives:
    subject = "events " + leaf.model_dump_json(by_alias=True, exclude={"count"})
    low, high = leaf.count.gte, leaf.count.lte
    fewer = [] if low is None else [_Range(high=(Decimal(low), -1))]
    more = [] if high is None else [_Range(low=(Decimal(high), 1))]
    enough = _Range((Decimal(low or 0), 0), (_INFINITE if high is None else Decimal(high), 0))
    asked = [*fewer, *more] if negated else [enough]
    found = [_of_range(subject, each) for each in asked]
    return [each for each in found if each is not None]


def _of_range(subject: str, asked: _Range) -> _Constraints | None:
    """The range as a constraint: none where it leaves the subject free, None where no number is in it."""
    domain = _domain(subject)
    found = (_rounded(asked) if _whole(subject) else asked).both(domain)
    if found is None:
        return None
    return _Constraints() if domain is _COUNT and found == domain else _Constraints(ranges={subject: found})


def _domain(subject: str) -> _Range:
    return _COUNT if subject in _COUNTED or subject.startswith("events ") else _ANY_NUMBER


def _whole(subject: str) -> bool:
    return subject in _WHOLE or subject.startswith("events ")


def _rounded(asked: _Range) -> _Range:
    """The whole numbers of a range: its bounds are among them."""
    (low, beside), (high, before) = asked.low, asked.high
    if low.is_finite():
        low = Decimal(floor(low) + 1 if beside else ceil(low))
    if high.is_finite():
        high = Decimal(ceil(high) - 1 if before else floor(high))
    return _Range((low, 0), (high, 0))
