"""What must hold of classes: history gives what stands, without a gap; overrides and reviews fit what they govern.

And of what they are made of and lead to: metrics are what the facts come to, and every change was announced.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    FromClause,
    Interval,
    Select,
    Text,
    and_,
    any_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on

from app.classification import refresh, summaries
from app.classification.events import ClassChanged, SegmentEntered, SegmentLeft
from app.classification.models import (
    breakpoints,
    class_change,
    class_override,
    customer_class,
    customer_metrics,
    dirty_customer,
    prediction,
    recalculation,
    scheme,
    scheme_version,
    segment_member,
    simulation,
)
from app.classification.repointing import MERGED
from app.classification.retiring import RETIRED
from app.core.checks import NOW, ZONE, Check, carried
from app.core.outbox import AT_LEAST_KEPT, outbox_event
from app.customers.checks import belongs
from app.customers.models import customer
from app.purchases.models import purchase
from app.purchases.queries import purchase_totals

SAMPLE = 1000
"""Customers whose metrics are measured again: others every time."""
_NAMES = literal([ClassChanged.name, SegmentEntered.name, SegmentLeft.name], ARRAY(Text))
SILENT = (MERGED, RETIRED)
"""Causes of changes that nobody hears of as such: what caused them is announced."""

k, h, o, m = customer_class.c, class_change.c, class_override.c, customer_metrics.c


def _count(table: Any, *where: ColumnElement[bool]) -> Select[Any]:
    return select(func.count()).select_from(table).where(*where)


def _replayed() -> Select[Any]:
    """The last change of each customer and scheme against what stands: too few, too many, another class."""
    last = (
        select(h.customer_id, h.scheme, h.to_class)
        .ext(distinct_on(h.customer_id, h.scheme))
        .order_by(h.customer_id, h.scheme, h.id.desc())
        .subquery("last")
    )
    this_one = and_(last.c.customer_id == k.customer_id, last.c.scheme == k.scheme)
    return (
        select(
            func.coalesce(k.customer_id, last.c.customer_id).label("customer_id"),
            func.coalesce(k.scheme, last.c.scheme).label("scheme"),
            k.class_.label("stands"),
            last.c.to_class.label("replayed"),
        )
        .select_from(customer_class.outerjoin(last, this_one, full=True))
        .where(k.class_.is_distinct_from(last.c.to_class))
    )


def _standing_twice() -> Select[Any]:
    times = func.count()
    return select(k.customer_id, k.scheme, times.label("classes")).group_by(k.customer_id, k.scheme).having(times > 1)


def _broken_chains() -> Select[Any]:
    before = func.lag(h.to_class).over(partition_by=(h.customer_id, h.scheme), order_by=h.id)
    links = select(h.customer_id, h.scheme, h.id, h.from_class, before.label("before")).subquery("links")
    return select(links).where(links.c.from_class.is_distinct_from(links.c.before))


def _without_version(table: Any) -> Select[Any]:
    v, t = scheme_version.c, table.c
    known = select(v.version).where(v.scheme == t.scheme, v.version == t.version)
    return select(t.customer_id, t.scheme, t.version).where(~known.exists())


def _without_breakpoints() -> Select[Any]:
    known = select(breakpoints.c.id).where(breakpoints.c.id == h.breakpoints_id)
    return select(h.customer_id, h.scheme, h.breakpoints_id).where(h.breakpoints_id.is_not(None), ~known.exists())


def _overrides_apart() -> Select[Any]:
    """Overrides in force without effect, and effects without one. Who is due for a review is about to be put right.

    A scheme that cannot be evaluated leaves its classes as they were.
    """
    in_force = (
        select(o.customer_id, o.scheme, o.class_.label("class"))
        .join(scheme, and_(scheme.c.key == o.scheme, scheme.c.retired_at.is_(None), scheme.c.error.is_(None)))
        .where(o.status == "active", o.period.contains(NOW))
        .subquery("in_force")
    )
    f = in_force.c
    this_one = and_(f.customer_id == k.customer_id, f.scheme == k.scheme)
    set_aside = select(scheme.c.key).where(scheme.c.key == k.scheme, scheme.c.error.is_not(None)).exists()
    due = select(m.customer_id).where(m.customer_id == k.customer_id, m.next_review_at <= NOW).exists()
    without_effect = and_(f["class"].is_not(None), or_(k.class_.is_distinct_from(f["class"]), ~k.overridden))
    without_one = and_(k.overridden, f["class"].is_(None), ~due, ~set_aside)
    return (
        select(
            func.coalesce(k.customer_id, f.customer_id).label("customer_id"),
            func.coalesce(k.scheme, f.scheme).label("scheme"),
            k.class_.label("stands"),
            f["class"].label("override"),
        )
        .select_from(customer_class.outerjoin(in_force, this_one, full=True))
        .where(or_(without_effect, without_one))
    )


def _overrides_at_once() -> Select[Any]:
    other = class_override.alias("other")
    same = and_(other.c.customer_id == o.customer_id, other.c.scheme == o.scheme, other.c.id > o.id)
    return (
        select(o.customer_id, o.scheme, o.id, other.c.id.label("other_id"))
        .select_from(class_override.join(other, same))
        .where(o.period.overlaps(other.c.period))
    )


def _unreviewed() -> Select[Any]:
    """Pending changes and ends of overrides that no review is kept for."""
    begins = func.timezone(ZONE, cast(k.pending_on, DateTime))
    pending = select(k.customer_id, k.scheme, begins.label("due_at")).where(k.pending_on.is_not(None))
    ending = select(o.customer_id, o.scheme, o.expires_at).where(o.status == "active", o.expires_at > NOW)
    waiting = pending.union_all(ending).subquery("waiting")
    w = waiting.c
    return (
        select(w.customer_id, w.scheme, w.due_at, m.next_review_at)
        .select_from(waiting.outerjoin(customer_metrics, m.customer_id == w.customer_id))
        .where(func.coalesce(m.next_review_at > w.due_at, true()))
    )


def _remembered_apart() -> Select[Any]:
    """Decisions that are remembered as standing and do not: a recalculation would pass over these customers."""
    lines = select(m.customer_id, func.unnest(func.string_to_array(m.decided, "\n")).label("line")).subquery("lines")
    said = select(
        lines.c.customer_id,
        func.split_part(lines.c.line, "@", 1).label("scheme"),
        func.nullif(func.split_part(lines.c.line, " ", 2), "").label("remembered"),
    ).subquery("said")
    r = said.c
    this_one = and_(k.customer_id == r.customer_id, k.scheme == r.scheme)
    return (
        select(r.customer_id, r.scheme, r.remembered, k.class_.label("stands"))
        .select_from(said.outerjoin(customer_class, this_one))
        .where(r.remembered.is_distinct_from(k.class_))
    )


def _half_pending() -> Select[Any]:
    return select(k.customer_id, k.scheme, k.pending_class, k.pending_on).where(
        k.pending_class.is_(None) != k.pending_on.is_(None)
    )


def _unmeasured() -> Select[Any]:
    measured = select(m.customer_id).where(m.customer_id == customer.c.id)
    waits = select(dirty_customer.c.customer_id).where(dirty_customer.c.customer_id == customer.c.id)
    return select(customer.c.id).where(~measured.exists(), ~waits.exists()).order_by(customer.c.id)


def _mismeasured() -> Select[Any]:
    """Rows of a sample that are not what the facts up to their instant come to. Who waits to be measured is no part."""
    waits = select(dirty_customer.c.customer_id).where(dirty_customer.c.customer_id == m.customer_id)
    by_chance = func.md5(func.concat(m.customer_id, NOW))
    sample = select(customer_metrics).where(~waits.exists()).order_by(by_chance).limit(SAMPLE).cte("sample")
    s = sample.c
    rows: FromClause = sample
    stored = [column for column in customer_metrics.columns if column.info.get("from") == "purchases"]
    apart: dict[str, ColumnElement[bool]] = {}

    def measure(totals: FromClause, columns: Sequence[Column[Any]]) -> None:
        nonlocal rows
        rows = rows.outerjoin(totals, totals.c.customer_id == s.customer_id)
        apart.update({each.name: _differ(s[each.name], totals.c[each.name], each) for each in columns})

    def those(whose: ColumnElement[Any]) -> ColumnElement[bool]:
        return whose.in_(select(s.customer_id))

    def instant(whose: ColumnElement[Any]) -> ColumnElement[Any]:
        measured = customer_metrics.alias("measured").c
        return select(measured.as_of).where(measured.customer_id == whose).scalar_subquery()

    as_of = instant(purchase.c.customer_id)
    measure(purchase_totals(as_of, as_of - literal(refresh.WINDOW, Interval), those).subquery("totals"), stored)
    for summary in summaries.SUMMARIES:
        as_of = instant(summary.facts.selected_columns[0])
        found = summary.totals(as_of, as_of - literal(summary.window, Interval), those).subquery(summary.name)
        measure(found, summaries.columns_of(summary))
    which = func.concat_ws(" ", *(case((differs, name)) for name, differs in apart.items()))
    return select(s.customer_id, s.as_of, which.label("columns")).select_from(rows).where(or_(*apart.values()))


def _differ(stored: ColumnElement[Any], measured: ColumnElement[Any], column: Column[Any]) -> ColumnElement[bool]:
    return stored.is_distinct_from(measured if column.nullable else func.coalesce(measured, 0))


def _announced() -> tuple[Select[Any], Select[Any]]:
    """Changes since the first that was announced within the days for which events are kept, and those not told once.

    The first class of a customer is news only outside of a recalculation of everybody.
    """
    e = outbox_event.c
    # A day less: what changed in one transaction was announced with it, however long that took.
    recent = (e.name == any_(_NAMES), e.at > func.now() - (AT_LEAST_KEPT - timedelta(days=1)))
    each = select(cast(e.payload["change_id"].astext, BigInteger).label("id")).where(*recent).subquery("each")
    told = select(each.c.id, func.count().label("events")).group_by(each.c.id).cte("told")
    first = select(func.min(told.c.id)).scalar_subquery()
    is_news = (h.id >= first, h.from_class.is_not(None), h.cause.not_in(SILENT))
    events = func.coalesce(told.c.events, 0)
    wrong = (
        select(func.coalesce(h.id, told.c.id).label("change_id"), h.customer_id, h.scheme, events.label("events"))
        .select_from(class_change.outerjoin(told, told.c.id == h.id))
        .where(*is_news, events != 1)
        .order_by(h.id)
    )
    return select(func.count()).select_from(class_change).where(*is_news), wrong


def _announced_in_vain() -> tuple[Select[Any], Select[Any]]:
    """Changes that were announced of customers who are there, and that their history does not know."""
    e = outbox_event.c
    said, whose = e.payload["change_id"].astext, e.payload["customer_id"].astext
    known = select(h.id).where(cast(h.id, Text) == said)
    there = select(customer.c.id).where(cast(customer.c.id, Text) == whose)
    ours = e.name == any_(_NAMES)
    wrong = select(e.id, said.label("change_id")).where(ours, there.exists(), ~known.exists()).order_by(e.id)
    return select(func.count()).select_from(outbox_event).where(ours), wrong


_PENDING = or_(k.pending_class.is_not(None), k.pending_on.is_not(None))
_ACTIVE = o.status == "active"

CHECKS = [
    Check("the history replayed gives every class that stands, and no other", _count(customer_class), _replayed()),
    Check("a customer has one class of a scheme", _count(customer_class), _standing_twice()),
    Check("each change begins where the one before ended", _count(class_change), _broken_chains()),
    Check("each change names a version that is there", _count(class_change), _without_version(class_change)),
    Check("each class names a version that is there", _count(customer_class), _without_version(customer_class)),
    Check("each change names breakpoints that are there", _count(class_change), _without_breakpoints()),
    Check(
        "who is overridden has an override in force",
        _count(class_override, _ACTIVE),
        _overrides_apart(),
    ),
    Check("one override of a customer and scheme at a time", _count(class_override), _overrides_at_once()),
    Check("what is pending or will end is reviewed in time", _count(customer_class, _PENDING), _unreviewed()),
    Check(
        "what is remembered as decided stands", _count(customer_metrics, m.decided.is_not(None)), _remembered_apart()
    ),
    Check("a pending class has its day", _count(customer_class, _PENDING), _half_pending()),
    Check("every customer was measured, or waits for it", _count(customer), _unmeasured()),
    Check(
        f"metrics are what the facts come to, of up to {SAMPLE} customers",
        select(func.least(_count(customer_metrics).scalar_subquery(), SAMPLE)),
        _mismeasured(),
    ),
    Check("every change of class was announced once", *_announced()),
    Check("no change of class was announced that did not happen", *_announced_in_vain()),
    carried(recalculation, "recalculation"),
    carried(simulation, "simulation"),
    carried(prediction, "prediction"),
    belongs(customer_metrics, "row of metrics"),
    belongs(customer_class, "class"),
    belongs(class_change, "change of class", stays=True),
    belongs(class_override, "override", stays=True),
    belongs(segment_member, "membership"),
    belongs(dirty_customer, "mark to measure anew"),
]
