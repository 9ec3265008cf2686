"""Routes of feedback."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Response

from app.core.bounds import Instant, Key
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router, shows
from app.customers import document
from app.feedback import facts, queries, scores
from app.feedback.schemas.facts import FeedbackIn, FeedbackKind, FeedbackOut, FeedbackPage, Measure
from app.feedback.schemas.scores import Period, ScorePage, ScoresBy
from app.identity.access import Reads, Requires
from app.identity.actor import Actor

routes = router(tag="Feedback")

CanReadFeedback = Annotated[Actor, Depends(Reads(queries.READ, "feedback"))]
CanReadScores = Annotated[Actor, Depends(Requires(queries.READ))]
CanWriteFeedback = Annotated[Actor, Depends(Requires(facts.WRITE))]
CustomerId = Annotated[UUID, Path(description="customer id")]
FeedbackId = Annotated[UUID, Path(description="feedback id")]


async def _filters(
    kind: FeedbackKind | None = None,
    measure: Measure | None = None,
    channel: Key | None = None,
    topic: Key | None = None,
    since: Annotated[Instant | None, Query(description="at or after this instant")] = None,
    until: Annotated[Instant | None, Query(description="before this instant")] = None,
) -> dict[str, Any]:
    given = {"kind": kind, "measure": measure, "channel": channel, "topic": topic, "since": since, "until": until}
    return {name: value for name, value in given.items() if value is not None}


Filters = Annotated[dict[str, Any], Depends(_filters)]


@routes.post("/customers/{customer_id}/feedback", status_code=201, response_model=FeedbackOut)
async def record_feedback(
    actor: CanWriteFeedback, session: WriteSession, customer_id: CustomerId, body: FeedbackIn, response: Response
) -> object:
    """Record what a customer said: a suggestion, a review, a complaint, or a score given outside a survey."""
    made = await facts.record(session, actor, customer_id, body)
    response.headers["location"] = f"/v1/customers/{customer_id}/feedback/{made['id']}"
    return made


@routes.get("/customers/{customer_id}/feedback", response_model=FeedbackPage)
async def list_customer_feedback(
    actor: CanReadFeedback, session: ReadSession, customer_id: CustomerId, page: Paging, filters: Filters
) -> object:
    """What a customer said, the latest first."""
    await document.check_visible(session, actor, customer_id, queries.READ)
    return await queries.page_of_feedback(session, actor, page, filters=filters, customer_id=customer_id)


@routes.get("/customers/{customer_id}/feedback/{feedback_id}", response_model=FeedbackOut)
async def read_feedback(
    actor: CanReadFeedback, session: ReadSession, customer_id: CustomerId, feedback_id: FeedbackId
) -> object:
    """One thing that a customer said."""
    return await queries.one(session, actor, customer_id, feedback_id)


@routes.get("/feedback", response_model=FeedbackPage)
async def list_feedback(
    actor: CanReadFeedback, session: ReadSession, request: Request, page: Paging, filters: Filters
) -> object:
    """Feedback across customers, the latest first."""
    found = await queries.page_of_feedback(session, actor, page, filters=filters)
    shows(request, found["items"])
    return found


async def _grouping(
    by: Annotated[ScoresBy | None, Query(description="what the answers are put together by")] = None,
    scheme: Annotated[Key | None, Query(description="with by=class: whose classes")] = None,
    period: Period | None = None,
) -> scores.Grouping:
    return scores.Grouping(by, scheme, period)


async def _asked(
    measure: Measure | None = None,
    channel: Key | None = None,
    topic: Key | None = None,
    since: Annotated[Instant | None, Query(description="at or after this instant")] = None,
    until: Annotated[Instant | None, Query(description="before this instant")] = None,
) -> dict[str, Any]:
    return await _filters(None, measure, channel, topic, since, until)


@routes.get("/feedback/scores", response_model=ScorePage)
async def read_feedback_scores(
    actor: CanReadScores,
    session: ReadSession,
    page: Paging,
    grouping: Annotated[scores.Grouping, Depends(_grouping)],
    filters: Annotated[dict[str, Any], Depends(_asked)],
) -> object:
    """NPS, CSAT and CES of the customers within reach: of all, or by customer, unit, class, topic, channel, period."""
    return await scores.page_of_scores(session, actor, page, grouping=grouping, filters=filters)
