"""What self-service does when it hears of something."""

from typing import Any

from app.core.db import WriteSession
from app.customers.events import CustomerDeleted, CustomerErased
from app.self_service import accounts, changes


async def on_end(session: WriteSession, event: CustomerDeleted | CustomerErased) -> None:
    """Nobody is let in any more as somebody who is not there, or is not to be known."""
    await accounts.forget(session, event.customer_id)
    await changes.forget(session, event.customer_id)


HANDLERS: dict[type[Any], Any] = {CustomerDeleted: on_end, CustomerErased: on_end}
