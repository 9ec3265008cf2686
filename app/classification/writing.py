"""What an evaluation writes, in the statement that decided it: classes, their history, reviews, announcements."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    DateTime,
    Insert,
    Numeric,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    delete,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, array

from app.classification.events import (
    ClassChanged,
    DowngradeCalledOff,
    DowngradePending,
    SegmentEntered,
    SegmentLeft,
    UpgradeCalledOff,
    UpgradePending,
)
from app.classification.models import class_change, class_override, customer_class, customer_metrics
from app.classification.movement import AT
from app.classification.refresh import AS_OF, AS_OF_DAY, among, within
from app.core import clock, outbox

CAUSE = bindparam("cause", type_=Text)
Inputs = tuple[str, Sequence[ColumnElement[Any]], Sequence[ColumnElement[Any]]]
"""A scheme's key and, among the columns of the decisions, the metrics and the other facts that it reads."""


def writing(
    decisions: CTE,
    settled: CTE,
    read: CTE,
    inputs: Sequence[Inputs],
    segments: Sequence[str],
    *,
    ranged: bool,
    whole: bool,
    remembers: bool,
    told: bool,
) -> Select[Any]:
    """Write what differs from what stands; `read` has the `inputs` of every customer with anything to settle.

    Gives how many customers were `evaluated`, how many classes `changed`, and, of a range, the customers in whom
    somebody else was faster (`overtaken`); or, when the classes are to be `told`, those of each customer afterwards.
    The next review is kept, too, and by whoever `remembers` what was decided. The review can only come earlier, unless
    the `whole` of the schemes was asked.
    """
    s = settled.c
    moved = (
        select(settled)
        .where(
            or_(
                s.becomes.is_distinct_from(s.before),
                and_(s.becomes.is_not(None), s.score.is_distinct_from(s.score_before)),
                s.pending_class.is_distinct_from(s.pending_before),
                s.pending_on.is_distinct_from(s.pending_on_before),
                s.overridden_before != s.forced.is_not(None),
            )
        )
        .cte("moved")
    )
    locked = _locked(moved) if ranged else None
    mine = literal(True) if locked is None else moved.c.customer_id.in_(select(locked.c.customer_id))
    logged = _logged(moved, read, inputs, mine)
    ctes = [_entered(moved, mine), _stayed(moved, mine), _left(moved, mine), logged]
    announced = _announced(moved, logged, segments, mine, ranged=ranged)
    ctes += [each.cte(f"announced_{n}") for n, each in enumerate(announced)]
    ctes.append(_reviewed(decisions, settled, locked, ranged=ranged, whole=whole, remembers=remembers))
    if told:
        return _afterwards(decisions, moved).add_cte(*ctes)
    ctes.remove(logged)
    columns = [_count(decisions).label("evaluated"), _count(logged).label("changed")]
    if locked is not None:
        faster = moved.c.customer_id.not_in(select(locked.c.customer_id))
        overtaken = select(func.array_agg(func.distinct(moved.c.customer_id))).where(faster)
        columns.append(overtaken.scalar_subquery().label("overtaken"))
    return select(*columns).add_cte(*ctes)


def _count(rows: CTE) -> ColumnElement[Any]:
    return select(func.count()).select_from(rows).scalar_subquery()


def _locked(moved: CTE) -> CTE:
    """The lock makes whoever comes later wait; the revision makes sure nobody came before."""
    m = customer_metrics.c
    once = select(moved.c.customer_id, moved.c.revision).distinct().subquery("once")
    return (
        select(m.customer_id)
        .select_from(customer_metrics)
        .where(
            m.customer_id == once.c.customer_id,
            m.revision == once.c.revision,
            within(m.customer_id, ranged=True),
        )
        .with_for_update(key_share=True, of=customer_metrics)
        .cte("locked")
    )


def _entered(moved: CTE, mine: ColumnElement[bool]) -> CTE:
    m = moved.c
    values = {
        "customer_id": m.customer_id,
        "scheme": m.scheme,
        "class_": m.becomes,
        "score": m.score,
        "since": AT,
        "as_of": AS_OF,
        "version": m.version,
        "breakpoints_id": m.breakpoints_id,
        "overridden": m.forced.is_not(None),
    }
    rows = (
        select(*values.values())
        .where(m.before.is_(None), m.becomes.is_not(None), mine)
        # What is read of a customer lies together.
        .order_by(m.customer_id, m.scheme)
    )
    return insert(customer_class).from_select(list(values), rows).returning(customer_class.c.customer_id).cte("entered")


def _this_class(moved: CTE) -> ColumnElement[bool]:
    return and_(
        customer_class.c.customer_id == moved.c.customer_id,
        customer_class.c.scheme == moved.c.scheme,
        among(customer_class.c.customer_id, moved),
        moved.c.before.is_not(None),
    )


