"""Tokens: signed access tokens that live for minutes, opaque refresh tokens and API keys kept as hashes."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import jwt
from jwt.types import Options

from app.core import clock
from app.identity.errors import InvalidToken

ISSUER = "strata"
AUDIENCE = "strata-api"
ALGORITHM = "HS256"
KEY_MARK = "strata_"
MAX_CREDENTIAL_LENGTH = 2048


def requiring(*claims: str) -> Options:
    """Options for PyJWT: these claims; their times are left to `check_times`, since PyJWT asks a clock of its own."""
    return {"require": list(claims), "verify_exp": False, "verify_iat": False, "verify_nbf": False}


_OPTIONS = requiring("iss", "aud", "exp", "iat", "sub", "sid", "typ")


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a verified access token says."""

    user_id: UUID
    session_id: UUID
    expires_at: datetime


def issue_access_token(secret: str, *, user_id: UUID, session_id: UUID, lifetime: timedelta) -> str:
    """A signed token that speaks for the user until it expires or its session is revoked."""
    issued = clock.now()
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "typ": "access",
        "sub": str(user_id),
        "sid": str(session_id),
        "iat": issued,
        "exp": issued + lifetime,
    }
    return jwt.encode(claims, derived_key(secret, "access token"), algorithm=ALGORITHM)


def read_access_token(secret: str, token: str) -> AccessClaims:
    """The token's claims; raises `InvalidToken` for anything but an unexpired access token of ours."""
    try:
        claims = jwt.decode(
            token,
            derived_key(secret, "access token"),
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=AUDIENCE,
            options=_OPTIONS,
        )
        check_times(claims)
        if claims["typ"] != "access":
            raise InvalidToken
        return AccessClaims(UUID(claims["sub"]), UUID(claims["sid"]), datetime.fromtimestamp(claims["exp"], UTC))
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise InvalidToken from error


def check_times(claims: Mapping[str, Any], *, leeway: int = 0) -> None:
    """Raises `InvalidToken` for a token that is not valid yet or no more, by clocks that differ by `leeway` seconds."""
    now = clock.now().timestamp()
    try:
        ends, begins = int(claims["exp"]), [int(claims[name]) for name in ("iat", "nbf") if name in claims]
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidToken from error
    if ends <= now - leeway or any(each > now + leeway for each in begins):
        raise InvalidToken


def new_refresh_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def new_api_key() -> tuple[str, str]:
    """A key's public prefix and the whole key, which nobody sees a second time."""
    prefix = secrets.token_hex(6)
    return prefix, new_secret_of(prefix)


def new_secret_of(prefix: str) -> str:
    """A whole key with this prefix, new but for that."""
    return f"{KEY_MARK}{prefix}_{secrets.token_urlsafe(32)}"


def prefix_of(key: str) -> str:
    """The public part of an API key; raises `InvalidToken` when it has none."""
    prefix, separator, rest = key.removeprefix(KEY_MARK).partition("_")
    if not (separator and rest and len(prefix) == 12 and prefix.isascii() and prefix.isalnum()):
        raise InvalidToken
    return prefix


def fingerprint(token: str) -> str:
    """What is stored of a random token: it has too many bits to be guessed, so a fast hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


@lru_cache(maxsize=16)
def derived_key(secret: str, label: str) -> bytes:
    """A key for one purpose only, by HKDF-SHA256 (RFC 5869), one block."""
    extracted = hmac.new(b"strata", secret.encode(), hashlib.sha256).digest()
    return hmac.new(extracted, label.encode() + b"\x01", hashlib.sha256).digest()
