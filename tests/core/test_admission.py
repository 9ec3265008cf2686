"""Requests beyond what is worked on at once: refused at once and in the words of every other refusal."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.core import telemetry
from app.core.http.admission import Admission

pytestmark = pytest.mark.asyncio


class Slow:
    """An application that answers when it is told to, having read the body."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def ask(app: Any, path: str = "/v1/customers", *, body: "asyncio.Future[bytes] | None" = None) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"" if body is None else await body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app({"type": "http", "path": path, "headers": []}, receive, send)
    return sent


async def test_one_more_than_the_limit_is_told_to_come_back() -> None:
    slow = Slow()
    app = Admission(slow, max_in_flight=3)
    before = telemetry.requests_refused._value.get()
    asked = [asyncio.create_task(ask(app)) for _ in range(3)]
    await asyncio.sleep(0)
    start, body = await asyncio.wait_for(ask(app), 1)
    assert start["status"] == 503
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert headers["retry-after"] == "1"
    assert headers["content-type"] == "application/problem+json"
    assert int(headers["content-length"]) == len(body["body"])
    said = json.loads(body["body"])
    assert set(said) == {"type", "title", "status", "detail", "instance", "errors"}
    assert said["type"] == "urn:strata:problem:unavailable"
    assert telemetry.requests_refused._value.get() == before + 1
    slow.go.set()
    assert [(await each)[0]["status"] for each in asked] == [200, 200, 200]
    assert app.in_flight == 0
    assert (await ask(app))[0]["status"] == 200


async def test_whoever_asks_after_its_health_is_answered_under_any_load() -> None:
    slow = Slow()
    app = Admission(slow, max_in_flight=1)
    asked = asyncio.create_task(ask(app))
    await asyncio.sleep(0)
    for path in ("/healthz", "/readyz", "/metrics"):
        health = asyncio.create_task(ask(app, path))
        await asyncio.sleep(0)
        slow.go.set()
        assert (await health)[0]["status"] == 200
        slow.go.clear()
    await asked


async def test_waiting_for_a_slow_client_takes_no_place() -> None:
    slow = Slow()
    app = Admission(slow, max_in_flight=1)
    slow.go.set()
    body: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    uploads = [asyncio.create_task(ask(app, body=body)) for _ in range(5)]
    await asyncio.sleep(0)
    assert (await ask(app))[0]["status"] == 200
    body.set_result(b"{}")
    assert [(await each)[0]["status"] for each in uploads] == [200] * 5
    assert app.in_flight == 0


async def test_a_failure_gives_its_place_back() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError

    app = Admission(fails, max_in_flight=1)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            await ask(app)
    assert app.in_flight == 0
