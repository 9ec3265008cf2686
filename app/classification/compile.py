"""A scheme document as one SQL expression over a row of metrics and breakpoints.

The same expression recalculates everybody, re-evaluates one, explains and searches: bulk and single
results agree because they are the same text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, ColumnElement, Integer, Numeric, Text, case, cast, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.classification.definitions import AbcDocument, Document, RfmDocument, RulesDocument
from app.classification.metrics import METRICS, Source, metric_type
from app.classification.models import breakpoints, scheme
from app.core.errors import Invalid
from app.core.predicates import to_sql


@dataclass(frozen=True, slots=True)
class Expression:
    """A scheme over one row: the class (NULL while undecided) and, where the kind has them, its scores."""

    class_name: ColumnElement[Any]
    score: dict[str, ColumnElement[Any]]
    inputs: dict[str, ColumnElement[Any]]


class Row:
    """Resolves the names in a document's conditions against a row of metrics and breakpoints."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def metric(self, name: str, pointer: str = "") -> ColumnElement[Any]:
        if name not in METRICS:
            raise Invalid.at(pointer, f"there is no metric {name}; there are: {', '.join(METRICS)}")
        return cast(METRICS[name].expression(self.source), metric_type(name))

    def breakpoint(self, name: str, pointer: str = "") -> ColumnElement[Any]:
        return self.source.breakpoint(name)

    def field(self, name: str, pointer: str) -> ColumnElement[Any]:
        raise Invalid.at(pointer, "rules of a scheme compare metrics")

    def class_of(self, scheme: str, pointer: str) -> ColumnElement[Any]:
        raise Invalid.at(pointer, "rules of a scheme compare metrics")

    def tagged(self, tag: str) -> ColumnElement[bool]:
        raise Invalid.at("", "rules of a scheme compare metrics")


def expression(document: Document, source: Source) -> Expression:
    """The document over a row. Raises `Invalid` for names that the row does not have."""
    row = Row(source)
    inputs = {name: METRICS[name].expression(source) for name in document.metrics}
    return _KINDS[type(document)](document, row, inputs)


def _abc(document: AbcDocument, row: Row, inputs: dict[str, ColumnElement[Any]]) -> Expression:
    value = row.metric(document.metric)
    *upper, last = document.classes
    decided = case(*((value >= row.breakpoint(name), name) for name in upper), else_=last)
    return Expression(decided, {}, inputs)


def _rfm(document: RfmDocument, row: Row, inputs: dict[str, ColumnElement[Any]]) -> Expression:
    r = _score(document, row, document.recency, smaller_is_better=True)
    f = _score(document, row, document.frequency)
    m = _score(document, row, document.monetary)
    bins = range(1, document.bins + 1)
    # One constant, not 25 parameters: it is looked into once a row. Class names are `Code`s, so they need no quoting.
    names = ",".join(document.segment_of(each_r, each_f) for each_r in bins for each_f in bins)
    grid: ColumnElement[Any] = literal_column(f"('{{{names}}}'::text[])", ARRAY(Text))
    # Without a purchase there is no recency, hence no score and no segment.
    decided = case((r.is_not(None), grid[(r - 1) * document.bins + f]))
    return Expression(decided, {"r": r, "f": case((r.is_not(None), f)), "m": case((r.is_not(None), m))}, inputs)


def _score(document: RfmDocument, row: Row, metric: str, *, smaller_is_better: bool = False) -> ColumnElement[Any]:
    """1 to `bins` by right-closed edges: a value on an edge belongs to the bin below it."""
    value = row.metric(metric)
    above: ColumnElement[Any] = literal(0, Integer)
    for edge in range(document.bins - 1):
        above = above + cast(value > row.breakpoint(f"{metric}_{edge}"), Integer)
    return literal(document.bins, Integer) - above if smaller_is_better else literal(1, Integer) + above


def _rules(document: RulesDocument, row: Row, inputs: dict[str, ColumnElement[Any]]) -> Expression:
    decided = case(
        *(
            (to_sql(rule.when, row, f"/rules/{n}/when"), literal(rule.name, Text))
            for n, rule in enumerate(document.rules)
        ),
        else_=document.default,
    )
    return Expression(decided, {}, inputs)


_KINDS: dict[type[Any], Callable[[Any, Row, dict[str, ColumnElement[Any]]], Expression]] = {
    AbcDocument: _abc,
    RfmDocument: _rfm,
    RulesDocument: _rules,
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
