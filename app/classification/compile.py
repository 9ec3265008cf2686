"""A scheme document as one SQL expression over a row of metrics and breakpoints.

The same expression recalculates everybody, re-evaluates one, explains and searches: bulk and single
results agree because they are the same text.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Numeric,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY

from app.classification.definitions import (
    IN,
    AbcDocument,
    Document,
    Fact,
    Rfm8Document,
    RfmDocument,
    RulesDocument,
    ScoreDocument,
    ScorePart,
    SegmentDocument,
    StaticDocument,
)
from app.classification.facts import FactSource
from app.classification.metrics import INSTANTS, METRICS, Source, metric_type
from app.core.errors import Invalid
from app.core.predicates import BreakpointRef, ClassIs, HasEvents, Leaf, MetricIs, Node, Op, compare, known, to_sql

Columns = Mapping[str, ColumnElement[Any]]


@dataclass(frozen=True, slots=True)
class Expression:
    """A scheme over one row. `steps` are computed first, each once; class and score are read from them.

    The class is NULL while undecided. A score is one number, so that it is cheap to keep and to compare; the
    document knows how people read it (`RfmDocument.read_score`).
    """

    steps: dict[str, ColumnElement[Any]]
    class_of: Callable[[Columns], ColumnElement[Any]]
    score_of: Callable[[Columns], ColumnElement[Any]] | None = None

    @property
    def class_name(self) -> ColumnElement[Any]:
        """The class, for a single row, where computing a step twice does not matter."""
        return self.class_of(self.steps)

    @property
    def score(self) -> ColumnElement[Any] | None:
        """The score, for a single row."""
        return None if self.score_of is None else self.score_of(self.steps)


class Row(Protocol):
    """Where a document's names lead: the metrics, facts and breakpoints of one customer, as SQL."""

    def metric(self, name: str, pointer: str = "") -> ColumnElement[Any]: ...
    def fact(self, fact: Fact, pointer: str = "") -> ColumnElement[Any]: ...
    def breakpoint(self, name: str, pointer: str = "") -> ColumnElement[Any]: ...


class StoredRow:
    """The names over the stored rows themselves, each computed where it is named."""

    def __init__(self, source: Source, facts: FactSource | None = None) -> None:
        self._source = source
        self._facts = facts

    def metric(self, name: str, pointer: str = "") -> ColumnElement[Any]:
        if name not in METRICS:
            raise Invalid.at(pointer, f"there is no metric {name}; there are: {', '.join(METRICS)}")
        return cast(METRICS[name].expression(self._source), metric_type(name))

    def fact(self, fact: Fact, pointer: str = "") -> ColumnElement[Any]:
        if self._facts is None:
            raise Invalid.at(pointer, "only metrics can be compared here")
        return self._facts.column(fact, pointer)

    def breakpoint(self, name: str, pointer: str = "") -> ColumnElement[Any]:
        return self._source.breakpoint(name)


class MeasuredRow:
    """The names over columns that were computed before, each once for all schemes."""

    def __init__(
        self,
        metrics: Columns,
        facts: Mapping[Fact, ColumnElement[Any]],
        edge: Callable[[str], ColumnElement[Any]],
    ) -> None:
        self._metrics = metrics
        self._facts = facts
        self._breakpoint = edge

    def metric(self, name: str, pointer: str = "") -> ColumnElement[Any]:
        return self._metrics[name]

    def fact(self, fact: Fact, pointer: str = "") -> ColumnElement[Any]:
        return self._facts[fact]

    def breakpoint(self, name: str, pointer: str = "") -> ColumnElement[Any]:
        return self._breakpoint(name)


class _Resolver:
    """Answers a predicate tree: rules of a scheme compare metrics and facts, with values and with breakpoints."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self.metric = row.metric
        self.breakpoint = row.breakpoint

    def field(self, name: str, pointer: str) -> ColumnElement[Any]:
        return self._row.fact(Fact("field", name), pointer)

    def class_is(self, leaf: ClassIs, pointer: str) -> ColumnElement[bool]:
        return compare(self._row.fact(Fact("class", leaf.scheme), f"{pointer}/class"), leaf.op, leaf.value, pointer)

    def tagged(self, tag: str) -> ColumnElement[bool]:
        return self._row.fact(Fact("tag", tag))

    def events(self, leaf: HasEvents, pointer: str) -> ColumnElement[int]:
        return self._row.fact(Fact.of_events(leaf), pointer)


def condition(node: Node, row: Row, pointer: str = "") -> ColumnElement[bool]:
    """A rule's condition over a row."""
    return known(to_sql(node, _Resolver(row), pointer))


