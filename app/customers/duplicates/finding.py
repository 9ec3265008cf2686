"""The job that looks for duplicates of whoever changed: block after block, each a transaction that ends what it began.

Customers are compared that have a key in common (`rules.keys_of`), and no others: what that costs grows with how many
changed, not with how many there are, and a key that many have costs no more than one that few have.
"""

from collections.abc import Collection
from itertools import combinations, count
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, any_, delete, func, insert, literal, literal_column, or_, select
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core import jobs
from app.core.db import WriteSession
from app.core.jobs import Interrupted, JobContext
from app.customers.duplicates.models import (
    DERIVED,
    customer_duplicate,
    customer_duplicate_due,
    customer_duplicate_key,
    duplicate_dismissal,
)
from app.customers.duplicates.rules import Traits, Verdict, compare, keys_of
from app.customers.duplicates.traits import blocks, traits_of
from app.customers.models import customer

JOB, EVERYBODY = "duplicates.find", "duplicates.find_everybody"
LOCK = 0xD0B1E
BLOCK = 1000
ANALYZED_AFTER = (1, 10, 100)
"""Blocks: a first search fills the tables, and empties that of who is due, faster than the server learns to read them.

Without knowing how many those are it reads all of them in each block.
"""
_d, _k, _due = customer_duplicate.c, customer_duplicate_key.c, customer_duplicate_due.c
_x = duplicate_dismissal.c
Pair = tuple[UUID, UUID]


async def find(context: JobContext) -> None:
    """The job: looks at everybody who is due. Raises `Interrupted` when the worker stops."""
    last: UUID | None = None
    for number in count(1):
        due = await _find_some(context, last)
        if not due:
            return
        last = max(due)
        if number in ANALYZED_AFTER and len(due) >= BLOCK // 2:
            await _analyze(context)
        if context.stopping.is_set():
            raise Interrupted


async def find_everybody(context: JobContext) -> None:
    """The job: everybody is due, also whom a statement changed that told nobody."""
    async with context.database.transaction(correlation_id=context.correlation_id) as session:
        await session.execute(insert(customer_duplicate_due).from_select(["customer_id"], select(customer.c.id)))
        await jobs.enqueue(session, JOB, {})


async def mark(session: WriteSession, customer_ids: Collection[UUID]) -> None:
    """Have these customers looked at again."""
    those = func.unnest(literal(list(customer_ids), ARRAY(UuidType))).column_valued("customer_id")
    await session.execute(insert(customer_duplicate_due).from_select(["customer_id"], select(those)))


async def forget(session: WriteSession, customer_id: UUID) -> None:
    """Take away what was found of a customer; whoever is looking for duplicates now is waited for."""
    await _alone(session)
    for table in DERIVED:
        await session.execute(delete(table).where(table.c.customer_id == customer_id))
    await session.execute(delete(customer_duplicate).where(_d.other_id == customer_id))


async def forget_dismissals(session: WriteSession, customer_id: UUID) -> None:
    """Take away what was said of a customer and others."""
    named = or_(_x.customer_id == customer_id, _x.other_id == customer_id)
    await session.execute(delete(duplicate_dismissal).where(named))


async def _alone(session: WriteSession) -> None:
    """One block at a time, and nobody leaves meanwhile. No row of a customer is held, so that nobody else waits."""
    await session.all(select(func.pg_advisory_xact_lock(LOCK)))


async def _analyze(context: JobContext) -> None:
    async with context.database.transaction() as session:
        await session.connection.execute(f"ANALYZE {', '.join(table.name for table in DERIVED)}")


async def _find_some(context: JobContext, after: UUID | None) -> set[UUID]:
    """Look at the next block of those who are due, by their ids; who they are."""
    async with context.database.transaction(correlation_id=context.correlation_id) as session:
        await _alone(session)
        due = await _taken(session, after)
        if due:
            traits = await traits_of(session, due)
            keys = {customer_id: keys_of(each) for customer_id, each in traits.items()}
            await _keep_keys(session, due, keys)
            pairs = await _pairs(session, keys)
            others = {customer_id for pair in pairs for customer_id in pair} - traits.keys()
            # Who is still due is compared with everybody then: each pair once, however many are due.
            others -= await _still_due(session, others)
            if others:
                traits |= await traits_of(session, others)
            await _keep_pairs(session, due, _found(pairs, traits))
    return due


