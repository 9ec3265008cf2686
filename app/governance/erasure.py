"""Forgetting a person: what is personal goes from every package, and a tombstone stays to say so again.

A tombstone holds an id, an instant and who asked. Kept outside the database (`strata tombstones`), it outlives a
backup that is put back: replaying it erases whoever the backup brought back.
"""

import json
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core import clock, idempotency
from app.core.db import Database, ReadSession, Record, WriteSession
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.http.paging import Page
from app.customers import service as customers
from app.governance.models import erasure
from app.identity.actor import SYSTEM, Actor, Scope

_t = erasure.c


class Tombstone(NamedTuple):
    """Who was erased, when, and who asked."""

    customer_id: UUID
    erased_at: datetime
    erased_by: str


async def erase(session: WriteSession, actor: Actor, customer_id: UUID) -> dict[str, Any]:
    """Erase the person and leave a tombstone; once more, what came since. Raises `NotFound` out of reach."""
    everybody = await _forget(session, actor, customer_id)
    marks = [await _mark(session, Tombstone(each, clock.now(), session.principal)) for each in everybody]
    return dict(marks[0])


async def _forget(session: WriteSession, actor: Actor, customer_id: UUID) -> list[UUID]:
    everybody = await customers.erase(session, actor, customer_id)
    for each in everybody:
        await idempotency.forget_answers_about(session, each)
    return everybody


async def _mark(session: WriteSession, stone: Tombstone) -> Record:
    marked = upsert(erasure).values(stone._asdict())
    again = {"erased_at": marked.excluded.erased_at, "erased_by": marked.excluded.erased_by}
    row = await session.first(
        marked.on_conflict_do_update(index_elements=["customer_id"], set_=again).returning(erasure)
    )
    assert row is not None
    return row


async def page_of(session: ReadSession, actor: Actor, page: Page) -> dict[str, Any]:
    """Everybody who was erased, whoever was first erased last comes first. Raises `Forbidden`."""
    if actor.scope(customers.ERASE) is not Scope.ALL:
        raise Forbidden(f"Who was erased is of no unit any more: the list needs {customers.ERASE} with the scope all")
    return await page.latest_first(session, select(erasure))


async def tombstones(session: ReadSession) -> AsyncIterator[dict[str, str]]:
    """Every tombstone, as it is kept outside the database."""
    for row in await session.all(select(erasure).order_by(_t.id)):
        yield {
            "customer_id": str(row["customer_id"]),
            "erased_at": row["erased_at"].isoformat(),
            "erased_by": row["erased_by"],
        }


def read(number: int, line: str) -> Tombstone:
    """A tombstone as it is kept outside. Raises `Invalid` with the line's number for what is none."""
    try:
        stone = json.loads(line)
        erased_at = datetime.fromisoformat(stone["erased_at"]).astimezone(UTC)
        return Tombstone(UUID(stone["customer_id"]), erased_at, str(stone["erased_by"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Invalid.at(f"/{number}", "this line is no tombstone as `strata tombstones` prints it") from error


async def replay(database: Database, stones: Iterable[Tombstone]) -> tuple[int, int]:
    """Erase whoever is named and not erased here since; how many were, and of how many others nothing was left.

    An older erasure does not count: the backup may be of between the two, with what was written in between.
    """
    erased = known = 0
    for stone in stones:
        async with database.transaction(principal=stone.erased_by) as session:
            since = (_t.customer_id == stone.customer_id, _t.erased_at >= stone.erased_at)
            if await session.first(select(_t.customer_id).where(*since)):
                known += 1
                continue
            try:
                everybody = await _forget(session, SYSTEM, stone.customer_id)
            except NotFound:
                everybody = [stone.customer_id]
                known += 1  # a backup from before this customer, or one deleted since
            else:
                erased += 1
            at = max(clock.now(), stone.erased_at)  # replayed again, it changes nothing
            for each in everybody:
                await _mark(session, Tombstone(each, at, stone.erased_by))
    return erased, known
