"""A route is one transaction: it commits after the answer is made and before it leaves.

A `yield` dependency would commit too late (the client already has its 201) or too early (before the
answer is serialised, so that the idempotency store could not keep it). Hence a route class.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, TypeVar

import asyncpg
from fastapi import APIRouter, Depends, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from starlette.datastructures import UploadFile
from starlette.routing import Match
from starlette.types import Scope

from app.core import db
from app.core.audit import Who
from app.core.errors import Problem, ReactionFailed
from app.core.idempotency import Answer, Claim, is_repeated, remember, stored_answer
from app.core.readings import Readings
from app.core.settings import get_settings

UNIT = "strata.unit"
PRINCIPAL = "strata.principal"
REQUEST_ID = "strata.request_id"
DEFERS = "strata.defers"
READING = "strata.reading"
"""Who reads what of somebody, when that is personal: who it is, and what the audit calls it."""
_SHOWN = "strata.shown"
BEHALF = "x-on-behalf-of"
"""The header by which a request is made for an absent user."""

_KEY = re.compile(r"^[\x21-\x7e]{1,255}$")
_TRY_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_KEPT_HEADERS = ("content-type", "etag", "location")

# The statements of a request are prepared and always of one shape, for one customer. Planning the large ones (metrics,
# classes) for every request would cost three times what running them does.
_BEGIN = "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan"

Router = APIRouter
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class _Unit:
    """The transaction of one request and the idempotency key it holds."""

    def __init__(self, session: db.WriteSession, claim: Claim | None) -> None:
        self.session = session
        self.claim = claim

    async def complete(self, response: Response) -> None:
        if self.claim is not None and response.status_code < 300:
            headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
            answer = Answer(response.status_code, headers, bytes(response.body).decode())
            remember(self.session, self.claim, answer, secret=response.headers.get("cache-control") == "no-store")
        await db.commit(self.session)


class StrataRoute(APIRoute):
    """Commits the request's transaction between the answer and its sending; retries one deadlock."""

    @cached_property
    def _begins(self) -> str:
        return self.path_format.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        # Every request asks the routes in turn, of which there are hundreds: most are told apart by how they begin.
        path = scope["path"]
        if not (path.startswith(self._begins) and self.path_regex.match(path)) and not scope.get("root_path"):
            return Match.NONE, {}
        return super().matches(scope)

    def get_route_handler(self) -> Handler:
        handler = super().get_route_handler()
        if (self.methods or set()) <= {"GET", "HEAD"}:
            return _written_down(handler)

        async def in_one_transaction(request: Request) -> Response:
            try:
                return await _attempt(handler, request)
            except _TRY_AGAIN:
                return await _attempt(handler, request)
            except ReactionFailed:
                request.scope[DEFERS] = True
                return await _attempt(handler, request)

        return in_one_transaction


def _written_down(handler: Handler) -> Handler:
    async def noted(request: Request) -> Response:
        response = await handler(request)
        if (reading := request.scope.get(READING)) is not None:
            _note_personal(request, *reading)
        return response

    return noted


def _note_personal(request: Request, who: Who, noun: str) -> None:
    """What was read of the customer in the path, or of everybody on a page; a page of nobody is none."""
    what: dict[str, Any] = dict(request.path_params)
    if (customer_id := what.pop("customer_id", None)) is not None:
        note_reading(request, who, f"{noun}.read", "customer", customer_id, what)
    elif customers := request.scope.get(_SHOWN):
        note_reading(request, who, f"{noun}.read", "customers", request.scope["path"], {"customers": customers})


async def _attempt(handler: Handler, request: Request) -> Response:
    try:
        response = await handler(request)
        if (unit := request.scope.get(UNIT)) is not None:
            await unit.complete(response)
        return response
    except asyncpg.UniqueViolationError as error:
        if is_repeated(error) and (answered := await _answered_before(request)) is not None:
            return answered
        raise
    except Problem as problem:
        if problem.keeps_changes and (unit := request.scope.get(UNIT)) is not None:
            await db.commit(unit.session)
            raise
        # What went wrong may be that the first request did it already.
        if (answered := await _answered_before(request)) is not None:
            return answered
        raise
    finally:
        if (unit := request.scope.pop(UNIT, None)) is not None:
            await db.roll_back(unit.session)
            await unit.session.database.pool.release(unit.session.connection)


