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

from app.classification.compile import MeasuredRow, StoredRow, expression, points_of, thresholds
from app.classification.definitions import Document, Fact, ScoreDocument
from app.classification.explanation.asking import Asked, asked
from app.classification.facts import FactSource
from app.classification.metrics import METRICS, Age, Ratio, Source, Window
from app.classification.models import breakpoints, customer_metrics
from app.classification.refresh import AS_OF, AS_OF_DAY, CUSTOMER_ID, WINDOW, WINDOW_FROM
from app.classification.reviews import LONGEST, ROUNDING
from app.classification.schemes import document_adapter
from app.core import clock
from app.core.db import Prepared
from app.core.predicates import HasEvents
from app.customers.models import customer
from app.purchases.counting import conditions_of
from app.purchases.models import purchase
from app.purchases.queries import first_after, purchase_totals

AHEAD = timedelta(days=5 * 365)
MOST = 2_000
MOST_WITH_EVENTS = 100
"""Instants looked at; where events are counted, each costs a look at the customer's purchases."""

FIT = bindparam("fit_id", type_=Uuid)
PAST = bindparam("past", type_=Boolean)
_INSTANT = DateTime(timezone=True)
_WINDOWED = {"frequency_365d": "orders", "monetary_365d": "money"}


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
    totals = purchase_totals(AS_OF, WINDOW_FROM, lambda customer_id: customer_id == CUSTOMER_ID).subquery("totals")
    columns: list[ColumnElement[Any]] = []
    for each in customer_metrics.columns:
        if each.info.get("from") == "purchases" and each.name in totals.c:
            found = totals.c[each.name]
            columns.append(cast(found if each.nullable else func.coalesce(found, 0), each.type).label(each.name))
        elif each.name == "next_fact_at":
            columns.append(case((PAST, null()), else_=first_after(CUSTOMER_ID, AS_OF)).label(each.name))
        else:
            columns.append(each)
    known = customer_metrics.outerjoin(totals, totals.c.customer_id == m.customer_id)
    return select(*columns).select_from(known).where(m.customer_id == CUSTOMER_ID).cte("base")


# ---- when ------------------------------------------------------------------------------------------------------------


def _moments(document: Document, base: CTE, limits: CTE, zone: str) -> CTE:
    """The instant asked for and those ahead, with what the yearly window has lost by then."""
    within_events = [fact.events for fact in document.facts if fact.kind == "events" and fact.events.within_days]
    sources = list(_days(document, base, limits, zone))
    if any(isinstance(METRICS[name].turns, Window) for name in document.metrics):
        sources.append(_window_exits())
    sources += [_event_exits(leaf) for leaf in within_events]
    if document.schemes_used:
        sources.append(select(_used().c.at, *_nothing()))
    base_moment = select(cast(AS_OF, _INSTANT).label("at"), cast(AS_OF_DAY, Date).label("day"), *_nothing())
    if not sources:
        return base_moment.cte("moment")
    each = union_all(*sources).subquery("candidate")
    ends = select(case((base.c.next_fact_at > AS_OF, base.c.next_fact_at))).scalar_subquery()
    ahead = (
        select(each.c.at, func.sum(each.c.orders).label("orders"), func.sum(each.c.money).label("money"))
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
        func.sum(ahead.c[name]).over(order_by=ahead.c.at).cast(kind).label(name)
        for name, kind in (("orders", Integer), ("money", Numeric))
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


def _nothing() -> tuple[ColumnElement[Any], ...]:
    """A day on which the window loses nothing."""
    return cast(literal_column("0"), Integer).label("orders"), cast(literal_column("0"), Numeric).label("money")


def _window_exits() -> Select[Any]:
    p = purchase.c
    return (
        select(
            (p.occurred_at + literal(WINDOW, Interval)).label("at"),
            cast(func.count().filter(p.base_amount >= 0), Integer).label("orders"),
            func.sum(p.base_amount).label("money"),
        )
        .where(p.customer_id == CUSTOMER_ID, p.occurred_at > AS_OF - literal(WINDOW, Interval), p.occurred_at <= AS_OF)
        .group_by(p.occurred_at)
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
    columns = [
        (each - lost[_WINDOWED[each.name]]).label(each.name) if each.name in _WINDOWED else each for each in base.c
    ]
    m = select(lost.at.label("moment_at"), lost.day.label("moment_day"), *columns).select_from(
        moments.join(base, literal(True))
    )
    at = m.subquery("m")
    stored = StoredRow(Source(at, at.c.moment_day, limits.c.__getitem__))
    facts = FactSource(at.c.customer_id, customer, at.c.moment_at, key, until=AS_OF)
    read = [stored.metric(name).label(f"metric_{name}") for name in document.metrics]
    read += [_fact(fact, facts, at).label(f"fact_{n}") for n, fact in enumerate(document.facts)]
    return (
        select(at.c.moment_at, at.c.window_first_at, *read)
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
            rows.c.window_first_at,
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