def _stayed(moved: CTE, mine: ColumnElement[bool]) -> CTE:
    m = moved.c
    return (
        update(customer_class)
        .values(
            class_=m.becomes,
            score=m.score,
            since=case((m.before == m.becomes, customer_class.c.since), else_=AT),
            as_of=AS_OF,
            version=m.version,
            breakpoints_id=m.breakpoints_id,
            pending_class=m.pending_class,
            pending_on=m.pending_on,
            overridden=m.forced.is_not(None),
        )
        .where(_this_class(moved), m.becomes.is_not(None), mine)
        .returning(customer_class.c.customer_id)
        .cte("stayed")
    )


def _left(moved: CTE, mine: ColumnElement[bool]) -> CTE:
    return (
        delete(customer_class)
        .where(_this_class(moved), moved.c.becomes.is_(None), mine)
        .returning(customer_class.c.customer_id)
        .cte("left_scheme")
    )


def _logged(moved: CTE, read: CTE, inputs: Sequence[Inputs], mine: ColumnElement[bool]) -> CTE:
    """The history: what became what, and from which inputs. These are put together for those who moved alone."""
    m = moved.c
    metrics = case(*((m.scheme == key, _numbers(columns)) for key, columns, _ in inputs))
    facts = [(m.scheme == key, _texts(columns)) for key, _, columns in inputs if columns]
    values = {
        "customer_id": m.customer_id,
        "scheme": m.scheme,
        "from_class": m.before,
        "to_class": m.becomes,
        "at": AT,
        "as_of": AS_OF,
        "version": m.version,
        "breakpoints_id": m.breakpoints_id,
        "inputs": metrics,
        "score": m.score,
        "cause": CAUSE,
        "actor": bindparam("actor", type_=Text),
        "correlation_id": bindparam("correlation_id", type_=Text),
    }
    if facts:
        values["facts"] = case(*facts)
    changed = m.before.is_distinct_from(m.becomes)
    rows = (
        select(*values.values()).select_from(moved.join(read, read.c.customer_id == m.customer_id)).where(changed, mine)
    )
    h = class_change.c
    return (
        insert(class_change)
        .from_select(list(values), rows)
        .returning(h.customer_id, h.id, h.scheme, h.from_class, h.to_class, h.version)
        .cte("logged")
    )


