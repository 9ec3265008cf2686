"""Why a customer is in its class: inputs, thresholds, each condition, and how far the next class is.

The conditions are asked of PostgreSQL with the very expressions that decided; nothing is judged a second
time here. What is computed here is only the distance between a value and its threshold.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Date, DateTime, Numeric, Text, case, cast, func, literal, or_, select

from app.classification.compile import Row, StoredRow, breakpoint_columns, condition, expression
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
from app.classification.engine import Scheme
from app.classification.facts import FactSource
from app.classification.metrics import METRICS, Source
from app.classification.models import breakpoints, customer_class, customer_metrics, recalculation, scheme
from app.core import clock
from app.core.bounds import plain_decimal
from app.core.db import ReadSession, Record
from app.core.errors import NotFound
from app.core.predicates import BreakpointRef, MetricIs, Node, leaves
from app.customers.models import customer
from app.purchases.queries import last_recorded_at


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison that a scheme makes: what it is for, and its threshold as the document names it."""

    target: str
    group: int
    metric: str
    op: str
    limit: Any
    breakpoint: str | None
    met: ColumnElement[bool]


async def explain(session: ReadSession, each: Scheme, customer_id: UUID, as_of: datetime | None) -> dict[str, Any]:
    """The decision laid open, as of the latest instant that decided it or as of another.

    Raises `NotFound` when the customer has not been measured yet.
    """
    stands = await _standing(session, each.key, customer_id)
    instant = as_of or stands["decided_as_of"]
    facts, conditions = await _facts(session, each, customer_id, instant)
    fitted = facts["breakpoints"] or {}
    shown = [_shown(each.document, condition, facts, n) for n, condition in enumerate(conditions)]
    return {
        "scheme": each.key,
        "version": each.version,
        "kind": each.document.kind,
        "class": stands["class"],
        "decided": facts["decided"],
        "score": each.document.read_score(facts["score"]),
        "since": stands["since"],
        "as_of": instant,
        "breakpoints": fitted or None,
        "breakpoints_as_of": facts["breakpoints_as_of"],
        "inputs": [_input(name, facts[f"input_{name}"]) for name in each.document.metrics],
        "conditions": shown,
        "next": list(_NEXT[type(each.document)](each.document, facts, shown)),
    }


async def _standing(session: ReadSession, key: str, customer_id: UUID) -> Record:
    """The class that stands, and the instant as of which it was decided last.

    A class that was confirmed is not written again, so its row does not know that instant: it is that of the
    latest recalculation of everybody, which may lie in the past, unless the customer's facts came after it.
    """
    k, m = customer_class.c, customer_metrics.c
    whole = _latest_of_everybody(key, customer_id)
    facts_known_at = func.greatest(customer.c.created_at, last_recorded_at(m.customer_id))
    row = await session.first(
        select(
            k.class_,
            k.since,
            case(
                (whole.c.ended_at >= facts_known_at, whole.c.as_of),
                else_=func.greatest(k.as_of, m.as_of, breakpoints.c.as_of),
            ).label("decided_as_of"),
        )
        .select_from(customer_metrics)
        .join(customer, customer.c.id == m.customer_id)
        .outerjoin(customer_class, (k.customer_id == m.customer_id) & (k.scheme == key))
        .outerjoin(scheme, scheme.c.key == key)
        .outerjoin(breakpoints, breakpoints.c.id == scheme.c.breakpoints_id)
        .outerjoin(whole, literal(True))
        .where(m.customer_id == customer_id)
    )
    if row is None:
        raise NotFound("This customer has not been measured yet; ask for a recalculation")
    return row


def _latest_of_everybody(key: str, customer_id: UUID) -> Any:
    """The latest recalculation of everybody in this scheme that has come to this customer."""
    r = recalculation.c
    came_by = or_(r.status == "completed", (r.phase == "classes") & (r.position >= customer_id))
    return (
        select(r.as_of, func.coalesce(r.finished_at, func.now()).label("ended_at"))
        .where(r.scope == "all", r.schemes.contains([key]), came_by)
        .order_by(r.started_at.desc())
        .limit(1)
        .subquery("whole")
    )


