"""The page behind a survey's link: for browsers, without logging in."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Depends, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse

from app.core import clock
from app.core.errors import Invalid, Problem
from app.core.http.problems import MEDIA_TYPE
from app.core.http.routes import PRINCIPAL, ReadSession, StrataRoute, WriteSession, database_of, router
from app.core.languages import Language, preferred
from app.core.settings import get_settings
from app.feedback import invitations, links, page
from app.feedback.invitations import TooManyAnswers, Unfinished
from app.identity.access import Public
from app.identity.throttling import Attempt, count_attempt

MAX_FIELDS = 2000
_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    404: {"description": "No link of ours: forged, altered or not whole", "content": _PROBLEM},
    409: {"description": "Answered already", "content": _PROBLEM},
    410: {"description": "The link has expired or was withdrawn, or the survey is closed", "content": _PROBLEM},
}
_OF_ANSWERS: dict[int | str, dict[str, Any]] = {
    429: {"description": "Too many attempts; wait as Retry-After says", "content": _PROBLEM},
}


class WrongForm(Invalid):
    title = "The answers are sent as a form: application/x-www-form-urlencoded, in UTF-8"


class PageRoute(StrataRoute):
    """Whoever asks for HTML is refused in HTML; everybody else gets the problem."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await handler(request)
            except RequestValidationError:
                problem: Problem = links.BadLink()
                if not _wants_page(request):
                    raise
            except Problem as raised:
                problem = raised
                if not _wants_page(request):
                    raise
            return _refused(request, problem)

        return shown


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _language(request: Request, known: str | None = None) -> Language:
    return preferred(request.headers.get("accept-language"), known)


def _html(content: str, status: int = 200, headers: dict[str, str] | None = None) -> HTMLResponse:
    return HTMLResponse(content, status, {**page.HEADERS, **(headers or {})})


def _refused(request: Request, problem: Problem) -> HTMLResponse:
    if isinstance(problem, Unfinished):
        language = _language(request, problem.opened.language)
        content = page.form(problem.opened.document, language, problem.answers, problem.found)
    else:
        content = page.refusal(problem.type, _language(request))
    return _html(content, problem.status, problem.headers)


async def _link(
    request: Request,
    token: Annotated[str, Path(max_length=links.MAX_LENGTH, description="the end of an invitation's link")],
) -> links.Link:
    """The link that was followed: known before the database is asked anything."""
    link = links.read(request.app.state.secret, token, clock.now())
    request.scope[PRINCIPAL] = f"survey_link:{link.invitation_id}"
    return link


async def _counted(request: Request, link: Annotated[links.Link, Depends(_link)]) -> links.Link:
    """The link that is answered, as often as one may try. Raises `TooManyAnswers`."""
    address = request.client.host if request.client else "unknown"
    attempt = Attempt.of(request.app.state.secret, username=str(link.invitation_id), address=address, purpose="survey ")
    limit = get_settings().survey_answers_per_minute
    await count_attempt(database_of(request), attempt, limit=limit, refusal=TooManyAnswers)
    return link


FollowedLink = Annotated[links.Link, Depends(_link)]
AnsweredLink = Annotated[links.Link, Depends(_counted)]
Anyone = Depends(Public())

routes = router(prefix="/survey-links", tag="Surveys")
routes.route_class = PageRoute


@routes.get("/{token}", response_model=str, response_class=HTMLResponse, responses=_REFUSALS, dependencies=[Anyone])
async def open_survey_link(request: Request, link: FollowedLink, session: ReadSession) -> Response:
    """The page on which a customer answers, in English or Chinese, as the browser asks or the customer's language is.

    Whoever accepts `text/html` gets refusals as pages, too.
    """
    opened = await invitations.opened(session, link)
    return _html(page.form(opened.document, _language(request, opened.language)))


@routes.post(
    "/{token}",
    response_model=str,
    response_class=HTMLResponse,
    responses={**_REFUSALS, **_OF_ANSWERS},
    dependencies=[Anyone],
)
async def answer_survey_link(request: Request, link: AnsweredLink, session: WriteSession) -> Response:
    """Take the page's answers, once: a form (`application/x-www-form-urlencoded`) of the questions' keys."""
    opened = await invitations.answer(session, link, await _form(request))
    return _html(page.thanks(opened.document, _language(request, opened.language)))


async def _form(request: Request) -> dict[str, list[str]]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise WrongForm
    try:
        return parse_qs((await request.body()).decode("ascii"), errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise WrongForm from error
