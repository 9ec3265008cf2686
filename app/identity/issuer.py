"""An external issuer of access tokens (OpenID Connect): its document, its keys, and what its tokens claim."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.core import clock
from app.core.errors import Unavailable
from app.core.settings import LOOPBACK, Settings
from app.identity import tokens
from app.identity.errors import InvalidToken

MAX_TOKEN_LENGTH = 8192
MAX_DOCUMENT_BYTES = 256 * 1024
MAX_KEYS = 50
MAX_ROLES = 200
MIN_RSA_BITS = 2048
KEYS_LIVE = timedelta(hours=1)
KEYS_OUTLIVE = timedelta(hours=24)
ASKED_AT_MOST_EVERY = timedelta(seconds=30)
_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_TOKEN_TYPES = {"jwt", "at+jwt", "application/at+jwt"}
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ExternalClaims:
    """What a verified token of the issuer says; `session` names the log-in at the issuer, or else the token."""

    issuer: str
    subject: str
    session: str
    issued_at: datetime
    expires_at: datetime
    username: str
    name: str
    email: str | None
    roles: tuple[str, ...]


class Issuer:
    """The issuer of the settings; remembers its keys for an hour, and for a day while it is away.

    An unknown key lets it be asked again, since keys are rotated; at most once in thirty seconds, since anyone can
    name a key that is none.
    """

    def __init__(self, settings: Settings, client: httpx.AsyncClient) -> None:
        assert settings.oidc_issuer is not None
        self.url = settings.oidc_issuer
        self._settings = settings
        self._client = client
        self._keys: list[Mapping[str, Any]] = []
        self._fetched_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._asking = asyncio.Lock()

    @classmethod
    def of(cls, settings: Settings) -> "Issuer | None":
        """The issuer, if there is one by setting."""
        if settings.oidc_issuer is None:
            return None
        return cls(settings, httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=5))

    async def close(self) -> None:
        await self._client.aclose()

    def issued(self, token: str) -> bool:
        """Whether the token says that it is of this issuer; nothing is verified."""
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, RecursionError):
            return False
        return claims.get("iss") == self.url

    async def verify(self, token: str) -> ExternalClaims:
        """The token's claims. Raises `InvalidToken`, and `Unavailable` while the issuer's keys are not known."""
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kid = header.get("alg"), header.get("kid")
            if algorithm not in self._settings.oidc_algorithms or not isinstance(kid, str | None):
                raise InvalidToken
            if str(header.get("typ", "JWT")).lower() not in _TOKEN_TYPES:
                raise InvalidToken  # such as a logout token
            claims = jwt.decode(
                token,
                await self._key(kid, algorithm),
                algorithms=[algorithm],
                issuer=self.url,
                audience=self._settings.oidc_audience,
                options=tokens.requiring("iss", "aud", "exp", "iat", "sub"),
            )
            tokens.check_times(claims, leeway=self._settings.oidc_clock_skew)
            return self._read(claims)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, OSError, RecursionError) as error:
            raise InvalidToken from error

    def _read(self, claims: Mapping[str, Any]) -> ExternalClaims:
        subject = claims["sub"]
        if not 1 <= len(subject) <= 255 or "\x00" in subject:
            raise InvalidToken
        issued, expires = (datetime.fromtimestamp(int(claims[name]), UTC) for name in ("iat", "exp"))
        named = next((f"{name}:{claims[name]}" for name in ("sid", "jti") if claims.get(name)), None)
        return ExternalClaims(
            issuer=self.url,
            subject=subject,
            session=named or f"times:{claims['iat']}:{claims['exp']}",
            issued_at=issued,
            expires_at=expires + timedelta(seconds=self._settings.oidc_clock_skew),
            username=_text(claims.get("preferred_username")),
            name=_text(claims.get("name")),
            email=_text(claims.get("email")) or None,
            roles=self._roles(claims),
        )

    def _roles(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        """The roles here of the roles there: only what the settings name, so that no word of theirs is one of ours."""
        path = self._settings.oidc_roles_claim
        found: Any = claims.get(path)
        if found is None:
            found = claims
            for part in path.split("."):
                found = found.get(part) if isinstance(found, Mapping) else None
        values = found.split() if isinstance(found, str) else found if isinstance(found, list) else []
        mapping = self._settings.oidc_roles
        return tuple(
            sorted({mapping[each] for each in values[:MAX_ROLES] if isinstance(each, str) and each in mapping})
        )

    async def _key(self, kid: str | None, algorithm: str) -> jwt.PyJWK:
        if self._fetched_at is None or clock.now() - self._fetched_at >= KEYS_LIVE:
            await self._ask()
        key = self._find(kid, algorithm)
        if key is None:
            await self._ask()
            key = self._find(kid, algorithm)
        if self._fetched_at is None or clock.now() - self._fetched_at >= KEYS_OUTLIVE:
            raise Unavailable("The issuer of this token does not answer; try again in a minute", retry_after=60)
        if key is None:
            raise InvalidToken
        return key

    def _find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key of this name; without a name, the only one there is."""
        fitting = [each for each in self._keys if _fits(each, algorithm)]
        named = [each for each in fitting if each.get("kid") == kid] if kid is not None else fitting
        if len(named) != 1:
            return None
        key = jwt.PyJWK(dict(named[0]), algorithm=algorithm)
        if isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS:
            return None
        return key

    async def _ask(self) -> None:
        asked_at = self._asked_at
        async with self._asking:
            now = clock.now()
            if self._asked_at != asked_at or (asked_at is not None and now - asked_at < ASKED_AT_MOST_EVERY):
                return  # somebody asked while this one waited, or not long ago
            self._asked_at = now
            try:
                self._keys = await self._load()
                self._fetched_at = now
            except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError, KeyError, RecursionError) as error:
                log.warning("identity.issuer_did_not_answer", error=type(error).__name__)

    async def _load(self) -> list[Mapping[str, Any]]:
        document = await self._document(self.url.rstrip("/") + "/.well-known/openid-configuration")
        if document["issuer"] != self.url or not trusted(document["jwks_uri"]):
            raise ValueError("the document is of another issuer")
        keys = (await self._document(document["jwks_uri"]))["keys"]
        return [key for key in keys[:MAX_KEYS] if isinstance(key, dict)]

    async def _document(self, url: str) -> dict[str, Any]:
        body = bytearray()
        async with asyncio.timeout(5), self._client.stream("GET", url) as answer:
            if answer.status_code != 200:
                raise ValueError(f"status {answer.status_code}")
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MAX_DOCUMENT_BYTES:
                    raise ValueError("the document is too large")
        document = json.loads(body)
        if not isinstance(document, dict):
            raise TypeError("the document is no object")
        return document


def trusted(url: str) -> bool:
    """Whether what comes from the URL is what its host sent: over TLS, or from this very machine."""
    parsed = httpx.URL(url)
    return parsed.scheme == "https" or (parsed.scheme == "http" and parsed.host in LOOPBACK)


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    """Whether the key is one for verifying signatures of this algorithm; never a shared secret."""
    return (
        key.get("kty") == _KEY_TYPES.get(algorithm[:2])
        and key.get("alg", algorithm) == algorithm
        and key.get("use", "sig") == "sig"
        and "verify" in key.get("key_ops", ["verify"])
    )


def _text(value: Any) -> str:
    """The claim as one line, empty when it is none."""
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
        return ""
    return value.strip()
