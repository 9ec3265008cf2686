"""What feedback does when it hears of something."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete

from app.core import personal
from app.core.db import WriteSession
from app.core.events import publish
from app.core.retention import Retained
from app.customers.events import CustomerDeleted, CustomerErased
from app.feedback.events import FeedbackForgotten
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


async def _after_forgetting(session: WriteSession, gone: Sequence[Any]) -> None:
    """Whoever sums the scores up is told. That a survey was answered stays, and when."""
    await publish(session, FeedbackForgotten(sorted({row["customer_id"] for row in gone})))


RETAINED = [
    Retained(
        "feedback",
        "Feedback, answers to surveys among it",
        feedback,
        feedback.c.occurred_at,
        at_least=90,  # days that metrics look back
        afterwards=_after_forgetting,
    ),
    Retained(
        "survey_invitations",
        "Invitations to surveys that have expired",
        survey_invitation,
        survey_invitation.c.expires_at,
    ),
]
HANDLERS: dict[type[Any], Any] = {CustomerDeleted: on_deletion, CustomerErased: on_erasure}