def _numbers(columns: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    numbers = [func.extract("epoch", each) if isinstance(each.type, DateTime) else each for each in columns]
    return cast(array(numbers), ARRAY(Numeric)) if numbers else cast(literal("{}"), ARRAY(Numeric))


def _texts(columns: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    return cast(array([cast(each, Text) for each in columns]), ARRAY(Text))


def _announced(
    moved: CTE, logged: CTE, segments: Sequence[str], mine: ColumnElement[bool], *, ranged: bool
) -> list[Insert]:
    """Every change, and every pending one that begins or is called off. In bulk a first class is no news, nor who
    a segment begins with.
    """
    m, h = moved.c, logged.c
    name: ColumnElement[Any] = literal(ClassChanged.name, Text)
    is_news: ColumnElement[bool] = h.from_class.is_not(None) if ranged else literal(True)
    if segments:
        is_segment = h.scheme == any_(literal(list(segments), ARRAY(Text)))
        entered = and_(is_segment, h.from_class.is_(None))
        name = case((entered, SegmentEntered.name), (is_segment, SegmentLeft.name), else_=ClassChanged.name)
        is_news = or_(is_news, and_(entered, h.scheme.is_distinct_from(bindparam("fills", None, type_=Text))))
    change = func.jsonb_build_object(
        *("customer_id", h.customer_id, "scheme", h.scheme, "change_id", h.id),
        *("before", h.from_class, "after", h.to_class, "reason", _reason(h.version)),
    )
    was_up = func.coalesce(m.rank_pending < m.rank_before, false())
    goes_on = and_(m.pending_class.is_not(None), m.goes_up == was_up)
    stands = m.becomes.is_not_distinct_from(m.before)
    return [
        outbox.storing(name, change, logged, when=is_news),
        outbox.storing(
            case((m.goes_up, UpgradePending.name), else_=DowngradePending.name),
            _pending(moved, m.pending_class, "on", m.pending_on),
            moved,
            when=and_(m.pending_class.is_not(None), m.pending_class.is_distinct_from(m.pending_before), mine),
        ),
        outbox.storing(
            case((was_up, UpgradeCalledOff.name), else_=DowngradeCalledOff.name),
            _pending(moved, m.pending_before),
            moved,
            when=and_(m.pending_before.is_not(None), ~goes_on, stands, mine),
        ),
    ]


def _pending(moved: CTE, after: ColumnElement[Any], *more: Any) -> ColumnElement[Any]:
    m = moved.c
    return func.jsonb_build_object(
        *("customer_id", m.customer_id, "scheme", m.scheme, "before", m.becomes, "after", after),
        *("reason", _reason(m.version), *more),
    )


def _reason(version: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.jsonb_build_object("cause", CAUSE, "version", version)


def _reviewed(decisions: CTE, settled: CTE, locked: CTE | None, *, ranged: bool, whole: bool, remembers: bool) -> CTE:
    """Keep when each customer is due: by its decisions, a pending change or the end of an override.

    Who was evaluated as of a day that is over is due at once. What was decided is kept or forgotten, too (see
    `_remembered`).
    """
    d, waiting = decisions.c, _waiting(settled, ranged=ranged, whole=whole)
    due = func.least(waiting.c.due_at, d.review_at, *([] if whole else [d.next_review_at]))
    kept: dict[str, ColumnElement[Any]] = {
        "next_review_at": case((bindparam("today") > AS_OF_DAY, AS_OF), else_=due),
        "decided": _remembered(decisions, settled, remembers=remembers),
    }
    stood = {"next_review_at": d.next_review_at, "decided": d.decided_before}
    review = (
        select(d.customer_id, d.revision, *(value.label(name) for name, value in kept.items()))
        .select_from(decisions.outerjoin(waiting, waiting.c.customer_id == d.customer_id))
        .where(or_(*(before.is_distinct_from(kept[name]) for name, before in stood.items())))
        .cte("review")
    )
    # Locked rows are locked before any is updated: a row that this statement updated it would not lock any more.
    first = literal(True) if locked is None else _count(locked) >= 0
    return (
        update(customer_metrics)
        .values({name: review.c[name] for name in kept})
        .where(
            customer_metrics.c.customer_id == review.c.customer_id,
            customer_metrics.c.revision == review.c.revision,
            within(customer_metrics.c.customer_id, ranged=ranged),
            first,
        )
        .returning(customer_metrics.c.customer_id)
        .cte("reviewed")
    )


def _remembered(decisions: CTE, settled: CTE, *, remembers: bool) -> ColumnElement[Any]:
    """What was decided, of customers of whom just that stands: the next recalculation passes over who is decided alike.

    Null for whom something waits or is forced. Only a statement that decides everybody by all schemes remembers;
    others forget whomever they settled anything of.
    """
    s = settled.c
    waits = or_(s.becomes.is_distinct_from(s.decided), s.pending_class.is_not(None), s.forced.is_not(None))
    unlike = select(s.customer_id).where(waits) if remembers else select(s.customer_id)
    word = decisions.c.decided if remembers else decisions.c.decided_before
    return case((decisions.c.customer_id.not_in(unlike), word))


def _waiting(settled: CTE, *, ranged: bool, whole: bool) -> CTE:
    """When a pending change or the end of an override is due, of the customers who have any.

    Of the schemes decided here it stands in `settled`. Who decides the whole also asks for every override.
    """
    o, s = class_override.c, settled.c
    zone = str(clock.business_zone())

    def begins(day: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.timezone(zone, cast(day, DateTime))

    here = select(s.customer_id, func.least(begins(s.pending_on), s.forced_until).label("due_at")).where(
        or_(s.pending_on.is_not(None), s.forced_until.is_not(None))
    )
    overridden = select(o.customer_id, o.expires_at).where(
        o.status == "active", o.expires_at > AT, within(o.customer_id, ranged=ranged)
    )
    every = union_all(here, *([overridden] if whole else [])).subquery("every")
    return (
        select(every.c.customer_id, func.min(every.c.due_at).label("due_at"))
        .group_by(every.c.customer_id)
        .cte("waiting")
    )


def _afterwards(decisions: CTE, moved: CTE) -> Select[Any]:
    """The classes of each customer, those of other levels included."""
    k, m = customer_class.c, moved.c
    this = and_(m.customer_id == k.customer_id, m.scheme == k.scheme)
    stands = select(k.customer_id, k.scheme, k.class_).where(
        within(k.customer_id, ranged=False), ~select(m.customer_id).where(this).exists()
    )
    became = select(m.customer_id, m.scheme, m.becomes).where(m.becomes.is_not(None))
    every = union_all(stands, became).subquery("every_class")
    classes = func.jsonb_object_agg(every.c.scheme, every.c.class_, type_=JSONB)
    found = select(every.c.customer_id, classes.label("classes")).group_by(every.c.customer_id).subquery("found")
    return select(decisions.c.customer_id, found.c.classes).select_from(
        decisions.outerjoin(found, found.c.customer_id == decisions.c.customer_id)
    )
