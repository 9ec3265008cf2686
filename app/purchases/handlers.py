"""What purchases do when they hear of something."""

from typing import Any

from sqlalchemy import delete

from app.core.db import WriteSession
from app.customers.events import CustomerDeleted
from app.purchases.models import purchase, purchase_line


async def on_deletion(session: WriteSession, event: CustomerDeleted) -> None:
    """A customer's purchases go with it."""
    for table in (purchase_line, purchase):
        await session.execute(delete(table).where(table.c.customer_id == event.customer_id))


HANDLERS: dict[type[Any], Any] = {CustomerDeleted: on_deletion}
