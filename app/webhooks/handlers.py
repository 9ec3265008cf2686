"""The jobs of webhooks: sending, and forgetting what was sent."""

from sqlalchemy import delete, func, text

from app.core.jobs import JobContext, Schedule
from app.webhooks.dispatch import dispatch, watch
from app.webhooks.models import webhook_delivery
from app.webhooks.service import DISPATCH

WATCH = "webhooks.watch"
FORGET = "webhooks.forget"
KEPT = "30 days"


async def forget(context: JobContext) -> None:
    """Delete deliveries that ended long ago; the events themselves stay."""
    old = delete(webhook_delivery).where(
        webhook_delivery.c.status != "pending",
        webhook_delivery.c.created_at < func.now() - text(f"interval '{KEPT}'"),
    )
    async with context.database.transaction() as session:
        await session.execute(old)


JOBS = {DISPATCH: dispatch, WATCH: watch, FORGET: forget}
# One run looks each second for nearly a minute, the next takes over.
SCHEDULES = [Schedule(WATCH, "* * * * *", standing=True), Schedule(FORGET, "23 3 * * *")]
