"""Stored metrics, brought up to the facts: one statement, for the customers named or for a range of all.

Every write of a metrics row raises its `revision`, so that whoever computed from an older row can notice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Date,
    DateTime,
    Integer,
    and_,
    any_,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from app.classification.models import customer_metrics, dirty_customer
from app.core.db import Prepared, WriteSession
from app.customers.queries import customer_ids_between
from app.purchases.queries import purchase_totals

EVALUATION_LOCK = 0x57A7A
"""Advisory lock: shared by whoever evaluates single customers, exclusive for whoever puts breakpoints in force."""

WINDOW_DAYS = 365
NOBODY = UUID(int=0)
"""Sorts before every customer: where a walk through all begins."""

AS_OF = bindparam("as_of", type_=DateTime(timezone=True))
WINDOW_FROM = bindparam("window_from", type_=DateTime(timezone=True))
AS_OF_DAY = bindparam("as_of_day", type_=Date)
IDS = bindparam("ids", type_=ARRAY(UuidType))
AFTER = bindparam("after", type_=UuidType)
UP_TO = bindparam("up_to", type_=UuidType)


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


_MEASURES = [c.name for c in customer_metrics.columns if c.info.get("from") == "purchases"]


def _fresh(*, ranged: bool) -> CTE:
    """The metrics of the customers in scope, from the facts up to `as_of`; zeros for those without any."""
    ids = customer_ids_between(AFTER, UP_TO) if ranged else select(func.unnest(IDS).label("id"))
    who = ids.subquery("who")
    totals = purchase_totals(AS_OF, WINDOW_FROM, lambda customer_id: within(customer_id, ranged=ranged)).subquery(
        "totals"
    )
    zero = {"frequency", "monetary", "refunded", "frequency_365d", "monetary_365d", "purchase_days"}
    columns = [(func.coalesce(totals.c[name], 0) if name in zero else totals.c[name]).label(name) for name in _MEASURES]
    return (
        select(who.c.id.label("customer_id"), *columns)
        .select_from(who.outerjoin(totals, totals.c.customer_id == who.c.id))
        .cte("fresh")
    )


@lru_cache
def _refresh_some() -> Prepared:
    """The customers named by `ids`: always written, so that whoever computes from older rows notices.

    In passing, holds off new breakpoints until the transaction ends (see `engine.exclude_evaluation`): the
    statement that decides comes after this one, so its snapshot holds the breakpoints that stay in force.
    """
    fresh = _fresh(ranged=False)
    rows = select(fresh.c.customer_id, *(fresh.c[name] for name in _MEASURES), AS_OF)
    statement = upsert(customer_metrics).from_select(["customer_id", *_MEASURES, "as_of"], rows)
    values = {name: statement.excluded[name] for name in [*_MEASURES, "as_of"]}
    return Prepared(
        statement.on_conflict_do_update(
            index_elements=["customer_id"], set_={**values, "revision": customer_metrics.c.revision + 1}
        ).returning(func.pg_advisory_xact_lock_shared(literal(EVALUATION_LOCK, Integer)))
    )


@lru_cache
def _refresh_range() -> Prepared:
    """A chunk of everybody: only what differs is written, and only over the revision that was compared."""
    fresh = _fresh(ranged=True)
    old = customer_metrics.alias("old")
    differs = or_(old.c.customer_id.is_(None), *(old.c[n].is_distinct_from(fresh.c[n]) for n in _MEASURES))
    changed = (
        select(fresh, old.c.revision)
        .select_from(fresh.outerjoin(old, old.c.customer_id == fresh.c.customer_id))
        .where(differs)
        .cte("changed")
    )
    updated = (
        update(customer_metrics)
        .values({name: changed.c[name] for name in _MEASURES} | {"as_of": AS_OF, "revision": changed.c.revision + 1})
        .where(
            customer_metrics.c.customer_id == changed.c.customer_id, customer_metrics.c.revision == changed.c.revision
        )
        .returning(customer_metrics.c.customer_id)
        .cte("updated")
    )
    new = changed.c.revision.is_(None)
    inserted = (
        upsert(customer_metrics)
        .from_select(
            ["customer_id", *_MEASURES, "as_of"],
            select(changed.c.customer_id, *(changed.c[name] for name in _MEASURES), AS_OF).where(new),
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


async def refresh_metrics(session: WriteSession, scope: Scope, *, as_of: datetime) -> None:
    """Bring the stored metrics of these customers up to the facts as of an instant."""
    statement = _refresh_range() if isinstance(scope, Range) else _refresh_some()
    window_from = as_of - timedelta(days=WINDOW_DAYS)
    await session.all(statement, {"as_of": as_of, "window_from": window_from, **scope_params(scope)})


async def mark_dirty(session: WriteSession, customer_ids: Sequence[UUID]) -> None:
    """Remember customers whose facts changed in bulk, for the next recalculation of the dirty."""
    await session.execute(
        upsert(dirty_customer)
        .from_select(["customer_id"], select(func.unnest(literal(list(customer_ids), ARRAY(UuidType)))))
        .on_conflict_do_nothing()
    )


async def take_dirty(session: WriteSession, limit: int) -> list[UUID]:
    """Up to `limit` dirty customers, no longer marked once this transaction commits."""
    some = (
        select(dirty_customer.c.customer_id)
        .order_by(dirty_customer.c.customer_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = await session.all(
        delete(dirty_customer).where(dirty_customer.c.customer_id.in_(some)).returning(dirty_customer.c.customer_id)
    )
    return [row[0] for row in rows]
