"""Routes of surveys, their versions and their answers."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Request, Response

from app.core.http.etag import IfMatch, expected_version
from app.core.http.etag import tag as etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router, shows
from app.core.settings import get_settings
from app.feedback import facts, invitations, queries, responses, surveys
from app.feedback.schemas.invitations import SurveyInvitationPage, SurveyInvitationsIn, SurveyLinksOut
from app.feedback.schemas.surveys import (
    SurveyIn,
    SurveyOut,
    SurveyPage,
    SurveyPatch,
    SurveyResponseIn,
    SurveyResponseOut,
    SurveyResponsePage,
    SurveyVersionIn,
    SurveyVersionOut,
    SurveyVersionPage,
)
from app.identity.access import Reads, Requires
from app.identity.actor import Actor

routes = router(prefix="/surveys", tag="Surveys")

CanReadSurveys = Annotated[Actor, Depends(Requires(surveys.READ))]
CanWriteSurveys = Annotated[Actor, Depends(Requires(surveys.WRITE))]
CanReadFeedback = Annotated[Actor, Depends(Reads(queries.READ, "feedback"))]
CanWriteFeedback = Annotated[Actor, Depends(Requires(facts.WRITE))]
SurveyId = Annotated[UUID, Path(description="survey id")]
InvitationId = Annotated[UUID, Path(description="invitation id")]
VersionNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="the version's number")]


@routes.post("", status_code=201, response_model=SurveyOut)
async def create_survey(actor: CanWriteSurveys, session: WriteSession, body: SurveyIn, response: Response) -> object:
    """Make a survey; its first version is a draft until it is published."""
    made = await surveys.create(session, actor, body.name, body.document)
    etag(response, made["version"])
    response.headers["location"] = f"/v1/surveys/{made['id']}"
    return made


@routes.get("", response_model=SurveyPage)
async def list_surveys(actor: CanReadSurveys, session: ReadSession, page: Paging) -> object:
    """All surveys, the latest first."""
    return await surveys.page(session, page)


@routes.get("/{survey_id}", response_model=SurveyOut)
async def read_survey(actor: CanReadSurveys, session: ReadSession, survey_id: SurveyId, response: Response) -> object:
    """One survey."""
    found = await surveys.read(session, survey_id)
    etag(response, found["version"])
    return found


@routes.patch("/{survey_id}", response_model=SurveyOut)
async def change_survey(
    actor: CanWriteSurveys,
    session: WriteSession,
    survey_id: SurveyId,
    body: SurveyPatch,
    response: Response,
    if_match: IfMatch = None,
) -> object:
    """Rename a survey, close it, or open it again."""
    changed = await surveys.change(session, actor, survey_id, body, expected=expected_version(if_match))
    etag(response, changed["version"])
    return changed


@routes.post("/{survey_id}/versions", status_code=201, response_model=SurveyVersionOut)
async def create_survey_version(
    actor: CanWriteSurveys, session: WriteSession, survey_id: SurveyId, body: SurveyVersionIn, response: Response
) -> object:
    """Add a version, as a draft."""
    made = await surveys.add_version(session, actor, survey_id, body.document)
    etag(response, made["revision"])
    response.headers["location"] = f"/v1/surveys/{survey_id}/versions/{made['number']}"
    return made


@routes.get("/{survey_id}/versions", response_model=SurveyVersionPage)
async def list_survey_versions(
    actor: CanReadSurveys, session: ReadSession, survey_id: SurveyId, page: Paging
) -> object:
    """A survey's versions, the latest first."""
    return await surveys.page_of_versions(session, survey_id, page)


@routes.get("/{survey_id}/versions/{n}", response_model=SurveyVersionOut)
async def read_survey_version(
    actor: CanReadSurveys, session: ReadSession, survey_id: SurveyId, n: VersionNumber, response: Response
) -> object:
    """One version of a survey."""
    found = await surveys.read_version(session, survey_id, n)
    etag(response, found["revision"])
    return found


@routes.put("/{survey_id}/versions/{n}", response_model=SurveyVersionOut)
async def change_survey_version(
    actor: CanWriteSurveys,
    session: WriteSession,
    survey_id: SurveyId,
    n: VersionNumber,
    body: SurveyVersionIn,
    response: Response,
    if_match: IfMatch = None,
) -> object:
    """Change what a draft asks."""
    expected = expected_version(if_match)
    changed = await surveys.change_version(session, actor, survey_id, n, body.document, expected=expected)
    etag(response, changed["revision"])
    return changed


@routes.post("/{survey_id}/versions/{n}/publish", response_model=SurveyVersionOut)
async def publish_survey_version(
    actor: CanWriteSurveys,
    session: WriteSession,
    survey_id: SurveyId,
    n: VersionNumber,
    response: Response,
    if_match: IfMatch = None,
) -> object:
    """Publish a draft: it is asked from now on, and never changes again."""
    published = await surveys.publish(session, actor, survey_id, n, expected=expected_version(if_match))
    etag(response, published["revision"])
    return published


@routes.post("/{survey_id}/responses", status_code=201, response_model=SurveyResponseOut)
async def record_survey_response(
    actor: CanWriteFeedback, session: WriteSession, survey_id: SurveyId, body: SurveyResponseIn
) -> object:
    """Record a customer's answers to the version in force, each as feedback."""
    return await responses.record(session, actor, survey_id, body)


@routes.get("/{survey_id}/responses", response_model=SurveyResponsePage)
async def list_survey_responses(
    actor: CanReadFeedback, session: ReadSession, request: Request, survey_id: SurveyId, page: Paging
) -> object:
    """What was answered, the latest first."""
    await surveys.read(session, survey_id)
    found = await queries.page_of_responses(session, actor, survey_id, page)
    shows(request, found["items"])
    return found


@routes.post("/{survey_id}/invitations", status_code=201, response_model=SurveyLinksOut)
async def invite_to_survey(
    actor: CanWriteFeedback,
    session: WriteSession,
    request: Request,
    survey_id: SurveyId,
    body: SurveyInvitationsIn,
    response: Response,
) -> object:
    """Make a link for each customer, by which the version in force is answered without logging in. Sending is yours."""
    response.headers["cache-control"] = "no-store"
    invited = await invitations.invite(session, actor, survey_id, **body.model_dump(), secret=request.app.state.secret)
    at = (get_settings().public_url or str(request.base_url)).rstrip("/")
    return {"items": [{**each, "url": f"{at}/v1/survey-links/{each['token']}"} for each in invited]}


@routes.get("/{survey_id}/invitations", response_model=SurveyInvitationPage)
async def list_survey_invitations(
    actor: CanReadFeedback, session: ReadSession, survey_id: SurveyId, page: Paging
) -> object:
    """Who was invited, the latest first, without the links."""
    await surveys.read(session, survey_id)
    return await invitations.page(session, actor, survey_id, page)


@routes.delete("/{survey_id}/invitations/{invitation_id}", status_code=204)
async def revoke_survey_invitation(
    actor: CanWriteFeedback, session: WriteSession, survey_id: SurveyId, invitation_id: InvitationId
) -> None:
    """Withdraw an invitation that was not answered yet: its link stops working at once. It stays in the list."""
    await invitations.revoke(session, actor, survey_id, invitation_id)
