"""Once a week every owner is told how many of their customers need attention."""

from sqlalchemy import Text, func, literal, select

from app.core import outbox
from app.core.jobs import JobContext
from app.core.outbox import outbox_event
from app.identity.actor import SYSTEM
from app.quality.events import Reminder
from app.quality.queries import by_owner

JOB = "data_quality.remind"


async def remind(context: JobContext) -> None:
    """The job: one event an owner, in one statement. Carried out again on the same day, it tells nobody twice."""
    told = by_owner(SYSTEM).subquery("told")
    pairs = ("owner_id", "customers", "findings")
    payload = func.jsonb_build_object(*(part for name in pairs for part in (literal(name, Text), told.c[name])))
    o = outbox_event.c
    today = func.date_trunc("day", func.now())
    already = select(o.id).where(o.name == Reminder.name, o.at >= today).exists()
    async with context.database.transaction(correlation_id=context.correlation_id) as session:
        await session.execute(
            outbox.storing(Reminder.name, payload, told, when=~already), {"correlation_id": context.correlation_id}
        )
