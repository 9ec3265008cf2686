"""Clients that are too slow: cut off, while those who only wait for us, or are merely idle, are not."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from app.core.http import server
from tests.service import listening

application = FastAPI()
closed: list[str] = []


@application.get("/quick")
async def quick() -> str:
    return "here"


@application.post("/upload")
async def upload(request: Request, wait: float = 0) -> int:
    await asyncio.sleep(wait)
    return sum([len(block) async for block in request.stream()])


@application.get("/endless")
async def endless() -> StreamingResponse:
    async def blocks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            closed.append("endless")

    return StreamingResponse(blocks())


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with listening(application) as url:
        parts = urlsplit(url)
        yield str(parts.hostname), int(parts.port or 0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(server, "BODY_WINDOW", 0.5)
    monkeypatch.setattr(server, "BODY_BYTES", 1000)
    monkeypatch.setattr(server, "ANSWER_SECONDS", 0.5)


@contextmanager
def connected(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=10) as client:
        yield client


def is_cut_off(client: socket.socket, *, within: float = 5) -> bool:
    """Whether the server ends the connection without having sent anything."""
    client.settimeout(within)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize("sent", [b"", b"GET /quick HT", b"GET /quick HTTP/1.1\r\nHost: x\r\nX-Half: "])
def test_half_a_head_is_not_waited_for(address: tuple[str, int], sent: bytes) -> None:
    with connected(address) as client:
        client.sendall(sent)
        assert is_cut_off(client)


def test_a_head_that_comes_by_single_bytes_is_as_late(address: tuple[str, int]) -> None:
    with connected(address) as client:
        client.sendall(b"GET /quick HTTP/1.1\r\nX-Long: ")
        deadline = time.monotonic() + 5
        while not is_cut_off(client, within=0.05):
            assert time.monotonic() < deadline
            client.sendall(b"a")


def test_a_body_that_stops_is_not_waited_for(address: tuple[str, int]) -> None:
    with connected(address) as client:
        client.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nonly this")
        assert is_cut_off(client)


def test_a_body_that_comes_steadily_is_taken_however_long_it_lasts(address: tuple[str, int]) -> None:
    with connected(address) as client:
        client.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 8000\r\n\r\n")
        for _ in range(20):
            client.sendall(b"x" * 400)
            time.sleep(0.1)
        answer = client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        assert answer.endswith(b"8000")


def test_whoever_waits_for_us_to_read_is_not_slow(address: tuple[str, int]) -> None:
    with connected(address) as client:
        size = 4_000_000
        client.sendall(b"POST /upload?wait=3 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        client.sendall(b"x" * size)
        answer = client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        assert answer.endswith(b"%d" % size)


def test_an_answer_that_is_not_taken_ends_with_what_makes_it(address: tuple[str, int]) -> None:
    closed.clear()
    with connected(address) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        deadline = time.monotonic() + 10
        while not closed and time.monotonic() < deadline:
            time.sleep(0.05)
    assert closed == ["endless"]


def test_an_idle_connection_stays(address: tuple[str, int]) -> None:
    with connected(address) as client:
        for _ in range(2):
            client.sendall(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            time.sleep(2)


# ---- too many --------------------------------------------------------------------------------------------------------


@contextmanager
def with_places(places: int) -> Iterator[tuple[str, int]]:
    with listening(application, max_in_flight=places) as url:
        parts = urlsplit(url)
        yield str(parts.hostname), int(parts.port or 0)


def ask(client: socket.socket, request: bytes) -> bytes:
    client.sendall(request)
    client.settimeout(10)
    return client.recv(65536)


def test_beyond_the_limit_a_kept_connection_is_told_so_and_stays_useful() -> None:
    with with_places(1) as address, connected(address) as busy, connected(address) as client:
        busy.sendall(b"POST /upload?wait=2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")
        time.sleep(0.3)
        for request in (
            b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        ):
            refused = ask(client, request)
            assert refused.startswith(b"HTTP/1.1 503 "), refused
            head, _, body = refused.partition(b"\r\n\r\n")
            assert b"retry-after: 1" in head
            assert json.loads(body)["status"] == 503
        assert ask(client, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 404")  # let through
        assert busy.recv(4096).startswith(b"HTTP/1.1 200")
        assert ask(client, b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_whoever_wants_its_connection_closed_is_refused_and_closed() -> None:
    with with_places(1) as address, connected(address) as busy, connected(address) as client:
        busy.sendall(b"POST /upload?wait=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")
        time.sleep(0.3)
        assert b"connection: close" in ask(client, b"GET /quick HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.recv(1) == b""


OFFER = b"Connection: keep-alive, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"


@pytest.mark.parametrize("pause", [0, 0.05])
@pytest.mark.parametrize(
    "body", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
def test_who_offers_another_protocol_is_answered_in_this_one(
    address: tuple[str, int], body: bytes, pause: float
) -> None:
    with connected(address) as client:
        for _ in range(2):  # on one connection
            client.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\n" + OFFER + body[:-20])
            time.sleep(pause)
            client.sendall(body[-20:])
            answer = client.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            assert answer.endswith(b"\r\n\r\n5")


def test_what_follows_an_offer_is_no_request_of_its_own(address: tuple[str, int]) -> None:
    inner = b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"
    with connected(address) as client:
        head = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(inner)
        client.sendall(head + OFFER + b"\r\n" + inner)
        assert client.recv(4096).endswith(b"\r\n\r\n%d" % len(inner))
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_many_offers_at_once_are_each_answered(address: tuple[str, int]) -> None:
    many = 2000
    with connected(address) as client:
        client.sendall(many * (b"GET /quick HTTP/1.1\r\nHost: x\r\n" + OFFER + b"\r\n"))
        answers = b""
        while answers.count(b'"here"') < many:
            block = client.recv(1 << 20)
            assert block, answers[-500:]
            answers += block
        assert answers.count(b"HTTP/1.1 200") == many


def test_a_connect_is_not_answered_for_ever(address: tuple[str, int]) -> None:
    with connected(address) as client:
        client.sendall(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n")
        assert b"200" not in client.recv(4096)[:12]