def expression(document: Document, row: Row) -> Expression:
    """The document over a row. Raises `Invalid` for names that the row does not have."""
    return _KINDS[type(document)](document, row)


def _abc(document: AbcDocument, row: Row) -> Expression:
    value = row.metric(document.metric)
    *upper, last = document.classes
    decided = case(*((value >= row.breakpoint(name), name) for name in upper), else_=last)
    return Expression({}, lambda _: decided)


def _rfm(document: RfmDocument, row: Row) -> Expression:
    cells = document.segments_by_cell
    # Without a purchase there is no recency, hence no score and no segment: NULL runs through to the end.
    steps = {
        letter: 1 + _bin(row.metric(metric), _edges_of(document, row, metric), higher_is_better=letter != "r")
        for letter, metric in zip("rfm", document.metrics, strict=True)
    }

    def segment(step: Columns) -> ColumnElement[Any]:
        position = (step["r"] - 1) * document.bins + step["f"]
        if document.dimensions == 3:
            position = (position - 1) * document.bins + step["m"]
        return _names(cells.values())[position]

    return Expression(steps, segment, _three_digits)


def _edges_of(document: RfmDocument, row: Row, metric: str) -> list[ColumnElement[Any]]:
    if (fixed := document.fixed_edges(metric)) is not None:
        return [literal(edge, Numeric) for edge in fixed]
    return [row.breakpoint(f"{metric}_{edge}") for edge in range(document.bins - 1)]


def _bin(
    value: ColumnElement[Any], edges: Sequence[ColumnElement[Any]], *, higher_is_better: bool
) -> ColumnElement[Any]:
    """0, the worst, to as many as there are edges. A value on an edge belongs to the bin below it."""
    above: ColumnElement[Any] = literal_column("0", Integer)
    for edge in edges:
        above = above + cast(value > edge, Integer)
    return above if higher_is_better else len(edges) - above


def _names(classes: Iterable[str]) -> ColumnElement[Any]:
    """One constant, not many parameters: it is looked into once a row. Class names are `Code`s: no need to quote."""
    return literal_column(f"('{{{','.join(classes)}}}'::text[])", ARRAY(Text))


def _three_digits(step: Columns) -> ColumnElement[Any]:
    return step["r"] * 100 + step["f"] * 10 + step["m"]


def _rfm8(document: Rfm8Document, row: Row) -> Expression:
    recency, frequency, monetary = document.metrics
    steps: dict[str, ColumnElement[Any]] = {
        "r": cast(row.metric(recency) <= row.breakpoint(recency), Integer),
        "f": cast(row.metric(frequency) > row.breakpoint(frequency), Integer),
        "m": cast(row.metric(monetary) > row.breakpoint(monetary), Integer),
    }
    names = _names(name for _, name in sorted(document.classes.items()))
    return Expression(steps, lambda step: names[1 + step["r"] * 4 + step["f"] * 2 + step["m"]], _three_digits)


