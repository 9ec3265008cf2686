"""What interactions do when they hear of something."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, tuple_

from app.core import personal
from app.core.db import WriteSession
from app.core.events import publish
from app.core.retention import Retained
from app.customers.events import CustomerDeleted, CustomerErased
from app.interactions.events import InteractionsForgotten
from app.interactions.models import interaction, interaction_version


async def on_deletion(session: WriteSession, event: CustomerDeleted) -> None:
    """A customer's interactions go with it, and what they said before."""
    await session.execute(delete(interaction_version).where(interaction_version.c.customer_id == event.customer_id))
    await session.execute(delete(interaction).where(interaction.c.customer_id == event.customer_id))


async def on_erasure(session: WriteSession, event: CustomerErased) -> None:
    """That something was said or done stays, and when; what, and with whom, goes."""
    for table in (interaction_version, interaction):
        await personal.blank(session, table, event.customer_id)


async def _after_forgetting(session: WriteSession, gone: Sequence[Any]) -> None:
    """Earlier versions go with their interactions, and whoever counts them is told."""
    v = interaction_version.c
    pairs = [(row["customer_id"], row["id"]) for row in gone]
    await session.execute(delete(interaction_version).where(tuple_(v.customer_id, v.id).in_(pairs)))
    await publish(session, InteractionsForgotten(sorted({customer_id for customer_id, _ in pairs})))


RETAINED = [
    Retained(
        "interactions",
        "Interactions",
        interaction,
        interaction.c.occurred_at,
        at_least=90,  # days that metrics look back
        afterwards=_after_forgetting,
    )
]
HANDLERS: dict[type[Any], Any] = {CustomerDeleted: on_deletion, CustomerErased: on_erasure}
