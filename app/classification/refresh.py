"""Stored metrics, brought up to the facts: one statement, for the customers named or for a range of all.

After a single purchase the stored row is moved on instead of being measured again. Every write of a metrics row
raises its `revision`, so that whoever computed from an older row can notice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    Integer,
    Interval,
    Subquery,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from app.classification import summaries
from app.classification.models import customer_metrics, dirty_customer
from app.classification.summaries import SUMMARIES
from app.core.db import Prepared, WriteSession
from app.customers.queries import customer_ids_between
from app.customers.summaries import Summary
from app.purchases.categories import NONE, categories_bought, categories_with
from app.purchases.queries import counts, first_after, has_entered, purchase_totals, purchase_totals_since

EVALUATION_LOCK = 0x57A7A
"""Advisory lock: shared by whoever evaluates single customers, exclusive for whoever puts breakpoints in force."""

WINDOW = timedelta(days=365)
NOBODY = UUID(int=0)
"""Sorts before every customer: where a walk through all begins."""

AS_OF = bindparam("as_of", type_=DateTime(timezone=True))
WINDOW_FROM = bindparam("window_from", type_=DateTime(timezone=True))
AS_OF_DAY = bindparam("as_of_day", type_=Date)
IDS = bindparam("ids", type_=ARRAY(UuidType))
CUSTOMER_ID = bindparam("customer_id", type_=UuidType)
PURCHASE_ID = bindparam("purchase_id", type_=UuidType)
AFTER = bindparam("after", type_=UuidType)
UP_TO = bindparam("up_to", type_=UuidType)
CATEGORIES = bindparam("categories", type_=Boolean)
GOES_BACK = bindparam("goes_back", type_=Boolean)
CHANGED = bindparam("changed", type_=ARRAY(Text))


@dataclass(frozen=True, slots=True)
class Range:
    """Customers with `after` < id <= `up_to`: a chunk of everybody."""

    after: UUID
    up_to: UUID


Scope = Range | Sequence[UUID]


def scope_params(scope: Scope) -> dict[str, Any]:
    if isinstance(scope, Range):
        return {"after": scope.after, "up_to": scope.up_to}
    return {"ids": list(scope)}


def within(column: ColumnElement[Any], *, ranged: bool) -> ColumnElement[bool]:
    return and_(column > AFTER, column <= UP_TO) if ranged else column == any_(IDS)


def among(column: ColumnElement[Any], rows: CTE) -> ColumnElement[bool]:
    """Whether this is a customer of these rows: found by an index, however large the table and whoever plans."""
    whose = select(func.array_agg(rows.c.customer_id.distinct())).scalar_subquery()
    return column == any_(cast(whose, ARRAY(UuidType)))


_PURCHASES = [c.name for c in customer_metrics.columns if c.info.get("from") == "purchases"]
_MEASURES = [*_PURCHASES, *summaries.measured_columns()]
# How `_move_on` keeps each of those from purchases: by adding, or by the lesser or the greater.
_SUMS = ("frequency", "monetary", "refunded", "frequency_365d", "monetary_365d", "purchase_days")
_FIRSTS = ("first_purchase_at", "first_purchase_on")
_LASTS = ("last_purchase_at", "last_purchase_on")
assert {*_SUMS, *_FIRSTS, *_LASTS, "window_first_at"} == {*_PURCHASES}


def _fresh(*, ranged: bool, categories: bool) -> CTE:
    """The metrics of the customers in scope, from the facts up to `as_of`; zeros for those without any."""
    ids = customer_ids_between(AFTER, UP_TO) if ranged else select(func.unnest(IDS).label("id"))
    who = ids.subquery("who")
    in_scope = partial(within, ranged=ranged)
    totals = purchase_totals(AS_OF, WINDOW_FROM, in_scope).subquery("totals")
    columns: list[ColumnElement[Any]] = [
        (func.coalesce(totals.c[name], 0) if name in _SUMS else totals.c[name]).label(name) for name in _PURCHASES
    ]
    rows: FromClause = who.outerjoin(totals, totals.c.customer_id == who.c.id)
    for summary in SUMMARIES:
        found = summaries.totals_of(summary, AS_OF, in_scope)
        rows = rows.outerjoin(found, found.c.customer_id == who.c.id)
        columns += [summaries.read(column, found) for column in summaries.columns_of(summary)]
    if categories:
        bought = categories_bought(AS_OF, in_scope).subquery("bought_categories")
        rows = rows.outerjoin(bought, bought.c.customer_id == who.c.id)
        columns.append(func.coalesce(bought.c.categories, NONE).label("categories"))
    return select(who.c.id.label("customer_id"), *columns).select_from(rows).cte("fresh")


def next_fact(customer_id: ColumnElement[Any]) -> ColumnElement[Any]:
    """When the customer's next recorded fact begins to count, after `as_of`; NULL without one."""
    return func.least(first_after(customer_id, AS_OF), *summaries.first_after(customer_id, AS_OF))


