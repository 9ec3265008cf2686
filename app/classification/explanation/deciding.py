"""What a document decides about one customer at an instant, and at every later one at which time alone can change it.

One statement: the metrics as of the instant, the instants ahead at which a comparison can turn (an age passes a
threshold, a window loses a fact, a class that is read changes), and at each of them the very expressions that decide.
Of these only the instants come back at which something turned. Nothing new is assumed to happen; where a recorded
purchase begins to count later, the view ends.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CTE,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    Integer,
    Interval,
    Numeric,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    not_,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, array

from app.classification import summaries
from app.classification.compile import MeasuredRow, StoredRow, expression, points_of, thresholds
from app.classification.definitions import Document, Fact, ScoreDocument
from app.classification.explanation.asking import Asked, asked
from app.classification.facts import FactSource
from app.classification.metrics import METRICS, Age, Ratio, Source, Window
from app.classification.models import breakpoints, customer_metrics
from app.classification.refresh import AS_OF, AS_OF_DAY, CUSTOMER_ID, WINDOW, WINDOW_FROM, next_fact
from app.classification.reviews import LONGEST, ROUNDING
from app.classification.schemes import document_adapter
from app.classification.summaries import SUMMARIES
from app.core import clock
from app.core.db import Prepared
from app.core.predicates import HasEvents
from app.customers.models import customer
from app.customers.summaries import Summary
from app.purchases.counting import conditions_of
from app.purchases.models import purchase
from app.purchases.queries import purchase_totals

AHEAD = timedelta(days=5 * 365)
MOST = 2_000
MOST_WITH_EVENTS = 100
"""Instants looked at; where events are counted, each costs a look at the customer's purchases."""

_OLDEST = sorted({each.turns.first_at for each in METRICS.values() if isinstance(each.turns, Window)})
"""The oldest fact of each window."""
FIT = bindparam("fit_id", type_=Uuid)
PAST = bindparam("past", type_=Boolean)
_INSTANT = DateTime(timezone=True)
_WINDOWED: dict[str, type[Any]] = {
    "frequency_365d": Integer,
    "monetary_365d": Numeric,
    **{each.windowed: Integer for each in SUMMARIES},
}
"""Metrics that a window takes facts from, and as what its losses are counted."""


@dataclass(frozen=True, slots=True)
class Question:
    """The statement that decides, and the comparisons it answers, in order. `document` is what it asks by."""

    statement: Prepared
    comparisons: Sequence[Asked]
    document: Document


def question(key: str, document: Document, *, measured: bool) -> Question:
    """The question for a document; made once for equal documents."""
    text = json.dumps(document.model_dump(mode="json", by_alias=True), sort_keys=True)
    return _question(key, text, str(clock.business_zone()), measured)


@lru_cache(maxsize=128)
def _question(key: str, text: str, zone: str, measured: bool) -> Question:
    document: Document = document_adapter.validate_json(text)
    limits = _limits(document)
    base = _measured_base() if measured else _stored_base()
    moments = _moments(document, base, limits, zone)
    rows = _rows(key, document, base, limits, moments)
    row = MeasuredRow(
        {name: rows.c[f"metric_{name}"] for name in document.metrics},
        {fact: rows.c[f"fact_{n}"] for n, fact in enumerate(document.facts)},
        limits.c.__getitem__,
    )
    comparisons = asked(document, row)
    return Question(Prepared(_answers(document, row, rows, limits, comparisons)), comparisons, document)


def _limits(document: Document) -> CTE:
    """The breakpoints asked for, one row with a typed column each, as `edges.in_force` reads those in force."""
    values = {
        name: cast(func.jsonb_extract_path_text(breakpoints.c["values"], *path), Numeric(30, 10))
        for name, path in document.breakpoint_paths.items()
    }
    one = select(literal_column("1").label("one")).subquery("one")
    return (
        select(breakpoints.c.id, *(value.label(name) for name, value in values.items()))
        .select_from(one.outerjoin(breakpoints, breakpoints.c.id == FIT))
        .cte("limits")
    )


def _stored_base() -> CTE:
    return select(customer_metrics).where(customer_metrics.c.customer_id == CUSTOMER_ID).cte("base")


