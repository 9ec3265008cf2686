"""Hourly: what no longer lets anyone in is forgotten."""

from app.core.jobs import JobContext, Schedule
from app.identity import sessions, throttling


async def forget_ended_access(context: JobContext) -> None:
    """Delete sessions that ended and login counts whose minute is over."""
    async with context.database.transaction() as session:
        await sessions.forget_ended(session)
        await throttling.forget_past(session)


JOBS = {"identity.forget_ended_access": forget_ended_access}
SCHEDULES = [Schedule("identity.forget_ended_access", "17 * * * *")]