@lru_cache
def _refresh_some() -> Prepared:
    """The customers named by `ids`: always written, so that whoever computes from older rows notices.

    They must be held. Who was dirty no longer is, and nothing else takes a mark away: while it stands, the stored row
    may be of older facts.
    """
    fresh, old = _fresh(ranged=False, categories=False), customer_metrics.alias("old")
    bought = categories_with(NONE, fresh.c.customer_id, counts(AS_OF))
    categories = case((or_(CATEGORIES, old.c.categories.is_not(None)), bought), (fresh.c.frequency == 0, NONE))
    measured = [*_MEASURES, "categories", "next_fact_at", "as_of"]
    rows = select(fresh, categories, next_fact(fresh.c.customer_id), AS_OF).select_from(
        fresh.outerjoin(old, and_(old.c.customer_id == fresh.c.customer_id, within(old.c.customer_id, ranged=False)))
    )
    statement = upsert(customer_metrics).from_select(["customer_id", *measured], rows)
    values = {name: statement.excluded[name] for name in measured}
    return Prepared(
        statement.on_conflict_do_update(
            index_elements=["customer_id"], set_={**values, "revision": customer_metrics.c.revision + 1}
        )
        .returning(_breakpoints_stay())
        .add_cte(delete(dirty_customer).where(within(dirty_customer.c.customer_id, ranged=False)).cte("clean"))
    )


@lru_cache
def _move_on() -> Prepared:
    """Customers of whom one purchase at most is new: what it and the time since change is added to the stored rows.

    Only to rows that can be trusted; of any other, this writes nothing. A row is true as of its `as_of`, however
    long ago that is: it was measured from all facts as of then, or moved on from a row that was true. Whatever changed
    the facts since has written the row again, or has left a mark in `dirty_customer` that only a full measurement
    takes away. A refresh of everybody that finds nothing to write leaves an older `as_of`, of which the same holds.

    A range refresh may write the row between this statement's snapshot and its update; the revision tells.
    """
    stored = (
        select(
            customer_metrics.c.customer_id,
            customer_metrics.c.as_of,
            customer_metrics.c.revision,
            *(_has_turned(each, customer_metrics).label(_turned(each)) for each in SUMMARIES),
        )
        .where(
            within(customer_metrics.c.customer_id, ranged=False),
            customer_metrics.c.as_of <= AS_OF,
            ~exists().where(dirty_customer.c.customer_id == customer_metrics.c.customer_id),
        )
        .cte("stored")
    )
    moved, summed = _moved(stored)
    old, new = customer_metrics.c, moved.c
    return Prepared(
        update(customer_metrics)
        .values(
            {name: old[name] + new[name] for name in _SUMS}
            | {name: func.least(old[name], new[name]) for name in _FIRSTS}
            | {name: func.greatest(old[name], new[name]) for name in _LASTS}
            | {name: case((new[turned], new[name]), else_=old[name]) for name, turned in summed.items()}
            | {
                "window_first_at": first_after(old.customer_id, AS_OF - literal(WINDOW, Interval), AS_OF),
                "categories": case((old.categories.is_not(None), _categories_since(moved))),
                "next_fact_at": next_fact(old.customer_id),
                "as_of": AS_OF,
                "revision": old.revision + 1,
            }
        )
        .where(old.customer_id == moved.c.customer_id, old.revision == moved.c.revision)
        .returning(old.customer_id, _breakpoints_stay())
    )


