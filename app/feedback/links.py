"""Links by which a customer answers without logging in: whose, for which invitation, until when, and a seal on it.

A link says everything that must be known to refuse it, so a forged one costs no look-up.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from app.core.errors import NotFound, Problem
from app.identity.tokens import derived_key

MAX_LENGTH = 200
_SEAL = 16
_CLAIMS = struct.Struct(">16s16sQ")


class BadLink(NotFound):
    type = "bad-link"
    title = "This link is not one of ours, or was not copied whole"


class ExpiredLink(Problem):
    status = 410
    type = "expired-link"
    title = "This link has expired"


class Link(NamedTuple):
    """What a link says; it expires at a whole second."""

    customer_id: UUID
    invitation_id: UUID
    expires_at: datetime


def sealed(secret: str, link: Link) -> str:
    """The link as it stands in an address."""
    claims = _CLAIMS.pack(link.customer_id.bytes, link.invitation_id.bytes, int(link.expires_at.timestamp()))
    return base64.urlsafe_b64encode(_seal(secret, claims) + claims).decode().rstrip("=")


def read(secret: str, token: str, now: datetime) -> Link:
    """What the link says. Raises `BadLink` for any that we did not make, `ExpiredLink` when its time is over."""
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadLink from error
    seal, claims = data[:_SEAL], data[_SEAL:]
    # One spelling of each link: base64 has several for the same bytes.
    whole = len(claims) == _CLAIMS.size and base64.urlsafe_b64encode(data).decode().rstrip("=") == token
    if not whole or not hmac.compare_digest(seal, _seal(secret, claims)):
        raise BadLink
    customer_id, invitation_id, expires = _CLAIMS.unpack(claims)
    link = Link(UUID(bytes=customer_id), UUID(bytes=invitation_id), datetime.fromtimestamp(expires, UTC))
    if now >= link.expires_at:
        raise ExpiredLink
    return link


def _seal(secret: str, claims: bytes) -> bytes:
    return hmac.new(derived_key(secret, "survey link"), claims, hashlib.sha256).digest()[:_SEAL]
