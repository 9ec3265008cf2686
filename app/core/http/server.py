"""The HTTP server: uvicorn, but for clients that are too slow, requests that are too many, and leaving under load.

uvicorn waits for ever for the rest of a request it has begun to read and for a client that does not read its answer;
each would keep a connection, and what a connection holds, for as long as somebody likes. Requests beyond the limit are
refused here as soon as their head is read, which costs a fraction of what refusing them in the application would.
"""

import signal
import socket
import time
from types import FrameType
from typing import Any

import httptools
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.core.http.admission import Admission

HEAD_SECONDS = 10
"""What a client has to send a request's line and headers, or to begin with one."""
BODY_WINDOW = 20
BODY_BYTES = 10_000
"""The least that a body brings in a window of that many seconds: 500 bytes a second."""
ANSWER_SECONDS = 30
"""What a client has to take the next part of an answer, some 64 KiB."""
LISTENERS = 16
"""libuv takes one connection of a listening socket each time round its loop: under load some dozens a second, so that
connecting takes longer than being answered. Hence the one socket is listened to under several numbers."""


_OF_UPGRADES = (b"upgrade", b"http2-settings")


class Config(uvicorn.Config):
    """Uvicorn's, how many requests are let in, and whether the server is leaving."""

    def __init__(self, admission: Admission, **options: Any) -> None:
        super().__init__(admission, **options)
        self.admission = admission
        self.draining = False


class _Parser:
    """httptools' parser, for a server that stays with HTTP/1.1 whatever else it is offered.

    With `Upgrade` in a head, as Java's client offers HTTP/2, httptools takes what follows for another protocol: the
    body would be missing, and be read as the next request.
    """

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._parser = self._new()

    def _new(self) -> httptools.HttpRequestParser:
        made = httptools.HttpRequestParser(self._connection)
        made.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        return made

    def feed_data(self, data: bytes) -> None:
        rest = memoryview(data)
        while True:
            try:
                self._parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as offer:
                if not self.offers_upgrade():
                    raise
                rest = rest[offer.args[0] :]
            head = self._head_without_offer()
            self._parser = self._new()
            self._parser.feed_data(head)

    def offers_upgrade(self) -> bool:
        """Whether the head that was just read offers another protocol; what follows a CONNECT is one indeed."""
        return self._parser.should_upgrade() and self._parser.get_method() != b"CONNECT"

    def _head_without_offer(self) -> bytes:
        lines = [b"%s %s HTTP/1.1" % (self._parser.get_method(), self._connection.url)]
        for name, value in self._connection.headers:
            if name == b"connection":
                kept = [each for each in value.split(b",") if each.strip().lower() not in _OF_UPGRADES]
                lines.append(b"connection: " + b",".join(kept))
            elif name not in _OF_UPGRADES:
                lines.append(b"%s: %s" % (name, value))
        return b"\r\n".join([*lines, b"", b""])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)


class Connection(HttpToolsProtocol):
    """A connection that can be asked whether its client keeps up. Instants in seconds of the monotonic clock."""

    config: Config

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._parser = _Parser(self)
        self.parser = self._parser  # type: ignore[assignment]  # it does all that is asked of one
        self._received = 0
        self._window = (0.0, 0)
        # Since when the rest of a head, or of a body, is missing; since when an answer is not taken.
        self._head_since: float | None = time.monotonic()
        self._body_since: float | None = None
        self._stuck_since: float | None = None
        self._refuses = False

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._head_since = time.monotonic()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._parser.offers_upgrade():
            return  # the same head comes again, without the offer
        self._body_since, self._head_since = self._head_since, None
        self._window = (time.monotonic(), self._received)
        # Who sends the next request before the answer to the last is there gets its refusal in turn, from within.
        is_first = self.cycle is None or self.cycle.response_complete
        self._refuses = is_first and self.config.admission.refuses(self.url)
        if self._refuses:
            return
        super().on_headers_complete()
        if self.config.draining:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        if not self._refuses:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._parser.offers_upgrade():
            return
        self._body_since = None
        if not self._refuses:
            super().on_message_complete()
            return
        closes = self.config.draining or not self.parser.should_keep_alive()
        self.transport.write(self.config.admission.refusal(closes=closes))
        if closes:
            self.transport.close()
        else:
            self.on_response_complete()

    def pause_writing(self) -> None:
        self._stuck_since = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stuck_since = None
        super().resume_writing()

    def drain(self) -> None:
        """Close with the answer that is being made; an idle connection, with its next."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def cut_off_if_slow(self, now: float) -> None:
        """Abort the connection when its client lags behind."""
        if self._is_slow(now) and not self.transport.is_closing():
            self.transport.abort()

    def _is_slow(self, now: float) -> bool:
        if self._stuck_since is not None:
            return now - self._stuck_since > ANSWER_SECONDS
        if self._head_since is not None:
            return now - self._head_since > HEAD_SECONDS
        return self._body_since is not None and self._lags(now)

    def _lags(self, now: float) -> bool:
        since, received = self._window
        if now - since <= BODY_WINDOW and not self.flow.read_paused:
            return False
        self._window = (now, self._received)
        # While it is us who do not read, nobody lags.
        return not self.flow.read_paused and self._received - received < BODY_BYTES


class Server(uvicorn.Server):
    """Told to end by SIGTERM, says for `drain_seconds` that it is not ready and goes on answering; then it ends.

    Whoever spreads requests over several servers takes it out meanwhile: no request is lost.
    """

    config: Config

    def __init__(self, config: Config, app: FastAPI, *, drain_seconds: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_seconds = drain_seconds
        self._drained_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if sockets is None:
            bound = self.config.bind_socket()
            sockets = [bound, *(bound.dup() for _ in range(LISTENERS - 1))]
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGTERM or self._drain_seconds == 0 or self._drained_at is not None:
            super().handle_exit(sig, frame)
            return
        self._captured_signals.append(sig)
        self._drained_at = time.monotonic() + self._drain_seconds
        self.config.draining = self._app.state.draining = True
        for connection in self._connections():
            connection.drain()

    async def on_tick(self, counter: int) -> bool:
        now = time.monotonic()
        if counter % 10 == 0:
            for connection in self._connections():
                connection.cut_off_if_slow(now)
        if self._drained_at is not None and now >= self._drained_at:
            self.should_exit = True
        return await super().on_tick(counter)

    def _connections(self) -> list[Connection]:
        return [each for each in self.server_state.connections if isinstance(each, Connection)]


def server(app: FastAPI, *, host: str, port: int, max_in_flight: int = 32, drain_seconds: float = 0) -> Server:
    """The server of this application on an address."""
    config = Config(
        Admission(app, max_in_flight=max_in_flight),
        host=host,
        port=port,
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=20,
    )
    return Server(config, app, drain_seconds=drain_seconds)
