"""What must hold of events for those who read them."""

from sqlalchemy import func, select

from app.core.checks import Check
from app.core.outbox import outbox_event
from app.webhooks import feed

CHECKS = [
    Check(
        "no event is of a transaction to come: readers meet new events behind old ones",
        examined=select(func.count()).select_from(outbox_event),
        violations=select(outbox_event.c.id, outbox_event.c.name, outbox_event.c.transaction_id)
        .where(feed.to_come())
        .order_by(outbox_event.c.transaction_id, outbox_event.c.id),
    )
]
