"""A scheme document as one SQL expression over a row of metrics and breakpoints.

The same expression recalculates everybody, re-evaluates one, explains and searches: bulk and single
results agree because they are the same text.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy import CTE, ColumnElement, Integer, Numeric, Text, case, cast, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.classification.definitions import AbcDocument, Document, Fact, RfmDocument, RulesDocument
from app.classification.facts import FactSource
from app.classification.metrics import INSTANTS, METRICS, Source, metric_type
from app.classification.models import breakpoints, scheme
from app.core.errors import Invalid
from app.core.predicates import BreakpointRef, HasEvents, Leaf, MetricIs, Node, Op, to_sql

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

    def class_of(self, scheme: str, pointer: str) -> ColumnElement[Any]:
        return self._row.fact(Fact("class", scheme), pointer)

    def tagged(self, tag: str) -> ColumnElement[bool]:
        return self._row.fact(Fact("tag", tag))

    def events(self, leaf: HasEvents, pointer: str) -> ColumnElement[int]:
        return self._row.fact(Fact.of_events(leaf), pointer)


def condition(node: Node, row: Row, pointer: str = "") -> ColumnElement[bool]:
    """A rule's condition over a row."""
    return to_sql(node, _Resolver(row), pointer)


def expression(document: Document, row: Row) -> Expression:
    """The document over a row. Raises `Invalid` for names that the row does not have."""
    return _KINDS[type(document)](document, row)


def _abc(document: AbcDocument, row: Row) -> Expression:
    value = row.metric(document.metric)
    *upper, last = document.classes
    decided = case(*((value >= row.breakpoint(name), name) for name in upper), else_=last)
    return Expression({}, lambda _: decided)


def _rfm(document: RfmDocument, row: Row) -> Expression:
    bins = range(1, document.bins + 1)
    # One constant, not 25 parameters: it is looked into once a row. Class names are `Code`s, so they need no quoting.
    names = ",".join(document.segment_of(r, f) for r in bins for f in bins)
    grid: ColumnElement[Any] = literal_column(f"('{{{names}}}'::text[])", ARRAY(Text))
    # Without a purchase there is no recency, hence no score and no segment: NULL runs through to the end.
    steps = {
        "r": _score(document, row, document.recency, smaller_is_better=True),
        "f": _score(document, row, document.frequency),
        "m": _score(document, row, document.monetary),
    }
    return Expression(
        steps,
        lambda step: grid[(step["r"] - 1) * document.bins + step["f"]],
        lambda step: step["r"] * 100 + step["f"] * 10 + step["m"],
    )


def _score(document: RfmDocument, row: Row, metric: str, *, smaller_is_better: bool = False) -> ColumnElement[Any]:
    """1 to `bins` by right-closed edges: a value on an edge belongs to the bin below it."""
    value = row.metric(metric)
    above: ColumnElement[Any] = literal_column("0", Integer)
    for edge in range(document.bins - 1):
        above = above + cast(value > row.breakpoint(f"{metric}_{edge}"), Integer)
    return document.bins - above if smaller_is_better else 1 + above


def _rules(document: RulesDocument, row: Row) -> Expression:
    decided = case(
        *((condition(rule.when, row, f"/rules/{n}/when"), rule.name) for n, rule in enumerate(document.rules)),
        else_=document.default,
    )
    return Expression({}, lambda _: decided)


_KINDS: dict[type[Any], Callable[[Any, Row], Expression]] = {
    AbcDocument: _abc,
    RfmDocument: _rfm,
    RulesDocument: _rules,
}


Threshold = tuple[str, ColumnElement[Any]]
"""A metric and a value that it is compared with."""


def thresholds(document: Document, row: Row) -> list[Threshold]:
    """Every value with which the document compares a metric."""
    return list(_THRESHOLDS[type(document)](document, row))


def _abc_thresholds(document: AbcDocument, row: Row) -> Iterator[Threshold]:
    return ((document.metric, row.breakpoint(name)) for name in document.breakpoint_paths)


def _rfm_thresholds(document: RfmDocument, row: Row) -> Iterator[Threshold]:
    for metric in document.metrics:
        yield from ((metric, row.breakpoint(f"{metric}_{edge}")) for edge in range(document.bins - 1))


def _rules_thresholds(document: RulesDocument, row: Row) -> Iterator[Threshold]:
    return thresholds_of(document.leaves, row)


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
    RulesDocument: _rules_thresholds,
}


def breakpoint_columns(key: str, document: Document) -> CTE:
    """The scheme's breakpoints in force, one row with a typed column each: `id` is NULL before the first fit.

    Read inside the statement that uses them, so that a class and its breakpoints are of one snapshot.
    """
    paths = document.breakpoint_paths
    values = {
        name: cast(func.jsonb_extract_path_text(breakpoints.c["values"], *path), Numeric(30, 10))
        for name, path in paths.items()
    }
    return (
        select(breakpoints.c.id, *(value.label(name) for name, value in values.items()))
        .select_from(scheme.outerjoin(breakpoints, breakpoints.c.id == scheme.c.breakpoints_id))
        .where(scheme.c.key == key)
        .cte(f"{key}_breakpoints")
        .prefix_with("MATERIALIZED")
    )