async def _taken(session: WriteSession, after: UUID | None) -> set[UUID]:
    """What is said of them is read after this: a change that is announced by now is in it."""
    some = select(_due.customer_id).order_by(_due.customer_id, _due.id).limit(BLOCK)
    if after is not None:
        some = some.where(_due.customer_id > after)
    due = {row["customer_id"] for row in await session.all(some)}
    await session.execute(delete(customer_duplicate_due).where(_due.customer_id == any_(_ids(due))))
    return due


async def _still_due(session: WriteSession, customer_ids: Collection[UUID]) -> set[UUID]:
    if not customer_ids:
        return set()
    rows = await session.all(select(_due.customer_id).where(_due.customer_id == any_(_ids(customer_ids))))
    return {row["customer_id"] for row in rows}


async def _keep_keys(session: WriteSession, due: Collection[UUID], keys: dict[UUID, set[int]]) -> None:
    """Only what differs is written: of most who are due, nothing that they are compared by has changed."""
    there = await session.all(select(_k.customer_id, _k.key).where(_k.customer_id == any_(_ids(due))))
    had, have = {tuple(row) for row in there}, {(each, key) for each, some in keys.items() for key in some}
    if gone := had - have:
        owners, lost = zip(*gone, strict=True)
        those = func.unnest(_ids(owners), literal(list(lost), ARRAY(BigInteger)))
        pair = those.table_valued("customer_id", "key", name="gone").render_derived()
        same = (_k.customer_id == pair.c.customer_id, _k.key == pair.c.key)
        await session.execute(delete(customer_duplicate_key).where(*same))
    await session.copy(customer_duplicate_key, ["customer_id", "key"], list(have - had))


async def _pairs(session: WriteSession, keys: dict[UUID, set[int]]) -> set[Pair]:
    """Whoever has a key in common with one of those who are due."""
    pairs: set[Pair] = set()
    for holders in await blocks(session, {key for some in keys.values() for key in some}):
        for one, other in combinations(sorted(holders), 2):
            if one in keys or other in keys:
                pairs.add((one, other))
    return pairs


def _found(pairs: set[Pair], traits: dict[UUID, Traits]) -> list[tuple[Pair, Verdict]]:
    there = (pair for pair in pairs if pair[0] in traits and pair[1] in traits)
    judged = ((pair, compare(traits[pair[0]], traits[pair[1]])) for pair in there)
    return [(pair, verdict) for pair, verdict in judged if verdict.listed]


async def _keep_pairs(session: WriteSession, due: Collection[UUID], found: list[tuple[Pair, Verdict]]) -> None:
    """These are the pairs of those who were due: what was found before is as it is found now, or no more."""
    names = ("customer_id", "other_id", "score", "contact_score", "plain_score", "reasons")
    rows = [dict(zip(names, (*pair, *verdict), strict=True)) for pair, verdict in found]
    nothing: Any = literal_column(f"NULL::{customer_duplicate.name}")
    kept = func.jsonb_populate_recordset(nothing, literal(rows, JSONB)).table_valued(*names, name="found")
    given = upsert(customer_duplicate).from_select(names, select(*(kept.c[name] for name in names)))
    changed = or_(_d.score != given.excluded.score, _d.reasons != given.excluded.reasons)
    now = {name: given.excluded[name] for name in names[2:]}
    await session.execute(given.on_conflict_do_update(index_elements=names[:2], set_=now, where=changed))
    named = or_(_d.customer_id == any_(_ids(due)), _d.other_id == any_(_ids(due)))
    still = {pair for pair, _ in found}
    there = await session.all(select(_d.id, _d.customer_id, _d.other_id).where(named))
    gone = {pair: duplicate_id for duplicate_id, *two in there if (pair := (two[0], two[1])) not in still}
    awaited = await _still_due(session, {customer_id for pair in gone for customer_id in pair})
    those = [duplicate_id for pair, duplicate_id in gone.items() if awaited.isdisjoint(pair)]
    if those:
        await session.execute(delete(customer_duplicate).where(_d.id == any_(_ids(those))))


def _ids(customer_ids: Collection[UUID]) -> ColumnElement[Any]:
    return literal(list(customer_ids), ARRAY(UuidType))
