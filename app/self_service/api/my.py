"""/v1/my: routes for customers, about themselves."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Request, Response

from app.core.errors import TooManyRequests
from app.core.http.etag import IfMatch, expected_version
from app.core.http.etag import tag as etag
from app.core.http.files import ZipResponse, zip_file
from app.core.http.languages import AskedLanguage
from app.core.http.paging import Paging
from app.core.http.problems import MEDIA_TYPE
from app.core.http.routes import (
    PRINCIPAL,
    REQUEST_ID,
    ReadSession,
    WriteSession,
    database_of,
    note_reading,
    router,
)
from app.core.settings import get_settings
from app.governance import handing_over
from app.identity.access import Requires
from app.identity.actor import Actor
from app.identity.throttling import Attempt, count_attempt
from app.self_service import classes, oneself, profile, saying
from app.self_service.schemas import (
    MyAnswersIn,
    MyAnswersOut,
    MyClassList,
    MyConfirmationIn,
    MyConsentIn,
    MyConsentOut,
    MyConsentPage,
    MyConsentsOut,
    MyFeedbackIn,
    MyFeedbackOut,
    MyFeedbackPage,
    MyProfileOut,
    MyProfilePatch,
    MySurveyAskedOut,
    MySurveyPage,
)

routes = router(prefix="/my", tag="Self-service")
READ_DATA = "my_data:read"
_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
_THROTTLED: dict[int | str, dict[str, Any]] = {
    429: {"description": "Too many requests; wait as Retry-After says", "content": _PROBLEM}
}

_OF_CODES: dict[int | str, dict[str, Any]] = {
    410: {"description": "Nothing waits for this code", "content": _PROBLEM},
    **_THROTTLED,
}

CanReadProfile = Annotated[Actor, Depends(Requires(profile.READ))]
CanWriteProfile = Annotated[Actor, Depends(Requires(profile.WRITE))]
CanReadClasses = Annotated[Actor, Depends(Requires(classes.READ))]
CanReadSurveys = Annotated[Actor, Depends(Requires(saying.READ_SURVEYS))]
CanAnswerSurveys = Annotated[Actor, Depends(Requires(saying.ANSWER_SURVEYS))]
CanReadFeedback = Annotated[Actor, Depends(Requires(saying.READ_FEEDBACK))]
CanWriteFeedback = Annotated[Actor, Depends(Requires(saying.WRITE_FEEDBACK))]
CanReadConsents = Annotated[Actor, Depends(Requires(saying.READ_CONSENTS))]
CanWriteConsents = Annotated[Actor, Depends(Requires(saying.WRITE_CONSENTS))]
CanReadData = Annotated[Actor, Depends(Requires(READ_DATA))]
InvitationId = Annotated[UUID, Path(description="id of an invitation of yours")]


class TooMuch(TooManyRequests):
    type = "too-much-at-once"
    title = "That was much in a minute; wait a little"


async def _counted(request: Request) -> None:
    """As often as one account may do what costs others time. Asked for after the actor. Raises `TooMuch`."""
    address = request.client.host if request.client else "unknown"
    attempt = Attempt.of(
        request.app.state.secret, username=request.scope[PRINCIPAL], address=address, purpose="self-service "
    )
    limit = get_settings().self_service_per_minute
    await count_attempt(database_of(request), attempt, limit=limit, refusal=TooMuch)


Counted = Annotated[None, Depends(_counted)]


@routes.get("/profile", response_model=MyProfileOut)
async def read_my_profile(actor: CanReadProfile, session: ReadSession, request: Request, response: Response) -> object:
    """What is on record of me, nothing of it masked."""
    found = await profile.read(session, actor)
    note_reading(request, actor, "customer.read", "customer", found["id"], {"contact": oneself.CHANNEL})
    etag(response, found["version"])
    return found


@routes.patch("/profile", response_model=MyProfileOut, responses=_THROTTLED)
async def change_my_profile(
    actor: CanWriteProfile,
    counted: Counted,
    session: WriteSession,
    body: MyProfilePatch,
    response: Response,
    if_match: IfMatch = None,
) -> object:
    """Change my name, title, region or language; another e-mail address or phone number waits for its code."""
    changed = await profile.change(session, actor, body, expected=expected_version(if_match))
    etag(response, changed["version"])
    return changed


@routes.post("/profile/confirmations", response_model=MyProfileOut, responses=_OF_CODES)
async def confirm_my_profile(
    actor: CanWriteProfile,
    counted: Counted,
    session: WriteSession,
    request: Request,
    body: MyConfirmationIn,
    response: Response,
) -> object:
    """Confirm another e-mail address or phone number by the code that was sent there; it works once, five tries."""
    secret = request.app.state.secret
    changed = await profile.confirm(session, actor, body.field, body.code, secret=secret)
    etag(response, changed["version"])
    return changed


@routes.get("/classes", response_model=MyClassList)
async def list_my_classes(actor: CanReadClasses, session: ReadSession, language: AskedLanguage) -> object:
    """My classes, as far as customers see them, and what is missing to the next."""
    return await classes.own(session, actor, language)


@routes.get("/surveys", response_model=MySurveyPage)
async def list_my_surveys(
    actor: CanReadSurveys, session: ReadSession, request: Request, page: Paging, response: Response
) -> object:
    """The surveys that wait for my answers, the latest first."""
    response.headers["cache-control"] = "no-store"
    found = await saying.open_surveys(session, actor, page, secret=request.app.state.secret)
    return {**found, "items": [_with_url(request, each) for each in found["items"]]}


@routes.get("/surveys/{invitation_id}", response_model=MySurveyAskedOut)
async def read_my_survey(
    actor: CanReadSurveys, session: ReadSession, request: Request, invitation_id: InvitationId, response: Response
) -> object:
    """What a survey asks me."""
    response.headers["cache-control"] = "no-store"
    return _with_url(request, await saying.asked(session, actor, invitation_id, secret=request.app.state.secret))


def _with_url(request: Request, invited: dict[str, Any]) -> dict[str, Any]:
    at = (get_settings().public_url or str(request.base_url)).rstrip("/")
    return {**invited, "url": f"{at}/v1/survey-links/{invited['token']}"}


@routes.post("/surveys/{invitation_id}/answers", status_code=201, response_model=MyAnswersOut)
async def answer_my_survey(
    actor: CanAnswerSurveys, session: WriteSession, invitation_id: InvitationId, body: MyAnswersIn
) -> object:
    """Answer a survey, once."""
    return await saying.answer(session, actor, invitation_id, body.answers)


@routes.get("/feedback", response_model=MyFeedbackPage)
async def list_my_feedback(actor: CanReadFeedback, session: ReadSession, page: Paging) -> object:
    """The suggestions and complaints that I left here, the latest first."""
    return await saying.page_of_said(session, actor, page)


@routes.post("/feedback", status_code=201, response_model=MyFeedbackOut, responses=_THROTTLED)
async def leave_feedback(
    actor: CanWriteFeedback, counted: Counted, session: WriteSession, body: MyFeedbackIn
) -> object:
    """Suggest something, or complain."""
    return await saying.say(session, actor, body)


@routes.get("/consents", response_model=MyConsentsOut)
async def list_my_consents(actor: CanReadConsents, session: ReadSession) -> object:
    """What I agreed to, for each channel and purpose, and what I withdrew."""
    return await saying.standing(session, actor)


@routes.get("/consents/history", response_model=MyConsentPage)
async def list_my_consent_history(actor: CanReadConsents, session: ReadSession, page: Paging) -> object:
    """All that I ever agreed to or withdrew, the latest first."""
    return await saying.history(session, actor, page)


@routes.post("/consents", status_code=201, response_model=MyConsentOut, responses=_THROTTLED)
async def record_my_consent(
    actor: CanWriteConsents, counted: Counted, session: WriteSession, body: MyConsentIn
) -> object:
    """Agree to be reached by a channel for a purpose, or withdraw it."""
    return await saying.consent(session, actor, body)


@routes.get("/data", response_model=str, response_class=ZipResponse, responses=_THROTTLED)
async def export_my_data(actor: CanReadData, counted: Counted, session: ReadSession, request: Request) -> ZipResponse:
    """All that is kept of me: a zip of a manifest and of NDJSON files, one a table."""
    me = await oneself.find(session, actor)
    own = me.may(handing_over.HAND_OVER)
    content = await handing_over.archive(session, own, me.customer_id, request.scope.get(REQUEST_ID))
    return zip_file("my-data", content)