def _measured_base() -> CTE:
    """The metrics of the facts up to the instant; what a prediction wrote stands as it is."""
    m = customer_metrics.c

    def theirs(customer_id: ColumnElement[Any]) -> ColumnElement[bool]:
        return customer_id == CUSTOMER_ID

    totals = {"purchases": purchase_totals(AS_OF, WINDOW_FROM, theirs).subquery("totals")}
    totals |= {each.name: summaries.totals_of(each, AS_OF, theirs) for each in SUMMARIES}
    columns: list[ColumnElement[Any]] = []
    for each in customer_metrics.columns:
        source = each.info.get("from")
        if source in totals:
            columns.append(summaries.read(each, totals[source]))
        elif each.name == "next_fact_at":
            columns.append(case((PAST, null()), else_=next_fact(CUSTOMER_ID)).label(each.name))
        else:
            columns.append(each)
    known: FromClause = customer_metrics
    for found in totals.values():
        known = known.outerjoin(found, found.c.customer_id == m.customer_id)
    return select(*columns).select_from(known).where(m.customer_id == CUSTOMER_ID).cte("base")


# ---- when ------------------------------------------------------------------------------------------------------------


def _moments(document: Document, base: CTE, limits: CTE, zone: str) -> CTE:
    """The instant asked for and those ahead, with what the windows have lost by then."""
    within_events = [fact.events for fact in document.facts if fact.kind == "events" and fact.events.within_days]
    sources = list(_days(document, base, limits, zone))
    if {"frequency_365d", "monetary_365d"} & set(document.metrics):
        sources.append(_purchase_exits())
    sources += [_exits_of(each) for each in SUMMARIES if each.windowed in document.metrics]
    sources += [_event_exits(leaf) for leaf in within_events]
    if document.schemes_used:
        sources.append(select(_used().c.at, *_nothing()))
    base_moment = select(cast(AS_OF, _INSTANT).label("at"), cast(AS_OF_DAY, Date).label("day"), *_nothing())
    if not sources:
        return base_moment.cte("moment")
    each = union_all(*sources).subquery("candidate")
    ends = select(case((base.c.next_fact_at > AS_OF, base.c.next_fact_at))).scalar_subquery()
    ahead = (
        select(each.c.at, *(func.sum(each.c[name]).label(name) for name in _WINDOWED))
        .where(
            each.c.at > AS_OF,
            each.c.at <= AS_OF + literal(AHEAD, Interval),
            or_(ends.is_(None), each.c.at < ends),
        )
        .group_by(each.c.at)
        .order_by(each.c.at)
        .limit(MOST_WITH_EVENTS if within_events else MOST)
        .subquery("ahead")
    )
    lost = [
        func.sum(ahead.c[name]).over(order_by=ahead.c.at).cast(kind).label(name) for name, kind in _WINDOWED.items()
    ]
    day = cast(func.timezone(zone, ahead.c.at), Date)
    return union_all(base_moment, select(ahead.c.at, day, *lost)).cte("moment")


def _days(document: Document, base: CTE, limits: CTE, zone: str) -> Iterator[Select[Any]]:
    """The beginnings of the days on which an age or a ratio can pass a threshold."""
    stored = StoredRow(Source(base, AS_OF_DAY, limits.c.__getitem__))
    ages: dict[str, list[ColumnElement[Any]]] = {}
    for name, value in thresholds(document, stored):
        turns, number = METRICS[name].turns, cast(value, Numeric)
        if isinstance(turns, Ratio):
            unit, age = stored.metric(turns.to), METRICS[turns.of].turns
            assert isinstance(age, Age)
            near = (func.ceil((number - ROUNDING) * unit), func.floor((number + ROUNDING) * unit) + 1)
            ages.setdefault(age.since, []).extend(near)
        elif isinstance(turns, Age):
            ages.setdefault(turns.since, []).extend((func.ceil(number), func.floor(number) + 1))
    for since, candidates in ages.items():
        given = func.unnest(array([cast(each, Numeric) for each in candidates]))
        aged = given.table_valued(column("age", Numeric), name="aged").render_derived()
        day = base.c[since] + cast(aged.c.age, Integer)
        yield (
            select(cast(func.timezone(zone, cast(day, DateTime)), _INSTANT).label("at"), *_nothing())
            .select_from(base.join(limits, literal(True)).join(aged, literal(True)))
            .where(aged.c.age.between(0, LONGEST))
        )


