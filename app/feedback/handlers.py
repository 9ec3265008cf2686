"""What feedback does when it hears of something."""

from typing import Any

from sqlalchemy import delete

from app.core import personal
from app.core.db import WriteSession
from app.customers.events import CustomerDeleted, CustomerErased
from app.feedback.models import feedback, survey_invitation, survey_response


async def on_deletion(session: WriteSession, event: CustomerDeleted) -> None:
    """What a customer said goes with it."""
    await session.execute(delete(feedback).where(feedback.c.customer_id == event.customer_id))
    await session.execute(delete(survey_invitation).where(survey_invitation.c.customer_id == event.customer_id))
    await session.execute(delete(survey_response).where(survey_response.c.customer_id == event.customer_id))


async def on_erasure(session: WriteSession, event: CustomerErased) -> None:
    """Scores stay for what they are summed up in; what the customer wrote goes, and whatever link still asks."""
    await session.execute(delete(survey_invitation).where(survey_invitation.c.customer_id == event.customer_id))
    await personal.blank(session, feedback, event.customer_id)


HANDLERS: dict[type[Any], Any] = {CustomerDeleted: on_deletion, CustomerErased: on_erasure}
