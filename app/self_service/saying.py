"""What customers say of us and want of us: surveys, suggestions and complaints, consents."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from app.core import clock
from app.core.db import ReadSession, WriteSession
from app.core.errors import TooManyRequests
from app.core.http.paging import Page
from app.customers import consents
from app.customers.schemas import ConsentIn
from app.feedback import facts, invitations, queries
from app.feedback.models import feedback
from app.feedback.schemas.facts import FeedbackIn
from app.identity.actor import Actor
from app.self_service import oneself
from app.self_service.oneself import CHANNEL, SOURCE, Oneself
from app.self_service.schemas import MyConsentIn, MyFeedbackIn

READ_SURVEYS = "my_surveys:read"
ANSWER_SURVEYS = "my_surveys:write"
READ_FEEDBACK = "my_feedback:read"
WRITE_FEEDBACK = "my_feedback:write"
READ_CONSENTS = "my_consents:read"
WRITE_CONSENTS = "my_consents:write"
MOST_A_DAY = 50
"""Pieces of feedback, and consents, that one account may leave in a day: somebody reads them."""
_f = feedback.c


class EnoughForToday(TooManyRequests):
    type = "enough-for-today"
    title = f"Up to {MOST_A_DAY} a day; go on tomorrow"


# ---- surveys ---------------------------------------------------------------------------------------------------------


async def open_surveys(session: ReadSession, actor: Actor, page: Page, *, secret: str) -> dict[str, Any]:
    """A page of the surveys that wait for one's answers, the latest first. Raises `NoCustomer`."""
    me = await oneself.find(session, actor)
    return await invitations.page_of_open(session, me.customer_id, page, secret=secret)


async def asked(session: ReadSession, actor: Actor, invitation_id: UUID, *, secret: str) -> dict[str, Any]:
    """What an open survey asks. Raises `NoCustomer`, `NotFound`."""
    me = await oneself.find(session, actor)
    return await invitations.one_open(session, me.customer_id, invitation_id, secret=secret)


async def answer(session: WriteSession, actor: Actor, invitation_id: UUID, answers: dict[str, Any]) -> dict[str, Any]:
    """Keep one's answers, once. Raises `NoCustomer`, `NotFound`, `AnsweredAlready`, `SurveyClosed`, `Unfinished`."""
    me = await oneself.find(session, actor)
    return await invitations.answer_as(session, actor, me.customer_id, invitation_id, answers)


# ---- suggestions and complaints --------------------------------------------------------------------------------------


async def say(session: WriteSession, actor: Actor, body: MyFeedbackIn) -> dict[str, Any]:
    """Record a suggestion or a complaint of one's own. Raises `NoCustomer`, `EnoughForToday`."""
    me = await oneself.find(session, actor)
    said = FeedbackIn(channel=CHANNEL, occurred_at=clock.business_now(), **body.model_dump())
    made = await facts.record(session, me.may(facts.WRITE), me.customer_id, said)
    today = select(func.count()).where(
        _f.customer_id == me.customer_id, _f.channel == CHANNEL, _f.written_at > clock.now() - timedelta(days=1)
    )
    if await session.scalar(today) > MOST_A_DAY:
        raise EnoughForToday(retry_after=3600)
    return made


async def page_of_said(session: ReadSession, actor: Actor, page: Page) -> dict[str, Any]:
    """A page of the suggestions and complaints that one left here, the latest first. Raises `NoCustomer`."""
    me = await oneself.find(session, actor)
    own, here = me.may(queries.READ), {"channel": CHANNEL}
    return await queries.page_of_feedback(session, own, page, filters=here, customer_id=me.customer_id)


# ---- consents --------------------------------------------------------------------------------------------------------


async def standing(session: ReadSession, actor: Actor) -> dict[str, Any]:
    """What one agreed to, as it stands. Raises `NoCustomer`."""
    me = await oneself.find(session, actor)
    return await consents.standing(session, me.may(consents.READ), me.customer_id)


async def history(session: ReadSession, actor: Actor, page: Page) -> dict[str, Any]:
    """All that one ever agreed to and withdrew, the latest first. Raises `NoCustomer`."""
    me = await oneself.find(session, actor)
    return await consents.history(session, me.may(consents.READ), me.customer_id, page)


async def consent(session: WriteSession, actor: Actor, body: MyConsentIn) -> dict[str, Any]:
    """Give a consent, or withdraw it. Raises `NoCustomer`."""
    me: Oneself = await oneself.find(session, actor)
    said = ConsentIn(source=SOURCE, **body.model_dump())
    return await consents.record(session, me.may(consents.WRITE), me.customer_id, said)
