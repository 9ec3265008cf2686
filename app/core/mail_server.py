"""Which server sends e-mail, and who it is from: read from settings. Pure.

A password never travels in the clear: `smtp://` asks for STARTTLS and gives up on a server without it, unless the URL
ends with `?tls=off`, which a password allows on this machine only.
"""

from dataclasses import dataclass
from email.headerregistry import Address
from email.utils import parseaddr
from typing import Literal
from urllib.parse import unquote, urlsplit

from email_validator import EmailNotValidError, validate_email

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LOOKS = "looks like smtp://user:password@host:587, or smtps://, or smtp://host:25?tls=off"
_PORTS = {"starttls": 587, "implicit": 465, "off": 25}


@dataclass(frozen=True, slots=True, repr=False)
class MailServer:
    """Where it is, how it is encrypted, and as whom to log in."""

    host: str
    port: int
    tls: Literal["starttls", "implicit", "off"]
    username: str | None
    password: str | None


def of(url: str) -> MailServer:
    """The server of a URL. Raises `ValueError`, which quotes nothing of it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"the server {_LOOKS}") from None
    known = parts.scheme in ("smtp", "smtps") and parts.query in ("", "tls=off") and parts.path in ("", "/")
    if not (known and parts.hostname) or parts.fragment or port == 0:
        raise ValueError(f"the server {_LOOKS}")
    if parts.scheme == "smtps" and parts.query:
        raise ValueError("smtps:// without TLS there is none: write smtp://")
    tls: Literal["starttls", "implicit", "off"] = "off" if parts.query else "starttls"
    tls = "implicit" if parts.scheme == "smtps" else tls
    if (parts.username is None) != (parts.password is None):
        raise ValueError("a user needs a password, and a password a user")
    if parts.password and tls == "off" and parts.hostname not in LOOPBACK:
        raise ValueError("a password is not sent without TLS: leave ?tls=off out")
    user, word = (None if each is None else unquote(each) for each in (parts.username, parts.password))
    return MailServer(parts.hostname, port or _PORTS[tls], tls, user, word)


def sender(written: str) -> Address:
    """Who e-mail is from. Raises `ValueError`."""
    name, address = parseaddr(written)
    try:
        spec = validate_email(address, check_deliverability=False, allow_empty_local=False).ascii_email
    except EmailNotValidError:
        spec = None
    if spec is None or not written.isprintable():
        raise ValueError("the sender of e-mail looks like Acme <service@acme.example>")
    return Address(name, addr_spec=spec)