def _turned(summary: Summary) -> str:
    return f"{summary.name}_turned"


def _has_turned(summary: Summary, row: FromClause) -> ColumnElement[bool]:
    """Whether a summary has to be made anew: its facts changed, one has left its window, or one has begun to count."""
    return func.coalesce(
        or_(
            literal(summary.name, Text) == any_(CHANGED),
            row.c[summary.window_first_at] + literal(summary.window, Interval) <= AS_OF,
            summary.first_after(row.c.customer_id, row.c.as_of) <= AS_OF,
        ),
        literal(False),
    )


def _moved(stored: CTE) -> tuple[Subquery, dict[str, str]]:
    """What purchases add to the rows `stored`, and the summaries that turned; by which flag each column did."""
    change = purchase_totals_since(stored, PURCHASE_ID, AS_OF, literal(WINDOW, Interval)).subquery("change")
    rows: FromClause = stored.join(change, change.c.customer_id == stored.c.customer_id)
    columns: list[ColumnElement[Any]] = [each for each in change.c if each.name != "customer_id"]
    summed: dict[str, str] = {}
    for summary in SUMMARIES:
        turned = select(stored.c.customer_id).where(stored.c[_turned(summary)]).cte(_turned(summary))
        found = summaries.totals_of(summary, AS_OF, partial(among, rows=turned))
        rows = rows.outerjoin(found, found.c.customer_id == stored.c.customer_id)
        kept = summaries.columns_of(summary)
        columns += [summaries.read(column, found) for column in kept]
        summed |= {column.name: _turned(summary) for column in kept}
    return select(stored, *columns).select_from(rows).subquery("moved"), summed


def _categories_since(stored: FromClause) -> ColumnElement[Any]:
    old = customer_metrics.c
    return categories_with(old.categories, old.customer_id, has_entered(stored.c.as_of, PURCHASE_ID, AS_OF))


def _breakpoints_stay() -> ColumnElement[Any]:
    """In passing, holds off new breakpoints until the transaction ends (see `engine.exclude_evaluation`).

    The statement that decides comes after this one, so its snapshot holds the breakpoints that stay in force.
    """
    return func.pg_advisory_xact_lock_shared(literal(EVALUATION_LOCK, Integer))


@lru_cache
def _refresh_range(*, categories: bool) -> Prepared:
    """A chunk of everybody: only what differs is written, and only over the revision that was compared.

    Whoever was measured later, by something that happened since the recalculation began, is measured well, unless it
    `goes_back` to a past day.

    The stored rows are bounded as well: PostgreSQL does not conclude it from whom they are joined with, and would walk
    over all of them for every chunk.
    """
    fresh = _fresh(ranged=True, categories=categories)
    old = customer_metrics.alias("old")
    measured = [*_MEASURES, *(["categories"] if categories else [])]
    differs = or_(old.c.customer_id.is_(None), *(old.c[n].is_distinct_from(fresh.c[n]) for n in measured))
    changed = (
        select(fresh, old.c.revision)
        .select_from(
            fresh.outerjoin(old, and_(old.c.customer_id == fresh.c.customer_id, within(old.c.customer_id, ranged=True)))
        )
        .where(differs, or_(old.c.customer_id.is_(None), old.c.as_of <= AS_OF, GOES_BACK))
        .cte("changed")
    )
    updated = (
        update(customer_metrics)
        .values({name: changed.c[name] for name in measured} | {"as_of": AS_OF, "revision": changed.c.revision + 1})
        .where(
            customer_metrics.c.customer_id == changed.c.customer_id,
            customer_metrics.c.revision == changed.c.revision,
            within(customer_metrics.c.customer_id, ranged=True),
        )
        .returning(customer_metrics.c.customer_id)
        .cte("updated")
    )
    new = changed.c.revision.is_(None)
    inserted = (
        upsert(customer_metrics)
        .from_select(
            ["customer_id", *measured, "as_of"],
            select(changed.c.customer_id, *(changed.c[name] for name in measured), AS_OF).where(new),
        )
        .on_conflict_do_nothing()
        .returning(customer_metrics.c.customer_id)
        .cte("inserted")
    )
    count = select(func.count()).select_from(updated).scalar_subquery()
    return Prepared(select((count + select(func.count()).select_from(inserted).scalar_subquery()).label("written")))


