"""Asking for a prediction, calling it off, and the weekly one."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select, update

from app.classification import schemes
from app.classification.metrics import PREDICTED
from app.classification.models import prediction
from app.core import audit, clock
from app.core.db import ReadSession, WriteSession
from app.core.errors import Conflict, Invalid, NotFound
from app.core.jobs import JobContext, enqueue
from app.identity.actor import Actor

UNDER_WAY = ("queued", "running")


async def request(session: WriteSession, actor: Actor, *, as_of: datetime | None) -> UUID:
    """Ask for a fit to the purchases up to an instant, now if None. Raises `Invalid` when it lies in the future."""
    if as_of is not None and as_of > clock.business_now():
        raise Invalid.at("/body/as_of", "this instant lies in the future")
    prediction_id = await _queue(session, as_of or clock.business_now())
    after = {"as_of": as_of}
    audit.record(session, actor, "prediction.requested", "prediction", prediction_id, after=after)
    return prediction_id


async def _queue(session: WriteSession, as_of: datetime) -> UUID:
    prediction_id: UUID = await session.scalar(
        insert(prediction).values(as_of=as_of, requested_by=session.principal).returning(prediction.c.id)
    )
    await enqueue(session, "predictions.fit", {"prediction_id": str(prediction_id)})
    return prediction_id


async def cancel(session: WriteSession, actor: Actor, prediction_id: UUID) -> None:
    """Stop at the next chunk; what is written stays. Raises `Conflict` when it has ended."""
    p = prediction.c
    stopped = await session.first(
        update(prediction)
        .where(p.id == prediction_id, p.status.in_(UNDER_WAY))
        .values(status="cancelled", finished_at=func.now())
        .returning(p.id)
    )
    if stopped is None:
        if await session.scalar(select(p.id).where(p.id == prediction_id)) is None:
            raise NotFound("There is no such prediction")
        raise Conflict("This prediction has ended")
    audit.record(session, actor, "prediction.cancelled", "prediction", prediction_id)


async def run_weekly(context: JobContext) -> None:
    """Fit anew where predictions are in use: somebody asked for one before, or a scheme reads what they write."""
    async with context.database.transaction(correlation_id=context.correlation_id) as session:
        p = prediction.c
        states = {row[0] for row in await session.all(select(p.status).distinct())}
        if states & set(UNDER_WAY):
            return
        if states or await read_by_a_scheme(session):
            await _queue(session, clock.business_now())


async def read_by_a_scheme(session: ReadSession) -> bool:
    """Whether a published scheme reads what predictions write."""
    return any(set(PREDICTED) & set(each.document.metrics) for each in (await schemes.published(session)).schemes)