def _score(document: ScoreDocument, row: Row) -> Expression:
    """Shares of the weights are whole numbers of a common unit, so that their sum is exact at every threshold."""
    shares = [Fraction(part.weight) / Fraction(part.span) for part in document.parts]
    unit = lcm(*(share.denominator for share in shares))
    in_bins = all(part.linear is None for part in document.parts)
    number = BigInteger() if in_bins else Numeric()

    def constant(value: Fraction) -> ColumnElement[Any]:
        return cast(literal_column(str(int(value))), number)

    points = [
        case((row.metric(part.metric).is_(None), constant(Fraction(0))), else_=_way(part, row) * constant(share * unit))
        for part, share in zip(document.parts, shares, strict=True)
    ]
    total, whole = sum(points[1:], points[0]), constant(Fraction(unit))
    # NULL while the population has not given the edges: then there is neither a score nor a class.
    score = cast(total // whole if in_bins else func.div(total, whole), Integer)

    def class_of(step: Columns) -> ColumnElement[Any]:
        ways: list[tuple[ColumnElement[bool], Any]] = [(step["score"].is_(None), null())]
        for n, each in enumerate(document.thresholds):
            qualified = true() if each.when is None else condition(each.when, row, f"/thresholds/{n}/when")
            ways.append((and_(step["score"] >= each.at_least, qualified), each.name))
        return case(*ways, else_=document.default)

    return Expression({"score": score}, class_of, lambda step: step["score"])


def points_of(document: ScoreDocument, row: Row) -> list[ColumnElement[Any]]:
    """The points that each part of a score gives; NULL while the population has not given its edges."""
    return [
        case(
            (row.metric(part.metric).is_(None), literal(0, Numeric)),
            else_=cast(_way(part, row), Numeric) * literal(part.weight, Numeric) / literal(part.span, Numeric),
        )
        for part in document.parts
    ]


def _way(part: ScorePart, row: Row) -> ColumnElement[Any]:
    """How far from no points to all of `part.span` the metric has come; it is known."""
    value = row.metric(part.metric)
    if part.linear is None:
        edges = _part_edges(part, row)
        return _bin(value, edges, higher_is_better=part.higher_is_better)
    start, to = part.linear.start, part.linear.to
    come = value - literal(start, Numeric) if start < to else literal(start, Numeric) - value
    return func.least(func.greatest(come, literal(0, Numeric)), literal(part.span, Numeric), type_=Numeric)


def _part_edges(part: ScorePart, row: Row) -> list[ColumnElement[Any]]:
    if part.edges is not None:
        return [literal(edge, Numeric) for edge in part.edges]
    return [row.breakpoint(name) for name in part.breakpoints]


def _segment(document: SegmentDocument, row: Row) -> Expression:
    inside = case((condition(document.when, row, "/when"), IN))
    return Expression({}, lambda _: inside)


def _static(_: StaticDocument, row: Row) -> Expression:
    inside = case((row.fact(Fact("member")), IN))
    return Expression({}, lambda _: inside)


def _rules(document: RulesDocument, row: Row) -> Expression:
    decided = case(
        *((condition(rule.when, row, f"/rules/{n}/when"), rule.name) for n, rule in enumerate(document.rules)),
        else_=document.default,
    )
    return Expression({}, lambda _: decided)


_KINDS: dict[type[Any], Callable[[Any, Row], Expression]] = {
    AbcDocument: _abc,
    RfmDocument: _rfm,
    Rfm8Document: _rfm8,
    RulesDocument: _rules,
    ScoreDocument: _score,
    SegmentDocument: _segment,
    StaticDocument: _static,
}


Threshold = tuple[str, ColumnElement[Any]]
"""A metric and a value that it is compared with; of an age, the day on which it gets there and the day after count."""


def thresholds(document: Document, row: Row) -> list[Threshold]:
    """Every value with which the document compares a metric."""
    return list(_THRESHOLDS[type(document)](document, row))


def _abc_thresholds(document: AbcDocument, row: Row) -> Iterator[Threshold]:
    return ((document.metric, row.breakpoint(name)) for name in document.breakpoint_paths)


def _rfm_thresholds(document: RfmDocument, row: Row) -> Iterator[Threshold]:
    for metric in document.metrics:
        yield from ((metric, edge) for edge in _edges_of(document, row, metric))


def _rfm8_thresholds(document: Rfm8Document, row: Row) -> Iterator[Threshold]:
    return ((metric, row.breakpoint(metric)) for metric in document.metrics)


def _score_thresholds(document: ScoreDocument, row: Row) -> Iterator[Threshold]:
    for part in document.parts:
        yield from ((part.metric, edge) for edge in _part_edges(part, row))
        yield from ((part.metric, literal_column(str(day), Integer)) for day in part.days[::2])
    yield from thresholds_of(document.leaves, row)


def _asked_thresholds(document: RulesDocument | SegmentDocument, row: Row) -> Iterator[Threshold]:
    return thresholds_of(document.leaves, row)


def _no_thresholds(_: StaticDocument, __: Row) -> Iterator[Threshold]:
    return iter(())


def thresholds_of(conditions: Iterable[Leaf], row: Row) -> Iterator[Threshold]:
    """The values that conditions compare numeric metrics with."""
    for leaf in conditions:
        if not isinstance(leaf, MetricIs) or leaf.metric in INSTANTS or leaf.op is Op.IS_NULL:
            continue
        if isinstance(leaf.value, BreakpointRef):
            yield leaf.metric, row.breakpoint(leaf.value.breakpoint)
        else:
            for value in leaf.value if isinstance(leaf.value, list) else [leaf.value]:
                yield leaf.metric, literal(Decimal(str(value)), Numeric)


_THRESHOLDS: dict[type[Any], Callable[[Any, Row], Iterator[Threshold]]] = {
    AbcDocument: _abc_thresholds,
    RfmDocument: _rfm_thresholds,
    Rfm8Document: _rfm8_thresholds,
    RulesDocument: _asked_thresholds,
    ScoreDocument: _score_thresholds,
    SegmentDocument: _asked_thresholds,
    StaticDocument: _no_thresholds,
}
