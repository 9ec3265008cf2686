"""SELECTs over purchases."""

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Date,
    FromClause,
    Integer,
    Select,
    Subquery,
    and_,
    any_,
    cast,
    distinct,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.db import ReadSession, Record
from app.core.http.paging import Page
from app.customers.document import visible_to
from app.customers.models import customer
from app.customers.seen import looked_up_first
from app.identity.actor import Actor
from app.purchases.models import exchange_rate, purchase, purchase_line


def purchase_totals(
    as_of: ColumnElement[Any], window_from: ColumnElement[Any], who: Callable[[ColumnElement[Any]], ColumnElement[bool]]
) -> Select[Any]:
    """Per customer, what happened up to `as_of`: counts, sums and days; the window is (window_from, as_of].

    A row of this costs what its twenty purchases cost, so they are read from the covering index
    `ix_purchase_metrics` alone, each amount is added to one sum (inside the window or before it), and the few
    refunds come from an index of their own instead of being asked for in every aggregate.
    """
    p = purchase.c
    inside, before = p.occurred_at > window_from, p.occurred_at <= window_from
    bought = (
        select(
            p.customer_id,
            func.count().label("frequency"),
            func.count().filter(inside).label("frequency_365d"),
            func.coalesce(func.sum(p.base_amount).filter(inside), 0).label("inside"),
            func.coalesce(func.sum(p.base_amount).filter(before), 0).label("before"),
            func.min(p.occurred_at).label("first_purchase_at"),
            func.max(p.occurred_at).label("last_purchase_at"),
            func.min(p.occurred_on).label("first_purchase_on"),
            func.max(p.occurred_on).label("last_purchase_on"),
            func.count(distinct(p.occurred_on)).label("purchase_days"),
            func.min(p.occurred_at).filter(inside).label("window_first_at"),
        )
        .where(who(p.customer_id), p.occurred_at <= as_of, p.base_amount >= 0)
        .group_by(p.customer_id)
        .subquery("bought")
    )
    refunded = (
        select(
            p.customer_id,
            func.sum(p.base_amount).label("all_time"),
            func.coalesce(func.sum(p.base_amount).filter(inside), 0).label("inside"),
            func.min(p.occurred_at).filter(inside).label("window_first_at"),
        )
        .where(who(p.customer_id), p.occurred_at <= as_of, p.base_amount < 0)
        .group_by(p.customer_id)
        .subquery("refunded")
    )
    return _together(bought, refunded)


