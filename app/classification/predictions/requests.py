"""Asking for a prediction, calling it off, and the weekly one."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select

from app.classification import schemes
from app.classification.metrics import PREDICTED
from app.classification.models import prediction
from app.core import audit, clock, work
from app.core.db import ReadSession, WriteSession
from app.core.errors import Invalid
from app.core.jobs import JobContext
from app.identity.actor import Actor


async def request(session: WriteSession, actor: Actor, *, as_of: datetime | None) -> UUID:
    """Ask for a fit to the purchases up to an instant, now if None. Raises `Invalid` when it lies in the future."""
    if as_of is not None and as_of > clock.business_now():
        raise Invalid.at("/body/as_of", "this instant lies in the future")
    prediction_id = await _queue(session, as_of or clock.business_now())
    after = {"as_of": as_of}
    audit.record(session, actor, "prediction.requested", "prediction", prediction_id, after=after)
    return prediction_id


async def _queue(session: WriteSession, as_of: datetime) -> UUID:
    return await work.queue(session, prediction, "predictions.fit", as_of=as_of)


async def cancel(session: WriteSession, actor: Actor, prediction_id: UUID) -> None:
    """Stop at the next chunk; what is written stays. Raises `NotFound`, and `Conflict` when it has ended."""
    await work.cancel(session, actor, prediction, prediction_id)


async def run_weekly(context: JobContext) -> None:
    """Fit anew where predictions are in use: somebody asked for one before, or a scheme reads what they write."""
    async with context.database.transaction(correlation_id=context.correlation_id) as session:
        if await session.scalar(select(exists().where(work.under_way(prediction)))):
            return
        if await session.scalar(select(exists(select(prediction.c.id)))) or await read_by_a_scheme(session):
            await _queue(session, clock.business_now())


async def read_by_a_scheme(session: ReadSession) -> bool:
    """Whether a published scheme reads what predictions write."""
    return any(set(PREDICTED) & set(each.document.metrics) for each in (await schemes.published(session)).schemes)