async def _facts(
    session: ReadSession, each: Scheme, customer_id: UUID, as_of: datetime
) -> tuple[Record, list[Condition]]:
    """One SELECT: the decision, its inputs, and for every condition whether it is met."""
    m = customer_metrics.alias("m")
    limits = breakpoint_columns(each.key, each.document)
    source = Source(m, literal(clock.business_day(as_of), Date), lambda name: limits.c[name])
    stored = StoredRow(source, FactSource(m.c.customer_id, customer, literal(as_of, DateTime(timezone=True)), each.key))
    decided = expression(each.document, stored)
    conditions = list(_CONDITIONS[type(each.document)](each.document, stored))
    row = await session.first(
        select(
            decided.class_name.label("decided"),
            (literal(None) if decided.score is None else decided.score).label("score"),
            *(cast(stored.metric(name), Text).label(f"input_{name}") for name in each.document.metrics),
            *(condition.met.label(f"met_{n}") for n, condition in enumerate(conditions)),
            breakpoints.c["values"].label("breakpoints"),
            breakpoints.c.as_of.label("breakpoints_as_of"),
        )
        .select_from(m)
        .join(customer, customer.c.id == m.c.customer_id)
        .join(limits, literal(True))
        .outerjoin(breakpoints, breakpoints.c.id == limits.c.id)
        .where(m.c.customer_id == customer_id)
    )
    if row is None:
        raise NotFound("This customer has not been measured yet; ask for a recalculation")
    return row, conditions


# ---- conditions, kind by kind ----------------------------------------------------------------------------------------


def _abc_conditions(document: AbcDocument, row: Row) -> Iterator[Condition]:
    value = row.metric(document.metric)
    for n, name in enumerate(document.classes[:-1]):
        yield Condition(name, n, document.metric, "gte", None, name, value >= row.breakpoint(name))


def _rfm_conditions(document: RfmDocument, row: Row) -> Iterator[Condition]:
    for group, (letter, metric) in enumerate(zip("rfm", document.metrics, strict=True)):
        names = [f"{metric}_{edge}" for edge in range(document.bins - 1)]
        for edge, (limit, given, name) in enumerate(_edges(row, document.fixed_edges(metric), names)):
            if letter == "r":
                yield Condition(
                    f"r{document.bins - edge}", group, metric, "lte", given, name, row.metric(metric) <= limit
                )
            else:
                yield Condition(f"{letter}{edge + 2}", group, metric, "gt", given, name, row.metric(metric) > limit)


def _edges(row: Row, fixed: list[Decimal] | None, names: list[str]) -> Iterator[tuple[ColumnElement[Any], Any, Any]]:
    """Each edge in SQL, with its value where the document gives it and its name where the population does."""
    if fixed is None:
        yield from ((row.breakpoint(name), None, name) for name in names)
    else:
        yield from ((literal(edge, Numeric), plain_decimal(edge), None) for edge in fixed)


def _rfm8_conditions(document: Rfm8Document, row: Row) -> Iterator[Condition]:
    for group, (letter, metric) in enumerate(zip("rfm", document.metrics, strict=True)):
        value, mean = row.metric(metric), row.breakpoint(metric)
        op, met = ("lte", value <= mean) if letter == "r" else ("gt", value > mean)
        yield Condition(f"{letter}1", group, metric, op, None, metric, met)


def _score_conditions(document: ScoreDocument, row: Row) -> Iterator[Condition]:
    for group, part in enumerate(document.parts):
        value, op = row.metric(part.metric), "gt" if part.higher_is_better else "lte"
        for limit, given, name in _edges(row, part.edges, part.breakpoints):
            yield Condition(
                part.metric, group, part.metric, op, given, name, value > limit if op == "gt" else value <= limit
            )
    for group, threshold in enumerate(document.thresholds, len(document.parts)):
        if threshold.when is not None:
            yield from _asked(threshold.name, group, threshold.when, row)


def _rules_conditions(document: RulesDocument, row: Row) -> Iterator[Condition]:
    for group, rule in enumerate(document.rules):
        yield from _asked(rule.name, group, rule.when, row)


def _segment_conditions(document: SegmentDocument, row: Row) -> Iterator[Condition]:
    return _asked(IN, 0, document.when, row)


def _asked(target: str, group: int, node: Node, row: Row) -> Iterator[Condition]:
    for leaf in leaves(node):
        if isinstance(leaf, MetricIs):
            reference = leaf.value.breakpoint if isinstance(leaf.value, BreakpointRef) else None
            limit = None if reference else leaf.value
            yield Condition(target, group, leaf.metric, leaf.op, limit, reference, condition(leaf, row))


_CONDITIONS: dict[type[Any], Callable[[Any, Row], Iterator[Condition]]] = {
    AbcDocument: _abc_conditions,
    RfmDocument: _rfm_conditions,
    Rfm8Document: _rfm8_conditions,
    RulesDocument: _rules_conditions,
    ScoreDocument: _score_conditions,
    SegmentDocument: _segment_conditions,
    StaticDocument: lambda _, __: iter(()),
}


# ---- as people read it -----------------------------------------------------------------------------------------------


def _input(name: str, value: str | None) -> dict[str, Any]:
    metric = METRICS[name]
    return {"metric": name, "title": metric.title, "unit": metric.unit, "value": _plain(value)}