async def _answered_before(request: Request) -> Response | None:
    """The first answer under the request's key, its own effects undone; None when it has no key or is the first."""
    unit: _Unit | None = request.scope.get(UNIT)
    if unit is None or unit.claim is None:
        return None
    await db.roll_back(unit.session)
    answer = await stored_answer(unit.session, unit.claim)
    if answer is None:
        return None
    return Response(answer.body, answer.status, {**answer.headers, "idempotent-replayed": "true"})


def takes_up_to(max_bytes: int) -> Callable[[Endpoint], Endpoint]:
    """Lets a route take a larger body than the others."""

    def marked(endpoint: Endpoint) -> Endpoint:
        endpoint.max_body_bytes = max_bytes  # type: ignore[attr-defined]
        return endpoint

    return marked


def max_body_bytes_of(route: Any, default: int) -> int:
    """How large a body the route takes."""
    limit: int = getattr(getattr(route, "endpoint", None), "max_body_bytes", default)
    return limit


def router(*, prefix: str = "", tag: str) -> APIRouter:
    """A package's router: /v1, one transaction a route, one tag."""
    return APIRouter(
        prefix=f"/v1{prefix}",
        tags=[tag],
        route_class=StrataRoute,
        # A handler's name is its operation id, hence the method's name in generated clients.
        generate_unique_id_function=lambda route: route.name,
    )


def database_of(request: Request) -> db.Database:
    """The process's database, or 503 while there is none."""
    database: db.Database = request.app.state.database
    return database


def note_reading(
    request: Request, who: Who, action: str, resource: str, resource_id: object, what: Mapping[str, Any]
) -> None:
    """Have the audit say soon that what is personal was shown; costs the request no round trip."""
    readings: Readings = request.app.state.readings
    readings.note(who, action, resource, resource_id, what, request.scope.get(REQUEST_ID))


def shows(request: Request, items: Iterable[Mapping[str, Any]]) -> None:
    """Have the audit name everybody whom these are about (`customer_id`), where the path names nobody."""
    request.scope[_SHOWN] = sorted({str(each["customer_id"]) for each in items})


async def _read_session(request: Request) -> db.ReadSession:
    return database_of(request).reading()


async def _write_session(request: Request) -> db.WriteSession:
    """Begin the request's transaction."""
    database = database_of(request)
    claim = await _claim(request)
    connection = await database.acquire()
    session = db.WriteSession(
        database,
        connection,
        correlation_id=request.scope.get(REQUEST_ID),
        principal=request.scope.get(PRINCIPAL, "public"),
        defers=request.scope.get(DEFERS, not get_settings().classify_inline),
    )
    request.scope[UNIT] = _Unit(session, claim)
    await connection.execute(_BEGIN)
    return session


ReadSession = Annotated[db.ReadSession, Depends(_read_session)]
WriteSession = Annotated[db.WriteSession, Depends(_write_session)]


def keeps_answers(route: APIRoute) -> bool:
    """Whether the route heeds an Idempotency-Key: a POST in a transaction, of somebody who is known."""
    calls = list(_calls(route.dependant))
    known = any(isinstance(call, SecurityBase) for call in calls)
    return route.methods == {"POST"} and known and _write_session in calls


def _calls(dependant: Dependant) -> Iterator[object]:
    for each in dependant.dependencies:
        yield each.call
        yield from _calls(each)


async def _claim(request: Request) -> Claim | None:
    key = request.headers.get("idempotency-key")
    principal = request.scope.get(PRINCIPAL)
    if key is None or principal is None or request.method != "POST":
        return None
    if not _KEY.match(key):
        raise Problem.at("/header/Idempotency-Key", "An Idempotency-Key has 1 to 255 visible ASCII characters")
    return Claim(principal, key, request.url.path, await _fingerprint(request))


async def _fingerprint(request: Request) -> str:
    """A hash of what was asked. A form is hashed by its fields: its boundary differs with every sending."""
    # Keyed: a body may hold a password, which nobody shall guess from its hash.
    behalf = request.headers.get(BEHALF, "")
    asked = f"{request.method} {request.url.path}?{request.url.query}\0{behalf}".encode()
    digest = hmac.new(request.app.state.secret.encode(), asked, hashlib.sha256)
    if not request.headers.get("content-type", "").startswith("multipart/"):
        digest.update(await request.body())
        return digest.hexdigest()
    for name, value in sorted((await request.form()).multi_items(), key=lambda item: item[0]):
        digest.update(f"\0{name}\0".encode())
        if isinstance(value, UploadFile):
            while block := await value.read(1 << 20):
                digest.update(block)
            await value.seek(0)
        else:
            digest.update(value.encode())
    return digest.hexdigest()
