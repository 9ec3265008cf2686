"""How many requests are worked on at once: one more is told to come back, instead of waiting with the rest.

A server that takes everything in answers nothing in time. Refusing costs a tenth of answering, so that under several
times the load it can carry, it goes on carrying nearly all it can.
"""

import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import telemetry
from app.core.errors import Unavailable

_UNLIMITED = frozenset({"/healthz", "/readyz", "/metrics"})
_UNLIMITED_TARGETS = frozenset(path.encode() for path in _UNLIMITED)
_REFUSED = Unavailable("Too many requests are under way; try again in a moment")
_BODY = json.dumps(
    {
        "type": f"urn:strata:problem:{_REFUSED.type}",
        "title": _REFUSED.title,
        "status": _REFUSED.status,
        "detail": _REFUSED.detail,
        "instance": "urn:strata:request:",
        "errors": [],
    }
).encode()
_HEADERS = {
    "content-type": "application/problem+json",
    "content-length": str(len(_BODY)),
    **{name.lower(): value for name, value in _REFUSED.headers.items()},
}
_RAW_HEADERS = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
_HEAD = "".join(f"{name}: {value}\r\n" for name, value in _HEADERS.items())


class Admission:
    """Refuses requests while `max_in_flight` are worked on. Waiting for a client, to send or to read, is no work."""

    def __init__(self, app: ASGIApp, *, max_in_flight: int) -> None:
        self.app = app
        self.max_in_flight = max_in_flight
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _UNLIMITED:
            await self.app(scope, receive, send)
        elif self.in_flight >= self.max_in_flight:
            telemetry.requests_refused.inc()
            await send({"type": "http.response.start", "status": _REFUSED.status, "headers": _RAW_HEADERS})
            await send({"type": "http.response.body", "body": _BODY})
        else:
            await self._admit(scope, receive, send)

    def refuses(self, target: bytes) -> bool:
        """Whether a request for this target would be refused now."""
        return self.in_flight >= self.max_in_flight and target not in _UNLIMITED_TARGETS

    def refusal(self, *, closes: bool) -> bytes:
        """The refusal as it is sent, for whoever refuses without the application."""
        telemetry.requests_refused.inc()
        connection = "connection: close\r\n" if closes else ""
        return f"HTTP/1.1 503 Service Unavailable\r\n{_HEAD}{connection}\r\n".encode() + _BODY

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:

        is_whole = False

        async def receive_without_hurry() -> Message:
            nonlocal is_whole
            if is_whole:  # who listens now waits for the client to leave, and works meanwhile
                return await receive()
            self.in_flight -= 1
            try:
                message = await receive()
            finally:
                self.in_flight += 1
            is_whole = not message.get("more_body", False)
            return message

        async def send_without_hurry(message: Message) -> None:
            self.in_flight -= 1
            try:
                await send(message)
            finally:
                self.in_flight += 1

        self.in_flight += 1
        try:
            await self.app(scope, receive_without_hurry, send_without_hurry)
        finally:
            self.in_flight -= 1