def _shown(document: BaseDocument, condition: Condition, facts: Record, n: int) -> dict[str, Any]:
    threshold = _threshold(document, condition, facts["breakpoints"] or {})
    value = _plain(facts[f"input_{condition.metric}"])
    return {
        "class": condition.target,
        "group": condition.group,
        "metric": condition.metric,
        "op": condition.op,
        "threshold": threshold,
        "breakpoint": condition.breakpoint,
        "value": value,
        "met": bool(facts[f"met_{n}"]),
        "gap": _gap(value, threshold),
    }


def _threshold(document: BaseDocument, condition: Condition, fitted: dict[str, Any]) -> str | list[str] | None:
    if condition.breakpoint is not None:
        return document.read_breakpoint(condition.breakpoint, fitted)
    limit = condition.limit
    return [str(each) for each in limit] if isinstance(limit, list) else str(limit)


def _gap(value: str | None, threshold: Any) -> str | None:
    """How far the value is from its threshold: positive when the value lies below."""
    try:
        return plain_decimal(Decimal(str(threshold)) - Decimal(str(value)))
    except ArithmeticError:
        return None


def _plain(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return plain_decimal(Decimal(value))
    except ArithmeticError:
        return value


# ---- the next class, kind by kind ------------------------------------------------------------------------------------


def _next_abc(document: AbcDocument, _: Record, shown: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One class up is reached by the nearest edge not met; one down is below the edge that is met.

    A class without an edge has no members, and none can be reached.
    """
    edges = [each for each in shown if each["threshold"] is not None]
    unmet = [each for each in edges if not each["met"]]
    met = [each for each in edges if each["met"]]
    if unmet:
        yield _step(unmet[-1]["class"], "up", [unmet[-1]])
    if met:
        below = edges[edges.index(met[0]) + 1 :]
        yield _step(below[0]["class"] if below else document.classes[-1], "down", [met[0]])


def _next_rfm(document: RfmDocument, facts: Record, shown: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """For recency and frequency, the nearest other score and the segment it leads to.

    Equal edges are crossed together: where half of all customers bought once, no customer has the score 2.
    """
    score = document.read_score(facts["score"])
    if score is None:
        return
    for group, letter in enumerate("rfm"[: document.dimensions]):
        edges = [each for each in shown if each["group"] == group and each["threshold"] is not None]
        unmet, met = [each for each in edges if not each["met"]], [each for each in edges if each["met"]]
        # Both kinds list the edges by rising value: recency is met from some edge on, frequency up to some edge.
        up, down = (unmet[-1:], met[:1]) if letter == "r" else (unmet[:1], met[-1:])
        for crossed, direction, step in ((up, "up", 1), (down, "down", -1)):
            if crossed:
                equal = sum(1 for each in edges if Decimal(each["threshold"]) == Decimal(crossed[0]["threshold"]))
                there = {**score, letter: score[letter] + step * equal}
                yield _step(document.segment_of(there["r"], there["f"], there["m"]), direction, crossed)


def _next_rfm8(document: Rfm8Document, facts: Record, shown: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each metric alone on the other side of its mean."""
    score = document.read_score(facts["score"])
    for letter, each in zip("rfm", shown, strict=True):
        if score is not None:
            there = {**score, letter: 1 - score[letter]}
            yield _step(
                document.classes["".join(str(there[axis]) for axis in "rfm")], "down" if each["met"] else "up", [each]
            )


def _next_rules(document: RulesDocument, facts: Record, shown: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What the rules before the deciding one still ask for: they would have taken the customer first."""
    names = [rule.name for rule in document.rules]
    deciding = names.index(facts["decided"]) if facts["decided"] in names else len(names)
    for group in range(deciding):
        missing = [each for each in shown if each["group"] == group and not each["met"]]
        if missing:
            yield _step(names[group], "earlier_rule", missing)


def _next_segment(_: SegmentDocument, facts: Record, shown: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What is still asked of whoever is not in."""
    missing = [each for each in shown if not each["met"]]
    if facts["decided"] is None and missing:
        yield _step(IN, "up", missing)


def _next_nothing(_: BaseDocument, __: Record, ___: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return iter(())


def _step(name: str, direction: str, conditions: list[dict[str, Any]]) -> dict[str, Any]:
    needs = [{key: each[key] for key in ("metric", "op", "threshold", "value", "gap")} for each in conditions]
    return {"class": name, "direction": direction, "needs": needs}


_NEXT: dict[type[Any], Callable[[Any, Record, list[dict[str, Any]]], Iterator[dict[str, Any]]]] = {
    AbcDocument: _next_abc,
    RfmDocument: _next_rfm,
    Rfm8Document: _next_rfm8,
    RulesDocument: _next_rules,
    ScoreDocument: _next_nothing,
    SegmentDocument: _next_segment,
    StaticDocument: _next_nothing,
}
