"""Around every request: id, time, count, limits, and an answer to the unforeseen.

Pure ASGI: `BaseHTTPMiddleware` breaks context variables and streaming.
"""

import re
import time
import uuid

import structlog
from fastapi import Request
from opentelemetry.trace import Span
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import telemetry, tracing
from app.core.errors import Problem, TooLarge
from app.core.http.problems import InternalError, problem_response
from app.core.http.routes import REQUEST_ID, max_body_bytes_of

MAX_HEADER_BYTES = 32 * 1024
MAX_TARGET_BYTES = 8 * 1024
MAX_JSON_DEPTH = 64
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

log = structlog.get_logger(__name__)
_REQUEST_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")


class HeadersTooLarge(Problem):
    status = 431
    type = "headers-too-large"
    title = "The request's headers are larger than allowed"


class NestedTooDeep(Problem):
    status = 422
    type = "nested-too-deep"
    title = f"JSON may be nested {MAX_JSON_DEPTH} levels deep at most"


class Observe:
    """Gives the request its id, measures it, logs it, and answers 500 when nothing else did."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope[REQUEST_ID] = request_id
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        telemetry.requests_in_flight.inc()
        with tracing.request(scope, request_id) as span:
            try:
                await self.app(scope, receive, send_with_id)
            except Exception as error:
                log.error("request.failed", request_id=request_id, exc_info=error)
                if status:
                    raise
                await problem_response(Request(scope), InternalError())(scope, receive, send_with_id)
            finally:
                telemetry.requests_in_flight.dec()
                _observe(scope, status, time.perf_counter() - started, span)


def _observe(scope: Scope, status: int, seconds: float, span: Span | None) -> None:
    route = scope.get("route")
    template = getattr(route, "path", "unmatched")
    # A method that nobody knows would be a time series of its own: whoever invents them fills the memory.
    method = scope["method"] if scope["method"] in METHODS else "other"
    telemetry.requests.labels(method, template, status).observe(seconds)
    tracing.answered(span, method=method, route=template, status=status)
    if template in ("/healthz", "/readyz", "/metrics"):
        return
    log.info(
        "request",
        request_id=scope[REQUEST_ID],
        method=method,
        route=template,
        status=status,
        ms=round(seconds * 1000, 1),
        actor=scope.get("strata.principal"),
    )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.match(value):
            return str(value.decode())
    return uuid.uuid4().hex


class Limits:
    """Refuses what is too large: headers, targets, bodies, and JSON nested so deep that parsing it would hurt.

    FastAPI's own limit of bodies answers in plain text, outside of every middleware: not used.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = _refusal(scope)
        if refused is not None:
            await problem_response(Request(scope), refused)(scope, receive, send)
            return
        size = _Size(scope, self.max_body_bytes)
        depth = _Depth() if _is_json(scope) else None

        async def receive_within_limits() -> Message:
            size.check()
            message = await receive()
            if message["type"] == "http.request":
                block = message.get("body", b"")
                size.feed(block)
                if depth is not None:
                    depth.feed(block, last=not message.get("more_body", False))
            return message

        await self.app(scope, receive_within_limits, send)


def _refusal(scope: Scope) -> Problem | None:
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
        return HeadersTooLarge()
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET_BYTES:
        return TooLarge("The path and query are longer than 8 KiB")
    return None


def _is_json(scope: Scope) -> bool:
    return any(name == b"content-type" and b"json" in value for name, value in scope["headers"])


class _Size:
    """Counts the body's bytes against the limit of its route; raises `TooLarge`, at once if it is announced."""

    def __init__(self, scope: Scope, default: int) -> None:
        self._scope = scope
        self._default = default
        self._seen = 0

    def check(self) -> None:
        self._refuse_beyond(_announced(self._scope["headers"]))

    def feed(self, block: bytes) -> None:
        self._seen += len(block)
        self._refuse_beyond(self._seen)

    def _refuse_beyond(self, size: int) -> None:
        if size <= self._default:
            return
        limit = max_body_bytes_of(self._scope.get("route"), self._default)
        if size > limit:
            raise TooLarge(f"A body has {limit} bytes at most")


def _announced(headers: list[tuple[bytes, bytes]]) -> int:
    length = next((value for name, value in headers if name == b"content-length"), b"")
    return int(length) if length.isdigit() and len(length) < 20 else 0


class _Depth:
    """Counts brackets outside strings once the body is whole; raises `NestedTooDeep`."""

    _ESCAPED = re.compile(rb"\\.", re.DOTALL)
    _STRING = re.compile(rb'"[^"]*"')
    _OTHERS = bytes(set(range(256)) - set(b'"[]{}'))

    def __init__(self) -> None:
        self.body = bytearray()

    def feed(self, block: bytes, *, last: bool) -> None:
        self.body += block
        # Cheap first: a body without that many opening brackets cannot be that deep.
        if not last or self.body.count(b"[") + self.body.count(b"{") <= MAX_JSON_DEPTH:
            return
        level = 0
        for bracket in self._brackets():
            level += 1 if bracket in b"[{" else -1
            if level > MAX_JSON_DEPTH:
                raise NestedTooDeep.at("/body", NestedTooDeep.title)

    def _brackets(self) -> bytes:
        """The brackets outside strings, without looking at each string: a batch has tens of thousands.

        A bracket is in a string when the quotes before it are odd in number, and two that meet change nothing of that.
        """
        body = self._ESCAPED.sub(b"", self.body) if b"\\" in self.body else self.body
        return self._STRING.sub(b"", body.translate(None, self._OTHERS).replace(b'""', b"")).replace(b'"', b"")
