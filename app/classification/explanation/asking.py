"""Every comparison that a document makes, kind by kind, as the SQL that decides and as people can follow it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import ColumnElement, Numeric, literal

from app.classification.compile import Row, condition, expression
from app.classification.definitions import (
    IN,
    AbcDocument,
    BaseDocument,
    Fact,
    Rfm8Document,
    RfmDocument,
    RulesDocument,
    ScoreDocument,
    SegmentDocument,
    StaticDocument,
)
from app.core.bounds import plain_decimal
from app.core.predicates import (
    AllOf,
    AnyOf,
    BreakpointRef,
    ClassIs,
    FieldIs,
    HasEvents,
    HasTag,
    HowMany,
    Leaf,
    MetricIs,
    Node,
    NotOf,
)

Subject = Literal["metric", "field", "tag", "class", "event", "member", "score"]
INVERTED = {
    "gte": "lt",
    "lt": "gte",
    "lte": "gt",
    "gt": "lte",
    "eq": "ne",
    "ne": "eq",
    "in": "not_in",
    "not_in": "in",
    "within": "not_within",
    "contains": "not_contains",
    "between": "not_between",
    "has": "has_not",
}
INVERTED |= {inverse: op for op, inverse in INVERTED.items()}


@dataclass(frozen=True, slots=True)
class Asked:
    """One comparison: what it is for, what it compares with what, and its SQL.

    `limit` is the document's own value and `breakpoint` the name of the population's. `pointer` leads to the
    condition in the document; `negated` where it stands under a `not`. `fact` is read by what is no metric.
    """

    target: str
    group: int
    subject: Subject
    name: str
    op: str
    limit: Any
    breakpoint: str | None
    met: ColumnElement[bool]
    pointer: str = ""
    negated: bool = False
    fact: Fact | None = None


def asked(document: BaseDocument, row: Row) -> list[Asked]:
    """Every comparison, in the order in which the document makes them."""
    return list(_KINDS[type(document)](document, row))


def _abc(document: AbcDocument, row: Row) -> Iterator[Asked]:
    value = row.metric(document.metric)
    for n, name in enumerate(document.classes[:-1]):
        yield Asked(name, n, "metric", document.metric, "gte", None, name, value >= row.breakpoint(name))


def _rfm(document: RfmDocument, row: Row) -> Iterator[Asked]:
    for group, (letter, metric) in enumerate(zip("rfm", document.metrics, strict=True)):
        names = [f"{metric}_{edge}" for edge in range(document.bins - 1)]
        for edge, (limit, given, name) in enumerate(_edges(row, document.fixed_edges(metric), names)):
            value = row.metric(metric)
            target = f"r{document.bins - edge}" if letter == "r" else f"{letter}{edge + 2}"
            op, met = ("lte", value <= limit) if letter == "r" else ("gt", value > limit)
            yield Asked(target, group, "metric", metric, op, given, name, met)


def _edges(
    row: Row, fixed: Sequence[Decimal] | None, names: Sequence[str]
) -> Iterator[tuple[ColumnElement[Any], Any, Any]]:
    """Each edge in SQL, with its value where the document gives it and its name where the population does."""
    if fixed is None:
        yield from ((row.breakpoint(name), None, name) for name in names)
    else:
        yield from ((literal(edge, Numeric), plain_decimal(edge), None) for edge in fixed)


def _rfm8(document: Rfm8Document, row: Row) -> Iterator[Asked]:
    for group, (letter, metric) in enumerate(zip("rfm", document.metrics, strict=True)):
        value, mean = row.metric(metric), row.breakpoint(metric)
        op, met = ("lte", value <= mean) if letter == "r" else ("gt", value > mean)
        yield Asked(f"{letter}1", group, "metric", metric, op, None, metric, met)


def _score(document: ScoreDocument, row: Row) -> Iterator[Asked]:
    """The edges of its parts, then of each threshold the points and whatever else it asks."""
    for group, part in enumerate(document.parts):
        value, op = row.metric(part.metric), "gt" if part.higher_is_better else "lte"
        for limit, given, name in _edges(row, part.edges, part.breakpoints):
            met = value > limit if op == "gt" else value <= limit
            yield Asked(part.metric, group, "metric", part.metric, op, given, name, met)
    score = expression(document, row).score
    assert score is not None
    for n, threshold in enumerate(document.thresholds):
        group, at_least = len(document.parts) + n, threshold.at_least
        yield Asked(threshold.name, group, "score", "score", "gte", at_least, None, score >= at_least)
        if threshold.when is not None:
            yield from _of_tree(threshold.name, group, threshold.when, row, f"/thresholds/{n}/when")


def _rules(document: RulesDocument, row: Row) -> Iterator[Asked]:
    for group, rule in enumerate(document.rules):
        yield from _of_tree(rule.name, group, rule.when, row, f"/rules/{group}/when")


def _segment(document: SegmentDocument, row: Row) -> Iterator[Asked]:
    return _of_tree(IN, 0, document.when, row, "/when")


def _static(_: StaticDocument, row: Row) -> Iterator[Asked]:
    fact = Fact("member")
    yield Asked(IN, 0, "member", "member", "has", None, None, row.fact(fact), fact=fact)


_KINDS: dict[type[Any], Callable[[Any, Row], Iterator[Asked]]] = {
    AbcDocument: _abc,
    RfmDocument: _rfm,
    Rfm8Document: _rfm8,
    RulesDocument: _rules,
    ScoreDocument: _score,
    SegmentDocument: _segment,
    StaticDocument: _static,
}


# ---- trees of conditions ---------------------------------------------------------------------------------------------


def _of_tree(target: str, group: int, node: Node, row: Row, pointer: str) -> Iterator[Asked]:
    for at, leaf, negated in _leaves(node, pointer):
        met = condition(leaf, row, at)
        subject, name, op, limit, reference, fact = _comparison(leaf)
        yield Asked(target, group, subject, name, op, limit, reference, met, at, negated, fact)


def _leaves(node: Node, pointer: str, *, negated: bool = False) -> Iterator[tuple[str, Leaf, bool]]:
    match node:
        case AllOf() | AnyOf():
            for at, part in parts_of(node, pointer):
                yield from _leaves(part, at, negated=negated)
        case NotOf():
            yield from _leaves(node.part, f"{pointer}/not", negated=not negated)
        case _:
            yield pointer, node, negated


def parts_of(node: AllOf | AnyOf, pointer: str) -> list[tuple[str, Node]]:
    """The parts, each with the pointer that leads to it."""
    word = "all" if isinstance(node, AllOf) else "any"
    return [(f"{pointer}/{word}/{n}", part) for n, part in enumerate(node.parts)]


def _comparison(leaf: Leaf) -> tuple[Subject, str, str, Any, str | None, Fact | None]:
    match leaf:
        case MetricIs():
            if isinstance(leaf.value, BreakpointRef):
                return "metric", leaf.metric, leaf.op.value, None, leaf.value.breakpoint, None
            return "metric", leaf.metric, leaf.op.value, leaf.value, None, None
        case FieldIs():
            return "field", leaf.field, leaf.op.value, leaf.value, None, Fact("field", leaf.field)
        case ClassIs():
            return "class", leaf.scheme, leaf.op.value, leaf.value, None, Fact("class", leaf.scheme)
        case HasTag():
            return "tag", leaf.tag, "has", None, None, Fact("tag", leaf.tag)
        case HasEvents():
            op, limit = _so_many(leaf.count)
            return "event", leaf.event, op, limit, None, Fact.of_events(leaf)


def _so_many(wanted: HowMany) -> tuple[str, Any]:
    if wanted.gte is None:
        return "lte", wanted.lte
    return ("gte", wanted.gte) if wanted.lte is None else ("between", [wanted.gte, wanted.lte])
