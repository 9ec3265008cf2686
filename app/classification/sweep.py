"""Reviews: time passes for everybody, but only who is due can have changed class by it.

A schedule looks at these customers, and never at everybody.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import literal, select, tuple_

from app.classification import recalculations, refresh
from app.classification.engine import Cause, Evaluation
from app.classification.failures import CANNOT_COMPUTE, OF_A_CHUNK, limit_time, set_aside_failing
from app.classification.models import customer_metrics, recalculation
from app.classification.schemes import decide, published
from app.core import clock
from app.core.db import ReadSession, Record, WriteSession
from app.core.jobs import Interrupted, JobContext
from app.core.settings import get_settings
from app.customers.queries import hold, keep_all

CHUNK = 6_000
"""Customers of one transaction, held for half a second; as many of these as there are lanes go side by side."""

Place = tuple[datetime, UUID]


async def run_sweep(context: JobContext) -> None:
    """The job: measure and decide everybody who is due, in the order in which they became so; and who was put off."""
    now = clock.business_now()
    async with context.database.transaction(correlation_id=context.correlation_id) as session:
        await recalculations.queue_dirty(session, cause="event")
    if await _is_held(context.database.reading(), now):
        return
    place: Place | None = None
    lanes = get_settings().recalculation_lanes
    while rows := await _due(context.database.reading(), place, now, lanes * CHUNK):
        ids, share = sorted(row["customer_id"] for row in rows), -(-len(rows) // lanes)
        async with asyncio.TaskGroup() as group:
            for n in range(0, len(ids), share):
                group.create_task(_review(context, ids[n : n + share], now))
        if context.stopping.is_set():
            raise Interrupted
        place = rows[-1]["next_review_at"], rows[-1]["customer_id"]


async def _due(session: ReadSession, after: Place | None, now: datetime, limit: int) -> list[Record]:
    """The next customers whose review has come."""
    m = customer_metrics.c
    due = select(m.next_review_at, m.customer_id).where(m.next_review_at <= now)
    if after is not None:
        due = due.where(tuple_(m.next_review_at, m.customer_id) > tuple_(literal(after[0]), literal(after[1])))
    return await session.all(due.order_by(m.next_review_at, m.customer_id).limit(limit))


async def _review(context: JobContext, ids: Sequence[UUID], now: datetime) -> None:
    """Review these customers; schemes that some of them makes fail are set aside, and the others decided."""

    async def attempt(session: WriteSession, evaluation: Evaluation) -> None:
        await limit_time(session, times=OF_A_CHUNK)
        await keep_all(session)
        await hold(session, ids)
        await refresh.follow_time(session, ids, as_of=now)
        await refresh.plan_for_many(session)
        cause = Cause("clock", session.principal, session.correlation_id)
        await decide(session, ids, as_of=now, cause=cause, evaluation=evaluation)

    while True:
        evaluation = await published(context.database.reading())
        try:
            async with context.database.transaction(correlation_id=context.correlation_id) as session:
                return await attempt(session, evaluation)
        except CANNOT_COMPUTE:
            if not await set_aside_failing(context.database, evaluation, attempt):
                raise


async def _is_held(session: ReadSession, now: datetime) -> bool:
    """Whether somebody looks at another day: a recalculation as of a past day stands until the present one ends."""
    r = recalculation.c
    held_on = await session.scalar(
        select(r.held_on).where(r.scope == "all", r.status == "completed").order_by(r.finished_at.desc()).limit(1)
    )
    return held_on is not None and held_on == clock.business_day(now)
