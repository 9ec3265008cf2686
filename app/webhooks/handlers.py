"""The jobs of webhooks, and what of theirs is kept for a time only."""

from app.core.jobs import Schedule
from app.core.retention import Retained
from app.webhooks.dispatch import dispatch, watch
from app.webhooks.models import webhook_delivery
from app.webhooks.service import DISPATCH

WATCH = "webhooks.watch"

JOBS = {DISPATCH: dispatch, WATCH: watch}
RETAINED = [
    Retained(
        "webhook_deliveries",
        "Deliveries of webhooks that have ended",
        webhook_delivery,
        webhook_delivery.c.created_at,
        days=30,
        only=webhook_delivery.c.status != "pending",
    )
]
# One run looks each second for nearly a minute, the next takes over.
SCHEDULES = [Schedule(WATCH, "* * * * *", standing=True)]
