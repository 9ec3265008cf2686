"""Nothing is ever sent to an address that is not public, however it is written and wherever a name leads."""

import asyncio
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import httpx
import pytest

from app.core.errors import Invalid
from app.webhooks import sending
from app.webhooks.addresses import may_be_called, written
from tests.webhooks.endpoint import Endpoint, answer, endpoint

DENIED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.0.1",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "4000::1",
]
ALLOWED = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.215.14",
    "100.63.0.1",
    "100.128.0.1",
    "172.32.0.1",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "2400:3200::1",
]
# All of these are this machine, or something like it.
WRITTEN = [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://0/",
    "https://0.0.0.0/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[fe80::1]/",
    "https://[2002:7f00:1::]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://[fd00:ec2::254]/",
    "https://10.0.0.1:8443/",
    "https://127.0.0.1./",
]
NO_URLS = [
    "http://hooks.example.com/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:70/",
    "//hooks.example.com/",
    "hooks.example.com",
    "https://",
    "https:///path",
    "https://user@hooks.example.com/",
    "https://user:secret@hooks.example.com/",
    "https://a@127.0.0.1@b/",
    "https://hooks.example.com/#fragment",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:99999/",
    "https://[::1",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("address", DENIED)
def test_an_address_that_is_not_public_is_denied(address: str) -> None:
    assert not may_be_called(ip_address(address))


@pytest.mark.parametrize("address", ALLOWED)
def test_a_public_address_may_be_called(address: str) -> None:
    assert may_be_called(ip_address(address))


def test_an_address_is_known_however_it_is_written() -> None:
    ways = ("127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.1.")
    assert {str(written(each)) for each in ways} == {"127.0.0.1"}
    assert written("hooks.example.com") is None


@pytest.mark.parametrize("url", WRITTEN + NO_URLS)
async def test_such_a_url_is_refused_when_it_is_given_and_when_it_is_called(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        sending.check_url(url)
    assert refused.value.errors[0].pointer == "/body/url"
    async with sending.new_client() as client:
        outcome = await sending.send(client, url, headers={}, body=b"{}")
    assert outcome.status is None
    assert not (outcome.error or "").startswith("the connection failed")


@pytest.mark.parametrize(
    "leads_to", [["127.0.0.1"], ["::1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["fe80::1%1"]]
)
async def test_a_name_that_leads_to_such_an_address_is_refused_before_a_connection_is_made(
    setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch, leads_to: list[str]
) -> None:
    setting(webhook_http="true")
    _resolve(monkeypatch, leads_to)
    async with endpoint() as server, sending.new_client() as client:
        outcome = await sending.send(client, server.url("hooks.example.com"), headers={}, body=b"{}")
        assert outcome.error == "the name leads to an address that is not public"
        assert server.connections == 0


def _resolve(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Names lead here: the first answer the first time, and so on; the names that were asked for."""
    asked: list[str] = []

    async def resolve(_: Any, host: str, port: int, **__: Any) -> list[Any]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    return asked


async def test_the_address_that_was_checked_is_the_one_that_is_called(
    server: Endpoint, setting: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is public when it is looked at, and private a moment later, is looked at once."""
    setting(webhook_private_hosts='["hooks.example.com"]')
    asked = _resolve(monkeypatch, ["127.0.0.1"], ["192.0.2.1"])
    async with sending.new_client() as client:
        outcome = await sending.send(client, server.url("hooks.example.com"), headers={"x-a": "b"}, body=b"{}")
    assert outcome.is_success
    assert [name for name in asked if name == "hooks.example.com"] == ["hooks.example.com"]
    assert server.received[0].headers["host"] == f"hooks.example.com:{server.port}"
    assert server.received[0].line == "POST /hook?a=b HTTP/1.1"


async def test_a_redirect_is_not_followed(server: Endpoint) -> None:
    async with endpoint() as other, sending.new_client() as client:
        for status in (301, 302, 303, 307, 308):
            server.says = lambda _, status=status: answer(status, f"Location: {other.url()}")  # type: ignore[misc]
            outcome = await sending.send(client, server.url(), headers={}, body=b"{}")
            assert (outcome.status, outcome.is_success) == (status, False)
        assert other.connections == 0


async def test_a_proxy_of_the_environment_is_not_used(server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    async with endpoint() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        async with sending.new_client() as client:
            assert (await sending.send(client, server.url(), headers={}, body=b"{}")).is_success
        assert proxy.connections == 0


async def test_an_answer_without_end_is_cut_short(server: Endpoint) -> None:
    server.says = lambda _: b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 50_000_000
    async with sending.new_client() as client:
        outcome = await sending.send(client, server.url(), headers={}, body=b"{}")
    assert outcome.is_success


async def test_who_does_not_answer_in_time_has_failed(server: Endpoint, setting: Callable[..., None]) -> None:
    setting(webhook_timeout="0.2")
    server.hangs = 30
    async with sending.new_client() as client:
        outcome = await sending.send(client, server.url(), headers={}, body=b"{}")
    assert outcome.error == "no answer within 0.2 seconds"


@pytest.mark.parametrize(
    "nonsense", [b"", b"\x00" * 100, b"HTTP/1.1 999999 x\r\n\r\n", b"HTTP/1.1 200 x\r\nA: " + b"x" * 300_000]
)
async def test_an_answer_that_is_none_is_a_failure(server: Endpoint, nonsense: bytes) -> None:
    server.says = lambda _: nonsense
    async with sending.new_client() as client:
        outcome = await sending.send(client, server.url(), headers={}, body=b"{}")
    assert not outcome.is_success
    assert (outcome.error or "").startswith("the connection failed")


async def test_http_is_for_development_only(setting: Callable[..., None]) -> None:
    setting(webhook_private_hosts='["localhost"]')
    async with endpoint() as server, sending.new_client() as client:
        outcome = await sending.send(client, server.url(), headers={}, body=b"{}")
        assert (outcome.error, server.connections) == ("the URL must begin with https://", 0)


async def test_nobody_listens(local: None) -> None:
    async with endpoint() as gone:
        url = gone.url()
    async with sending.new_client() as client:
        outcome = await sending.send(client, url, headers={}, body=b"{}")
    assert outcome.error == f"the connection failed: {httpx.ConnectError.__name__}"
