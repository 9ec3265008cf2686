"""Every failure becomes application/problem+json: no stack, no SQL, nobody else's data."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Route

from app.core.db import CONNECTION_LOST, UNUSABLE
from app.core.errors import FieldError, Invalid, NotFound, Problem, TooLarge, Unauthenticated, Unavailable
from app.core.http.routes import REQUEST_ID

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 50

log = structlog.get_logger(__name__)


class ProblemField(BaseModel):
    """One field that is wrong."""

    pointer: str
    message: str


class ProblemDetails(BaseModel):
    """Any answer other than success (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str | None
    instance: str
    errors: list[ProblemField]


def problem_response(request: Request, problem: Problem) -> JSONResponse:
    """The problem as an answer to this request."""
    return JSONResponse(
        {
            "type": f"urn:strata:problem:{problem.type}",
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
            "instance": f"urn:strata:request:{request.scope.get(REQUEST_ID, '')}",
            "errors": [error.as_json() for error in problem.errors[:MAX_ERRORS]],
        },
        status_code=problem.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


def _methods_taken(request: Request) -> list[str]:
    """What the resource takes, by all its routes; Starlette names the first route's methods only."""
    path = request.scope["path"]
    routes = [route for route in request.app.routes if isinstance(route, Route) and route.path_regex.match(path)]
    return sorted({method for route in routes for method in route.methods or ()} - {"HEAD"})


class _MethodNotAllowed(Problem):
    status = 405
    type = "method-not-allowed"
    title = "This resource does not take that method"


_BY_STATUS: dict[int, type[Problem]] = {401: Unauthenticated, 404: NotFound, 405: _MethodNotAllowed, 413: TooLarge}


Successor = Callable[[Request, str], Awaitable[str | None]]
"""Which id stands for one that is no more, as far as whoever asks may know; None when none does."""

_successors: dict[str, Successor] = {}


def succeed(successors: Mapping[str, Successor]) -> None:
    """Find, by the name of a path parameter, what stands for a resource that is not there."""
    _successors.update(successors)


class Moved(Problem):
    status = 307
    type = "moved"
    title = "Another resource stands for this one"


async def _on_problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    if isinstance(problem, NotFound):
        problem = await _moved(request) or problem
    return problem_response(request, problem)


async def _moved(request: Request) -> Moved | None:
    """Where the request belongs when what its path names is now part of something else: undone some day, so 307."""
    for name, successor in _successors.items():
        given = request.path_params.get(name)
        if given is not None and (instead := await successor(request, given)) is not None:
            path = request.url.path.replace(given, instead, 1)
            location = f"{path}?{request.url.query}" if request.url.query else path
            return Moved("Ask for it under the address in Location", headers={"Location": location})
    return None


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, Problem):  # raised while the body was read; FastAPI wraps it
        return problem_response(request, error.__cause__)
    problem = _BY_STATUS.get(error.status_code, Problem)(str(error.detail))
    problem.headers.update(error.headers or {})
    if error.status_code == _MethodNotAllowed.status:
        problem.headers["Allow"] = ", ".join(_methods_taken(request))
    return problem_response(request, problem)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    messages: dict[str, str] = {}
    for each in error.errors():
        location = each["loc"]
        if each["type"] == "json_invalid":  # located by Pydantic at a character, to which no pointer leads
            messages["/body"] = f"no JSON at character {location[-1]}: {each['ctx']['error']}"
            continue
        if isinstance(error.body, dict) and location[0] == "body":
            location = leading(location, {"body": error.body}, missing=each["type"] == "missing")
        messages.setdefault(pointer_of(location), message_of(each))
    fields = [FieldError(pointer, message) for pointer, message in messages.items()]
    return problem_response(request, Invalid("Correct the fields named in errors", errors=fields[:MAX_ERRORS]))


async def _on_database(request: Request, error: Exception) -> Response:
    """What PostgreSQL refuses although the edge let it pass: say so without its words."""
    if isinstance(error, (*CONNECTION_LOST, *UNUSABLE, OSError)):
        return problem_response(request, Unavailable("The database is away; try again in a moment"))
    if isinstance(error, asyncpg.QueryCanceledError | asyncpg.LockNotAvailableError):
        return problem_response(request, Unavailable("The database took too long; ask for less or try again"))
    log.error("database.refused", sqlstate=getattr(error, "sqlstate", None), exc_info=error)
    if isinstance(error, asyncpg.DataError):
        return problem_response(request, Invalid("A value lies outside what can be stored"))
    return problem_response(request, InternalError())


class InternalError(Problem):
    status = 500
    type = "internal"
    title = "Something went wrong here; the request id finds it in the logs"


def pointer_of(location: Iterable[Any]) -> str:
    """A JSON pointer such as /body/lines/0/amount."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def message_of(error: Mapping[str, Any]) -> str:
    """What a validation error says, without Pydantic's announcement of it, and without repeating what was sent."""
    if error["type"] == "union_tag_invalid":
        known = error.get("ctx", {}).get("expected_tags")
        return f"This is of no kind that is known: {known}" if known else "This is of no kind that is known"
    return str(error["msg"]).removeprefix("Value error, ")


def leading(location: Sequence[Any], value: dict[str, Any], *, missing: bool) -> tuple[Any, ...]:
    """The parts of a location that lead to something in the value; the last one may be `missing` there.

    Pydantic also names the member of a union that it tried. Of several ways to read a location, the one that
    follows its last part and most others is meant.
    """
    if location[:1] != ("body",) or not isinstance(value["body"], dict | list):
        return tuple(location)
    known: dict[tuple[int, int], tuple[bool, int, tuple[Any, ...]]] = {}

    def best(n: int, value: Any) -> tuple[bool, int, tuple[Any, ...]]:
        """Whether the last part is followed, how many parts are, and which."""
        if n == len(location):
            return False, 0, ()
        if (n, id(value)) not in known:
            part, is_last, there = location[n], n + 1 == len(location), None
            if isinstance(value, dict) and (part in value or (is_last and missing)):
                there = best(n + 1, value.get(part))
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                there = best(n + 1, value[part])
            ways = [best(n + 1, value)]
            if there is not None:
                ways.append((is_last or there[0], there[1] + 1, (part, *there[2])))
            known[n, id(value)] = max(ways, key=lambda way: way[:2])
        return known[n, id(value)]

    return best(0, value)[2]


def install(app: FastAPI) -> None:
    """Register the handlers. Unforeseen exceptions are answered by the outermost middleware."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    for kind in (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.DataError, OSError):
        app.add_exception_handler(kind, _on_database)
