"""From what a document decides to the class that stands: grace, steps, minimum stay, overrides.

One rule for everybody at once. A better class counts at once or from the next period on; a worse one after its grace,
one step at a time where the document says so; meanwhile the change is pending and is called off when the decision
returns. An override stands above all that and gives way by itself when it ends. Days are business days.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Integer,
    Interval,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    column,
    false,
    func,
    literal,
    null,
    or_,
    select,
    values,
)
from sqlalchemy.dialects.postgresql import ARRAY

from app.classification.definitions import BaseDocument
from app.classification.models import class_override, customer_class
from app.core import clock

AT = bindparam("at", type_=DateTime(timezone=True))
TODAY = bindparam("today", type_=Date)
CORRECTION = bindparam("correction", type_=Boolean)
"""Whether a refund, a back-dated purchase or a merge is the reason."""
RELEASED = bindparam("released", [], type_=ARRAY(Text))
"""Schemes whose classes movement does not hold, whatever the document says: a publication takes effect at once."""
RELEASED_FROM = bindparam("released_from", None, type_=DateTime(timezone=True))
"""Of these, only classes that were given since this instant, when there is one: those of the version taken back."""

Theirs = Callable[[ColumnElement[Any]], ColumnElement[bool]]
"""Whether a row is of a customer who has answers: what tells the planner which classes to read."""

_PERIODS = {
    "at_once": (None, None),
    "next_month": ("month", 1),
    "next_quarter": ("quarter", 3),
    "next_year": ("year", 12),
}


def settled(
    documents: Sequence[tuple[str, int, BaseDocument]], answers: CTE, theirs: Theirs, *, called: str = "settled"
) -> CTE:
    """For each answer that is not simply what stands: the class and the pending change from now on.

    `answers` has customer_id, revision, scheme, decided, score, breakpoints_id. Added to it are `before` and what
    else stood, `becomes`, `pending_class`, `pending_on`, `forced` (by an override) and `forced_until`.
    """
    timed = _timed(_ranked(documents, _to_settle(answers, theirs)))
    t = timed.c
    is_due = t.due_on <= TODAY
    waits = and_(t.forced.is_(None), ~t.at_once, t.rank_decided != t.rank_before, or_(~is_due, t.step != t.decided))
    becomes = case(
        (t.forced.is_not(None), t.forced),
        (t.at_once, t.decided),
        (t.rank_decided == t.rank_before, t.before),
        (is_due, t.step),
        else_=t.before,
    )
    # One step a day at most, however often a day is looked at.
    next_step = func.greatest(TODAY + 1, TODAY + t.grace_days, TODAY + t.stay_days)
    pending_class = case((~waits, null()), (is_due, t.ranked[t.rank_before + 2]), else_=t.step)
    pending_on = case((~waits, null()), (is_due, next_step), else_=t.due_on)
    return select(
        timed,
        becomes.label("becomes"),
        cast(pending_class, Text).label("pending_class"),
        cast(pending_on, Date).label("pending_on"),
    ).cte(called)


def _to_settle(answers: CTE, theirs: Theirs) -> CTE:
    """Answers that differ from what stands, or that meet a pending change or an override."""
    stands, held = customer_class.alias("stands"), class_override.alias("held")
    a, s, h = answers.c, stands.c, held.c
    this_one = and_(s.customer_id == a.customer_id, s.scheme == a.scheme, theirs(s.customer_id))
    in_force = and_(h.customer_id == a.customer_id, h.scheme == a.scheme, h.status == "active", h.period.contains(AT))
    return (
        select(
            answers,
            s.class_.label("before"),
            s.score.label("score_before"),
            s.since.label("since_before"),
            s.pending_class.label("pending_before"),
            s.pending_on.label("pending_on_before"),
            func.coalesce(s.overridden, false()).label("overridden_before"),
            h.class_.label("forced"),
            h.expires_at.label("forced_until"),
        )
        .select_from(answers.outerjoin(stands, this_one).outerjoin(held, in_force))
        .where(
            or_(
                s.class_.is_distinct_from(a.decided),
                and_(s.class_.is_not(None), s.score.is_distinct_from(a.score)),
                s.pending_class.is_not(None),
                s.overridden,
                h.class_.is_not(None),
            )
        )
        .cte()
    )


def _ranked(documents: Sequence[tuple[str, int, BaseDocument]], answers: CTE) -> CTE:
    """With the scheme's rule and the ranks (1 is best) of what stood, of the decision and of what was pending."""
    rule = _rules(documents)
    a, r = answers.c, rule.c
    rank_before = func.array_position(r.ranked, a.before)
    rank_decided = func.array_position(r.ranked, a.decided)
    at_once = or_(
        a.overridden_before,
        rank_before.is_(None),
        rank_decided.is_(None),
        and_(CORRECTION, r.corrections_at_once),
        and_(a.scheme == any_(RELEASED), or_(RELEASED_FROM.is_(None), a.since_before >= RELEASED_FROM)),
    )
    return (
        select(
            answers,
            *(each for each in rule.c if each.name != "scheme"),
            rank_before.label("rank_before"),
            rank_decided.label("rank_decided"),
            func.array_position(r.ranked, a.pending_before).label("rank_pending"),
            at_once.label("at_once"),
        )
        .select_from(answers.join(rule, r.scheme == a.scheme))
        .cte()
    )


def _timed(answers: CTE) -> CTE:
    """With the step that would be taken and the day on which it may be."""
    a = answers.c
    goes_up = a.rank_decided < a.rank_before
    stay_until = cast(func.timezone(str(clock.business_zone()), a.since_before), Date) + a.stay_days
    next_period = cast(func.date_trunc(a.period, cast(TODAY, DateTime)) + a.period_length, Date)
    begins = case((goes_up, func.coalesce(next_period, TODAY)), else_=TODAY + a.grace_days)
    goes_on = and_(a.rank_pending.is_not(None), (a.rank_pending < a.rank_before) == goes_up)
    one_down = and_(a.one_step, ~goes_up)
    return select(
        answers,
        goes_up.label("goes_up"),
        case((goes_on, a.pending_on_before), else_=func.greatest(begins, stay_until)).label("due_on"),
        case((one_down, a.ranked[a.rank_before + 1]), else_=a.decided).label("step"),
    ).cte()


def _rules(documents: Sequence[tuple[str, int, BaseDocument]]) -> Any:
    """How classes of each scheme move, a row each; without `movement` there are no ranks, so everything is at once."""
    return (
        values(
            column("scheme", Text),
            column("version", Integer),
            column("ranked", ARRAY(Text)),
            column("period", Text),
            column("period_length", Interval),
            column("grace_days", Integer),
            column("one_step", Boolean),
            column("stay_days", Integer),
            column("corrections_at_once", Boolean),
            name="rule",
        )
        .data([_rule(key, version, document) for key, version, document in documents])
        .cte()
    )


def _rule(key: str, version: int, document: BaseDocument) -> tuple[ColumnElement[Any], ...]:
    movement = document.movement
    period, months = _PERIODS[movement.upgrade] if movement else (None, None)
    return (
        literal(key, Text),
        literal(version, Integer),
        literal(document.ranked if movement else None, ARRAY(Text)),
        literal(period, Text),
        cast(literal(None if months is None else f"{months} months", Text), Interval),
        literal(movement.downgrade.grace_days if movement else 0, Integer),
        literal(bool(movement and movement.downgrade.one_step), Boolean),
        literal(movement.minimum_stay_days if movement else 0, Integer),
        literal(bool(movement and movement.corrections == "at_once"), Boolean),
    )