def _together(bought: Subquery, refunded: Subquery) -> Select[Any]:
    """Purchases and refunds of each customer as one row; refunds are negative."""
    b, r = bought.c, refunded.c

    def value(column: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.coalesce(column, 0)

    return select(
        func.coalesce(b.customer_id, r.customer_id).label("customer_id"),
        value(b.frequency).label("frequency"),
        (value(b.inside) + value(b.before) + value(r.all_time)).label("monetary"),
        (-value(r.all_time)).label("refunded"),
        value(b.frequency_365d).label("frequency_365d"),
        (value(b.inside) + value(r.inside)).label("monetary_365d"),
        b.first_purchase_at,
        b.last_purchase_at,
        b.first_purchase_on,
        b.last_purchase_on,
        value(b.purchase_days).label("purchase_days"),
        func.least(b.window_first_at, r.window_first_at).label("window_first_at"),
    ).select_from(bought.outerjoin(refunded, b.customer_id == r.customer_id, full=True))


def purchase_totals_since(
    known: FromClause, recorded: BindParameter[Any], as_of: BindParameter[Any], window: ColumnElement[Any]
) -> Select[Any]:
    """What to add to the totals of `known` (customer_id, as_of), which lack one `recorded` purchase, up to `as_of`.

    First the purchase is added as of the known instant, if it lies before; then time passes: what has happened since
    comes into all totals, and what the window has left behind goes out of those of the window. Its length and
    not the customer's history is what this costs: all but the one purchase comes from ranges of `ix_purchase_metrics`.
    A day is a new one when no other purchase of it was known. Of first and last, the lesser and the greater count.
    """
    p, since, other = purchase.c, known.c.as_of, purchase.alias("other")

    def facts(which: ColumnElement[bool], *, all_time: int, in_window: ColumnElement[Any]) -> Select[Any]:
        return select(
            p.customer_id,
            p.occurred_at,
            p.occurred_on,
            p.base_amount,
            literal(all_time, Integer).label("all_time"),
            in_window.label("in_window"),
        ).select_from(known.join(purchase, and_(p.customer_id == known.c.customer_id, which)))

    moved = union_all(
        facts(
            and_(p.id == recorded, p.occurred_at <= since),
            all_time=1,
            in_window=cast(p.occurred_at > since - window, Integer),
        ),
        facts(_happened(since, as_of), all_time=1, in_window=literal(1, Integer)),
        facts(_happened(since - window, as_of - window), all_time=0, in_window=literal(-1, Integer)),
    ).subquery("moved")
    m = moved.c
    is_purchase = m.base_amount >= 0
    entered = and_(is_purchase, m.all_time == 1)
    day_was_known = exists().where(
        other.c.customer_id == m.customer_id,
        other.c.occurred_on == m.occurred_on,
        other.c.occurred_at <= since,
        other.c.base_amount >= 0,
        other.c.id.is_distinct_from(recorded),
    )

    def total(value: ColumnElement[Any], *which: ColumnElement[bool]) -> ColumnElement[Any]:
        return func.coalesce(func.sum(value).filter(*which), 0)

    return (
        select(
            known.c.customer_id,
            total(m.all_time, is_purchase).label("frequency"),
            total(m.base_amount * m.all_time).label("monetary"),
            (-total(m.base_amount * m.all_time, m.base_amount < 0)).label("refunded"),
            total(m.in_window, is_purchase).label("frequency_365d"),
            total(m.base_amount * m.in_window).label("monetary_365d"),
            func.min(m.occurred_at).filter(entered).label("first_purchase_at"),
            func.max(m.occurred_at).filter(entered).label("last_purchase_at"),
            func.min(m.occurred_on).filter(entered).label("first_purchase_on"),
            func.max(m.occurred_on).filter(entered).label("last_purchase_on"),
            func.count(distinct(m.occurred_on)).filter(entered, ~day_was_known).label("purchase_days"),
        )
        .select_from(known.outerjoin(moved, m.customer_id == known.c.customer_id))
        .group_by(known.c.customer_id)
    )


def counts(as_of: BindParameter[Any]) -> ColumnElement[bool]:
    """The facts that count as of an instant."""
    return purchase.c.occurred_at <= as_of


def has_entered(
    since: ColumnElement[Any], recorded: BindParameter[Any], as_of: BindParameter[Any]
) -> ColumnElement[bool]:
    """The facts that count as of `as_of` and did not as of `since`, when one `recorded` purchase was not there."""
    p = purchase.c
    return or_(_happened(since, as_of), and_(p.id == recorded, p.occurred_at <= as_of))


def _happened(after: ColumnElement[Any], up_to: ColumnElement[Any]) -> ColumnElement[bool]:
    """What happened in (after, up_to]. The index goes by local days, which begin within a day of UTC's."""
    p = purchase.c
    return and_(
        p.occurred_at > after,
        p.occurred_at <= up_to,
        p.occurred_on >= cast(func.timezone("UTC", after), Date) - 1,
        p.occurred_on <= cast(func.timezone("UTC", up_to), Date) + 1,
    )


def first_after(
    customer_id: ColumnElement[Any], after: ColumnElement[Any], up_to: ColumnElement[Any] | None = None
) -> ColumnElement[Any]:
    """When the first purchase or refund in (after, up_to] occurred; NULL without one.

    Two probes of `ix_purchase_metrics`, which goes by local days: the first day with one, the first of that day.
    """
    first, p = purchase.alias("first"), purchase.c
    day = (
        select(first.c.occurred_on)
        .where(
            first.c.customer_id == customer_id,
            first.c.occurred_at > after,
            first.c.occurred_on >= cast(func.timezone("UTC", after), Date) - 1,
            true() if up_to is None else first.c.occurred_at <= up_to,
        )
        .order_by(first.c.occurred_on)
        .limit(1)
        .correlate_except(first)
        .scalar_subquery()
    )
    return (
        select(func.min(p.occurred_at))
        .where(p.customer_id == customer_id, p.occurred_on == day, p.occurred_at > after)
        .correlate_except(purchase)
        .scalar_subquery()
    )


def monetary_until(
    as_of: ColumnElement[Any], who: Callable[[ColumnElement[Any]], ColumnElement[bool]] | None = None
) -> Select[Any]:
    """Per customer, purchases minus refunds up to an instant; of these customers or of all who bought."""
    p = purchase.c
    statement = select(p.customer_id, func.sum(p.base_amount).label("monetary")).where(p.occurred_at <= as_of)
    if who is not None:
        statement = statement.where(who(p.customer_id))
    return statement.group_by(p.customer_id)


def last_recorded_at(customer_id: ColumnElement[Any]) -> ColumnElement[Any]:
    """When, in real time, the customer's latest purchase came to be known here; NULL without one."""
    return select(func.max(purchase.c.created_at)).where(purchase.c.customer_id == customer_id).scalar_subquery()


def gap_histogram(as_of: BindParameter[Any], who: Callable[[ColumnElement[Any]], ColumnElement[bool]]) -> Select[Any]:
    """How often each gap between a customer's purchase days occurs: `gap` days, `gaps`, `first_gaps` among them.

    One walk along the covering index. Purchases of one day are no gap; a gap that begins on the customer's first
    day is the first. The frame is of rows: one of peers would look at every row twice.
    """
    p = purchase.c
    window: dict[str, Any] = {"partition_by": p.customer_id, "order_by": p.occurred_on, "rows": (None, 0)}
    before = func.lag(p.occurred_on).over(**window)
    days = (
        select(
            (p.occurred_on - before).label("gap"),
            (before == func.first_value(p.occurred_on).over(**window)).label("is_first"),
        )
        .where(who(p.customer_id), p.occurred_at <= as_of, p.base_amount >= 0)
        .subquery("days")
    )
    return (
        select(days.c.gap, func.count().label("gaps"), func.count().filter(days.c.is_first).label("first_gaps"))
        .where(days.c.gap > 0)
        .group_by(days.c.gap)
    )


async def lines_of(session: ReadSession, purchases: list[Record]) -> dict[UUID, list[dict[str, Any]]]:
    """The lines of some purchases, in their order, by purchase."""
    ids = literal([row["id"] for row in purchases], ARRAY(UuidType))
    owners = literal([row["customer_id"] for row in purchases], ARRAY(UuidType))
    line = purchase_line.c
    rows = await session.all(
        select(purchase_line)
        .where(line.customer_id == any_(owners), line.purchase_id == any_(ids))
        .order_by(line.purchase_id, line.position)
    )
    lines: dict[UUID, list[dict[str, Any]]] = {}
    for row in rows:
        lines.setdefault(row["purchase_id"], []).append(dict(row))
    return lines


def visible_purchases(actor: Actor) -> Select[Any]:
    """Purchases of the customers whose purchases this actor may read."""
    return (
        select(purchase)
        .join(customer, customer.c.id == purchase.c.customer_id)
        .where(visible_to(actor, "purchases:read"))
    )


async def page_of_purchases(
    session: ReadSession, actor: Actor, page: Page, *, customer_id: UUID | None = None
) -> dict[str, Any]:
    """A page, the latest first, with lines."""
    statement = visible_purchases(actor)
    if customer_id is None:
        statement = statement.where(*await looked_up_first(session, actor, "purchases:read", purchase.c.customer_id))
    else:
        statement = statement.where(purchase.c.customer_id == customer_id)
    found = await page.latest_facts(session, statement, purchase, {})
    lines = await lines_of(session, found["items"])
    return {**found, "items": [{**row, "lines": lines.get(row["id"], [])} for row in found["items"]]}


async def page_of_rates(session: ReadSession, page: Page, *, currency: str | None) -> dict[str, Any]:
    """A page of exchange rates, the latest day first."""
    r = exchange_rate.c
    statement = select(r.currency, r.day, r.rate).order_by(r.day.desc(), r.currency).limit(page.limit + 1)
    if currency is not None:
        statement = statement.where(r.currency == currency)
    if (after := page.after(currency)) is not None:
        day = date.fromisoformat(after[0])
        statement = statement.where(or_(r.day < day, and_(r.day == day, r.currency > after[1])))
    rows = await session.all(statement)
    shown = rows[: page.limit]
    last = [shown[-1]["day"], shown[-1]["currency"]] if shown else []
    return {"items": [dict(row) for row in shown], "next_cursor": page.next_cursor(rows, last, currency)}