async def plan_for_many(session: WriteSession) -> None:
    """Plan this transaction's statements for thousands of customers, whatever the statistics say.

    In a first recalculation the tables have grown from nothing within minutes; a planner that still believes them
    empty joins by nested loops, and a chunk takes minutes instead of a second.
    """
    await session.all(
        select(
            func.set_config("enable_nestloop", "off", literal(True)), func.set_config("work_mem", "64MB", literal(True))
        )
    )


async def refresh_metrics(
    session: WriteSession, scope: Scope, *, as_of: datetime, categories: bool = False, goes_back: bool = False
) -> None:
    """Bring the stored metrics of these customers up to the facts as of an instant; customers named must be held.

    Of a range, those who were measured as of a later instant only if it `goes_back`.

    Categories are counted when asked, since it doubles the work, and again of customers named who had them counted.
    """
    statement = _refresh_range(categories=categories) if isinstance(scope, Range) else _refresh_some()
    params = {"as_of": as_of, "window_from": as_of - WINDOW, "categories": categories, "goes_back": goes_back}
    await session.all(statement, params | scope_params(scope))


async def follow_purchase(session: WriteSession, customer_id: UUID, purchase_id: UUID, *, as_of: datetime) -> None:
    """Bring the stored metrics of a customer, who must be held, up to this new purchase, as of an instant."""
    await _follow(session, [customer_id], as_of=as_of, purchase_id=purchase_id)


async def follow_facts(session: WriteSession, customer_id: UUID, summary: Summary, *, as_of: datetime) -> None:
    """Bring the stored metrics of a customer, who must be held, up to what this summary's facts are now."""
    await _follow(session, [customer_id], as_of=as_of, changed=[summary.name])


async def follow_time(session: WriteSession, customer_ids: Sequence[UUID], *, as_of: datetime) -> None:
    """Bring the stored metrics of customers, who must be held, up to an instant: nothing but time has passed."""
    await _follow(session, customer_ids, as_of=as_of)


async def _follow(
    session: WriteSession,
    customer_ids: Sequence[UUID],
    *,
    as_of: datetime,
    purchase_id: UUID | None = None,
    changed: Sequence[str] = (),
) -> None:
    params = {"ids": list(customer_ids), "purchase_id": purchase_id, "changed": list(changed), "as_of": as_of}
    moved_on = {row["customer_id"] for row in await session.all(_move_on(), params)}
    if rest := [each for each in customer_ids if each not in moved_on]:
        await refresh_metrics(session, rest, as_of=as_of)


@lru_cache
def _marking() -> Prepared:
    marks = upsert(dirty_customer).from_select(["customer_id"], select(func.unnest(IDS)))
    return Prepared(marks.on_conflict_do_nothing())


async def mark_dirty(session: WriteSession, customer_ids: Sequence[UUID]) -> None:
    """Remember customers whose facts changed in bulk, for the next recalculation of the dirty."""
    await session.execute(_marking(), {"ids": list(customer_ids)})


async def some_dirty(session: WriteSession, limit: int) -> list[UUID]:
    """Up to `limit` dirty customers: dirty until their metrics are refreshed by name."""
    rows = await session.all(select(dirty_customer.c.customer_id).order_by(dirty_customer.c.customer_id).limit(limit))
    return [row[0] for row in rows]
