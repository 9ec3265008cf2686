"""One request to an endpoint of somebody else's, who may mean harm: where it leads is checked at the last moment.

The host's name is resolved here, every address that it has must be a public one, and the connection goes to the
address that was checked: nobody resolves the name a second time. TLS and `Host` keep the name. Redirects are not
followed, proxies of the environment not used, and of the answer only the status counts, and when to come again.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

import httpx

from app.core.errors import Invalid
from app.core.settings import get_settings
from app.webhooks.addresses import Address, may_be_called, written

MAX_ANSWER = 64 * 1024
_POINTER = "/body/url"
_PORTS = {None, *range(1, 65536)}


class Refused(Exception):
    """The endpoint may not be called; nothing was sent, no connection made."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the status of the answer, or why there is none; when to come again, as the endpoint wrote it."""

    status: int | None
    error: str | None
    retry_after: str | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def check_url(url: str) -> None:
    """Raises `Invalid` for an endpoint that can be told to be none from its URL alone."""
    try:
        _target(url)
    except Refused as refusal:
        raise Invalid.at(_POINTER, str(refusal)) from refusal


async def send(client: httpx.AsyncClient, url: str, *, headers: Mapping[str, str], body: bytes) -> Outcome:
    """POST to the endpoint; whatever happens is an outcome."""
    try:
        async with asyncio.timeout(get_settings().webhook_timeout):
            return await _send(client, url, headers, body)
    except Refused as refusal:
        return Outcome(None, str(refusal))
    except TimeoutError:
        return Outcome(None, f"no answer within {get_settings().webhook_timeout:g} seconds")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return Outcome(None, f"the connection failed: {type(error).__name__}")


def new_client() -> httpx.AsyncClient:
    """A client that keeps no connection: the next one may be of another name at the same address."""
    return httpx.AsyncClient(
        verify=_trusted(),
        trust_env=False,
        follow_redirects=False,
        timeout=get_settings().webhook_timeout,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
    )


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    return httpx.create_ssl_context()


async def _send(client: httpx.AsyncClient, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
    target = _target(url)
    found = await _addresses(target)
    failed: httpx.ConnectError | None = None
    for address in found[:2]:
        try:
            return await _send_to(client, target, address, headers, body)
        except httpx.ConnectError as error:
            failed = error
    raise failed or httpx.ConnectError("the name has no address")


async def _send_to(
    client: httpx.AsyncClient, target: httpx.URL, address: Address, headers: Mapping[str, str], body: bytes
) -> Outcome:
    request = client.build_request(
        "POST",
        target.copy_with(host=str(address)),
        content=body,
        headers={**headers, "host": target.netloc.decode("ascii"), "content-type": "application/json"},
        extensions={} if written(target.host) else {"sni_hostname": target.raw_host.decode("ascii")},
    )
    answer = await client.send(request, stream=True)
    try:
        size = 0
        async for block in answer.aiter_raw():
            size += len(block)
            if size > MAX_ANSWER:
                break
    finally:
        await answer.aclose()
    error = None if answer.is_success else f"the endpoint answered {answer.status_code}"
    return Outcome(answer.status_code, error, answer.headers.get("retry-after"))


def _target(url: str) -> httpx.URL:
    """The URL, as far as it can be judged without looking anything up. Raises `Refused`."""
    settings = get_settings()
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise Refused("this is not a URL") from error
    if target.scheme != "https" and not (target.scheme == "http" and settings.webhook_http):
        raise Refused("the URL must begin with https://")
    if not target.host or target.userinfo or target.fragment or target.port not in _PORTS:
        raise Refused("the URL needs a host, and has neither a user nor a fragment")
    literal = written(target.host)
    if literal is not None and not may_be_called(literal) and not _is_named(target):
        raise Refused("the URL leads to an address that is not public")
    return target


async def _addresses(target: httpx.URL) -> list[Address]:
    """Where the name leads, each address checked. Raises `Refused` when one of them is not public."""
    port = target.port or (443 if target.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.raw_host.decode("ascii"), port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(ip_address(entry[4][0]) for entry in found))
    if not _is_named(target) and not all(may_be_called(each) for each in addresses):
        raise Refused("the name leads to an address that is not public")
    return addresses


def _is_named(target: httpx.URL) -> bool:
    """Whether the operator allows this host by its name, wherever it is."""
    return target.host.rstrip(".") in get_settings().webhook_private_hosts
