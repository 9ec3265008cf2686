"""Scores of many answers at once: NPS, CSAT and CES, per customer, unit, class, topic, channel and period.

NPS = 100 (9-10 minus 0-6) / n, CSAT = 100 (4 and 5) / n, CES = mean. One statement over the answers,
grouped by the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    Integer,
    Numeric,
    Select,
    Text,
    case,
    cast,
    collate,
    func,
    literal,
    select,
    tuple_,
)

from app.core import clock
from app.core.db import ReadSession
from app.core.errors import Invalid
from app.core.http.paging import Page
from app.customers.document import visible_to
from app.customers.models import customer
from app.feedback.models import feedback
from app.feedback.queries import READ, conditions
from app.identity.actor import Actor

_f = feedback.c
_EARLIEST = date(1, 1, 1)
"""Stands for no period, where pages are cut."""
_memberships: dict[str, tuple[str, Select[Any]]] = {}


@dataclass(frozen=True, slots=True)
class Grouping:
    """By what answers are put together. `membership` names what the customers' groups are of: a scheme of classes."""

    by: str | None
    membership: str | None
    period: str | None


def add_memberships(given: Mapping[str, tuple[str, Select[Any]]]) -> None:
    """Groups that higher packages put customers into: the permission to see them, and their SELECT.

    Its columns are `customer_id`, `key` (what the groups are of) and `name` (the group's).
    """
    _memberships.update(given)


async def page_of_scores(
    session: ReadSession, actor: Actor, page: Page, *, grouping: Grouping, filters: Mapping[str, Any]
) -> dict[str, Any]:
    """A page of scores by group, period and measure, of the customers whose feedback the actor may read.

    Raises `Invalid` when the classes are of no scheme, or of one though nobody asked by class.
    """
    group, period = _group(actor, grouping), _period(grouping.period)
    answers = (
        select(group[0].label("group"), period.label("period"), collate(_f.measure, "C").label("measure"), _f.score)
        .select_from(group[1])
        .where(_f.measure.is_not(None), visible_to(actor, READ), *group[2], *conditions(filters))
        .subquery("answers")
    )
    key = (answers.c.group, answers.c.period, answers.c.measure)
    statement = _scored(answers).group_by(*key).order_by(*key).limit(page.limit + 1)
    scope: list[Any] = [grouping.by, grouping.membership, grouping.period]
    scope += sorted((name, str(value)) for name, value in filters.items())
    if (after := page.after(scope)) is not None:
        on = literal(date.fromisoformat(after[1]), Date)
        statement = statement.where(tuple_(*key) > tuple_(literal(after[0], Text), on, literal(after[2], Text)))
    rows = await session.all(statement)
    on_it = rows[: page.limit]
    last = [on_it[-1][name] for name in ("group", "period", "measure")] if on_it else []
    return {"items": [_shown(row, grouping) for row in on_it], "next_cursor": page.next_cursor(rows, last, scope)}


def _shown(row: Any, grouping: Grouping) -> dict[str, Any]:
    nowhere = grouping.by is None or row["group"] == ""
    return {
        **row,
        "group": None if nowhere else row["group"],
        "period": None if row["period"] == _EARLIEST else row["period"],
    }


def _scored(answers: Any) -> Select[Any]:
    measure, score = answers.c.measure, answers.c.score
    n = func.count()
    best = case((measure == "nps", score >= 9), (measure == "csat", score >= 4))
    worst = case((measure == "nps", score <= 6), (measure == "csat", score <= 2))
    net = {
        "nps": 100 * (n.filter(best) - n.filter(worst)),
        "csat": 100 * n.filter(best),
        "ces": func.sum(score),
    }
    total = case(*((measure == name, cast(value, Integer)) for name, value in net.items()))
    return select(
        answers.c.group,
        answers.c.period,
        measure,
        n.label("answers"),
        func.round(cast(total, Numeric) / n, 4).label("score"),
        func.round(func.avg(score), 4).label("mean"),
        case((measure != "ces", n.filter(best))).label("best"),
        case((measure != "ces", n.filter(worst))).label("worst"),
    )


def _group(actor: Actor, grouping: Grouping) -> tuple[ColumnElement[Any], Any, list[ColumnElement[bool]]]:
    """The group as text, where it is found, and which rows are in one."""
    known = feedback.join(customer, customer.c.id == _f.customer_id)
    plain: dict[str | None, ColumnElement[Any]] = {
        None: literal("", Text),
        "customer": cast(_f.customer_id, Text),
        "unit": cast(customer.c.unit_id, Text),
        "topic": _f.topic,
        "channel": _f.channel,
    }
    if (grouping.by in _memberships) != (grouping.membership is not None):
        raise Invalid.at("/query/scheme", "by=class needs the scheme whose classes are meant, and only that")
    if grouping.by not in _memberships:
        return _text(plain[grouping.by]), known, []
    permission, select_of = _memberships[str(grouping.by)]
    groups = select_of.subquery("groups")
    rows = known.join(groups, groups.c.customer_id == _f.customer_id)
    return _text(groups.c.name), rows, [groups.c.key == grouping.membership, visible_to(actor, permission)]


def _text(group: ColumnElement[Any]) -> ColumnElement[Any]:
    # Byte by byte, so that the order is the same in every database and in the cursor; '' for those in none.
    return collate(func.coalesce(group, literal("", Text)), "C")


def _period(unit: str | None) -> ColumnElement[Any]:
    """The first day of the period in the business time zone."""
    if unit is None:
        return literal(_EARLIEST, Date)
    return cast(func.date_trunc(unit, func.timezone(str(clock.business_zone()), _f.occurred_at)), Date)
