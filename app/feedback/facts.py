"""Recording feedback: each thing that was said is a row and an event; complaints and low scores are told besides."""

from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import insert

from app.core import audit, clock
from app.core.db import Record, WriteSession
from app.core.errors import Conflict, Invalid, NotFound
from app.core.events import publish
from app.customers.occurring import TOO_LATE, is_too_late
from app.customers.queries import held
from app.feedback.events import ComplaintReceived, FeedbackReceived, ScoredLow
from app.feedback.models import PERSONAL, feedback
from app.feedback.rules import is_low
from app.feedback.schemas.facts import FeedbackIn
from app.identity.actor import Actor
from app.identity.scopes import scope_params

WRITE = "feedback:write"


class ReferenceTaken(Conflict):
    type = "feedback-recorded"
    title = "This feedback of this customer is recorded already"


async def record(session: WriteSession, actor: Actor, customer_id: UUID, body: FeedbackIn) -> dict[str, Any]:
    """Record what a customer said. Raises `NotFound` out of the actor's reach, `ReferenceTaken` when it was before."""
    if is_too_late(body.occurred_at, clock.business_now()):
        raise Invalid.at("/body/occurred_at", TOO_LATE)
    await hold(session, actor, customer_id)
    values = body.model_dump()
    try:
        row = await write(session, customer_id, values)
    except asyncpg.UniqueViolationError as error:
        raise ReferenceTaken.at("/body/reference", f"the feedback {body.reference} is recorded already") from error
    after = {"customer_id": customer_id, **values}
    audit.record(session, actor, "feedback.recorded", "feedback", row["id"], after=after, personal=PERSONAL)
    return dict(row)


async def hold(session: WriteSession, actor: Actor, customer_id: UUID, *, pointer: str | None = None) -> None:
    """Keep the customer until the transaction ends. Raises `NotFound` out of the actor's reach.

    With a pointer, `Invalid` there: the customer is named by the body and not by the path.
    """
    if await session.first(held(actor, WRITE), {"customer_id": customer_id, **scope_params(actor)}) is None:
        message = "There is no such customer among those you may write about"
        raise NotFound(message) if pointer is None else Invalid.at(pointer, message)


async def write(session: WriteSession, customer_id: UUID, values: dict[str, Any]) -> Record:
    """Keep one fact of a customer, who must be held, and announce it."""
    row = await session.first(
        insert(feedback).values(customer_id=customer_id, **values, written_by=session.principal).returning(feedback)
    )
    assert row is not None
    await _announce(session, row)
    return row


async def _announce(session: WriteSession, row: Record) -> None:
    ids, response_id = (row["customer_id"], row["id"]), row["response_id"]
    where_and_when = (row["channel"], row["topic"], row["occurred_at"])
    said = (row["kind"], row["measure"], row["score"])
    await publish(session, FeedbackReceived(*ids, *said, *where_and_when, response_id))
    if row["kind"] == "complaint":
        await publish(session, ComplaintReceived(*ids, *where_and_when))
    if is_low(row["measure"], row["kind"], row["score"]):
        await publish(session, ScoredLow(*ids, row["measure"], row["score"], *where_and_when))
