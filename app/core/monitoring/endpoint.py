"""`/healthz` and `/metrics` of a process that serves no API: the worker. Answers nothing else, and nobody for long."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from app.core import telemetry

PATIENCE = 5
"""Seconds for a request to arrive and its answer to be taken."""

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_JSON = "application/json"
_METHODS = (b"GET", b"HEAD")


@asynccontextmanager
async def endpoint(host: str, port: int | None, *, alive: Callable[[], bool]) -> AsyncIterator[None]:
    """Answer on this address for the length of the block; without a port, nothing listens.

    `/healthz` is 200 while `alive()`, else 503. Raises OSError where the address cannot be listened on.
    """
    if port is None:
        yield
        return

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_answer(head, alive))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, host, port, limit=8192)
    try:
        yield
    finally:
        server.close()


def _answer(head: bytes, alive: Callable[[], bool]) -> bytes:
    method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
    target = rest.partition(b" ")[0].partition(b"?")[0]
    if method not in _METHODS:
        status, kind, body = "405 Method Not Allowed", _JSON, b'{"status":"only GET"}'
    elif target == b"/metrics":
        status, kind, body = "200 OK", _TEXT, telemetry.exposition()
    elif target != b"/healthz":
        status, kind, body = "404 Not Found", _JSON, b'{"status":"only /healthz and /metrics are here"}'
    elif alive():
        status, kind, body = "200 OK", _JSON, b'{"status":"alive"}'
    else:
        status, kind, body = "503 Service Unavailable", _JSON, b'{"status":"ended"}'
    lines = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return lines.encode() + (b"" if method == b"HEAD" else body)