def _nothing(**lost: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """What the windows lose at an instant: nothing but what is named."""
    return [cast(lost.get(name, literal_column("0")), kind).label(name) for name, kind in _WINDOWED.items()]


def _purchase_exits() -> Select[Any]:
    p = purchase.c
    orders, money = func.count().filter(p.base_amount >= 0), func.sum(p.base_amount)
    return (
        select(
            (p.occurred_at + literal(WINDOW, Interval)).label("at"),
            *_nothing(frequency_365d=orders, monetary_365d=money),
        )
        .where(p.customer_id == CUSTOMER_ID, p.occurred_at > AS_OF - literal(WINDOW, Interval), p.occurred_at <= AS_OF)
        .group_by(p.occurred_at)
    )


def _exits_of(summary: Summary) -> Select[Any]:
    window, fact = literal(summary.window, Interval), summary.windowed_facts.subquery("fact").c
    return (
        select((fact.occurred_at + window).label("at"), *_nothing(**{summary.windowed: func.count()}))
        .where(
            fact.customer_id == CUSTOMER_ID,
            fact.occurred_at > AS_OF - window,
            fact.occurred_at <= AS_OF,
        )
        .group_by(fact.occurred_at)
    )


def _event_exits(leaf: HasEvents) -> Select[Any]:
    p, within = purchase.c, literal(timedelta(days=leaf.within_days or 0), Interval)
    return select((p.occurred_at + within).label("at"), *_nothing()).where(
        p.customer_id == CUSTOMER_ID,
        p.kind == leaf.event,
        p.occurred_at > AS_OF - within,
        p.occurred_at <= AS_OF,
        *conditions_of(leaf),
    )


def _used() -> Any:
    """The classes that are read, each from an instant on: three arrays side by side."""
    given = (
        bindparam("used_scheme", type_=ARRAY(Text)),
        bindparam("used_at", type_=ARRAY(_INSTANT)),
        bindparam("used_class", type_=ARRAY(Text)),
    )
    return (
        func.unnest(*given)
        .table_valued(column("scheme", Text), column("at", _INSTANT), column("class", Text), name="used")
        .render_derived()
    )


# ---- what ------------------------------------------------------------------------------------------------------------


def _rows(key: str, document: Document, base: CTE, limits: CTE, moments: CTE) -> Any:
    """At each instant the metrics and facts that the document reads, each computed once."""
    lost = moments.c
    columns = [(each - lost[each.name]).label(each.name) if each.name in _WINDOWED else each for each in base.c]
    m = select(lost.at.label("moment_at"), lost.day.label("moment_day"), *columns).select_from(
        moments.join(base, literal(True))
    )
    at = m.subquery("m")
    stored = StoredRow(Source(at, at.c.moment_day, limits.c.__getitem__))
    facts = FactSource(at.c.customer_id, customer, at.c.moment_at, key, until=AS_OF)
    read = [stored.metric(name).label(f"metric_{name}") for name in document.metrics]
    read += [_fact(fact, facts, at).label(f"fact_{n}") for n, fact in enumerate(document.facts)]
    return (
        select(at.c.moment_at, *(at.c[name] for name in _OLDEST), *read)
        .select_from(at.join(limits, literal(True)).outerjoin(customer, customer.c.id == at.c.customer_id))
        .offset(0)
        .subquery("rows")
    )


def _fact(fact: Fact, facts: FactSource, at: Any) -> ColumnElement[Any]:
    if fact.kind != "class":
        return facts.column(fact)
    used = _used()
    found = select(used.c["class"]).where(used.c.scheme == fact.name, used.c.at <= at.c.moment_at)
    return found.order_by(used.c.at.desc()).limit(1).scalar_subquery()


def _answers(document: Document, row: MeasuredRow, rows: Any, limits: CTE, comparisons: Sequence[Asked]) -> Select[Any]:
    decided = expression(document, row)
    fitted = limits.c.id.is_not(None) if document.breakpoint_paths else literal(True)
    points = points_of(document, row) if isinstance(document, ScoreDocument) else []
    judged = (
        select(
            rows.c.moment_at.label("at"),
            *(rows.c[name] for name in _OLDEST),
            cast(case((fitted, decided.class_name)), Text).label("decided"),
            cast(null() if decided.score is None else decided.score, Integer).label("score"),
            _together([rows.c[f"metric_{name}"] for name in document.metrics], Text).label("inputs"),
            _together([rows.c[f"fact_{n}"] for n in range(len(document.facts))], Text).label("facts"),
            _together([func.coalesce(each.met, literal(False)) for each in comparisons], Boolean).label("met"),
            _together(points, Numeric).label("points"),
        )
        .select_from(rows.join(limits, literal(True)))
        .offset(0)
        .subquery("judged")
    )
    j = judged.c
    as_before = [
        each.is_not_distinct_from(func.lag(each).over(order_by=j.at)) for each in (cast(j.decided, Text), j.met)
    ]
    is_first = func.lag(j.at).over(order_by=j.at).is_(None)
    turned = select(*j, or_(is_first, not_(and_(*as_before))).label("turned")).subquery("turned_rows")
    return select(*(each for each in turned.c if each.name != "turned")).where(turned.c.turned).order_by(turned.c.at)


def _together(columns: Sequence[ColumnElement[Any]], kind: type[Any]) -> ColumnElement[Any]:
    empty = cast(literal_column("'{}'"), ARRAY(kind))
    return cast(array([cast(each, kind) for each in columns]), ARRAY(kind)) if columns else empty
