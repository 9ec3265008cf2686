"""What interactions do when they hear of something."""

from typing import Any

from sqlalchemy import delete

from app.core import personal
from app.core.db import WriteSession
from app.customers.events import CustomerDeleted, CustomerErased
from app.interactions.models import interaction, interaction_version


async def on_deletion(session: WriteSession, event: CustomerDeleted) -> None:
    """A customer's interactions go with it, and what they said before."""
    await session.execute(delete(interaction_version).where(interaction_version.c.customer_id == event.customer_id))
    await session.execute(delete(interaction).where(interaction.c.customer_id == event.customer_id))


async def on_erasure(session: WriteSession, event: CustomerErased) -> None:
    """That something was said or done stays, and when; what, and with whom, goes."""
    for table in (interaction_version, interaction):
        await personal.blank(session, table, event.customer_id)


HANDLERS: dict[type[Any], Any] = {CustomerDeleted: on_deletion, CustomerErased: on_erasure}
