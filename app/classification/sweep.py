"""Reviews: time passes for everybody, but only who is due can have changed class by it.

A schedule looks at these customers, and never at everybody.
"""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import literal, select, tuple_

from app.classification import recalculations, refresh
from app.classification.engine import Cause, Evaluation
from app.classification.failures import CANNOT_COMPUTE, OF_A_CHUNK, limit_time, set_aside_failing
from app.classification.models import customer_metrics, recalculation
from app.classification.schemes import decide, published
from app.core import clock
from app.core.db import ReadSession, WriteSession
from app.core.jobs import Interrupted, JobContext
from app.customers.queries import hold, keep_all

CHUNK = 2_000

Place = tuple[datetime, UUID]


async def run_sweep(context: JobContext) -> None:
    """The job: measure and decide everybody who is due, in the order in which they became so; and who was put off."""
    now = clock.business_now()
    async with context.database.transaction(correlation_id=context.correlation_id) as session:
        await recalculations.queue_dirty(session, cause="event")
    if await _is_held(context.database.reading(), now):
        return
    place: Place | None = None
    while True:
        place = await _review_some_of_all_schemes(context, place, now)
        if place is None:
            return
        if context.stopping.is_set():
            raise Interrupted


async def _review_some_of_all_schemes(context: JobContext, after: Place | None, now: datetime) -> Place | None:
    """Review the next chunk; schemes that some customer makes fail are set aside, and the others decided."""
    try:
        async with context.database.transaction(correlation_id=context.correlation_id) as session:
            return await _review_some(session, after, now, await published(session))
    except CANNOT_COMPUTE:
        evaluation = await published(context.database.reading())

        async def attempt(session: WriteSession, alone: Evaluation) -> None:
            await _review_some(session, after, now, alone)

        if not await set_aside_failing(context.database, evaluation, attempt):
            raise
        return after or (datetime.min.replace(tzinfo=UTC), refresh.NOBODY)


async def _is_held(session: ReadSession, now: datetime) -> bool:
    """Whether somebody looks at another day: a recalculation as of a past day stands until the present one ends."""
    r = recalculation.c
    held_on = await session.scalar(
        select(r.held_on).where(r.scope == "all", r.status == "completed").order_by(r.finished_at.desc()).limit(1)
    )
    return held_on is not None and held_on == clock.business_day(now)


async def _review_some(
    session: WriteSession, after: Place | None, now: datetime, evaluation: Evaluation
) -> Place | None:
    """Review the next chunk; the place of its last customer, None when there was none."""
    await limit_time(session, times=OF_A_CHUNK)
    await keep_all(session)
    m = customer_metrics.c
    due = select(m.next_review_at, m.customer_id).where(m.next_review_at <= now)
    if after is not None:
        due = due.where(tuple_(m.next_review_at, m.customer_id) > tuple_(literal(after[0]), literal(after[1])))
    rows = await session.all(due.order_by(m.next_review_at, m.customer_id).limit(CHUNK))
    if not rows:
        return None
    ids = sorted(row["customer_id"] for row in rows)
    await hold(session, ids)
    await refresh.follow_time(session, ids, as_of=now)
    await refresh.plan_for_many(session)
    cause = Cause("clock", session.principal, session.correlation_id)
    await decide(session, ids, as_of=now, cause=cause, evaluation=evaluation)
    return rows[-1]["next_review_at"], rows[-1]["customer_id"]
