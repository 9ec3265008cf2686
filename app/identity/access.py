"""How a route says who may call it: `Depends(Requires("customers:read"))`, `Authenticated()` or `Public()`."""

import hashlib
from datetime import datetime

from fastapi import Request
from fastapi.openapi.models import OAuth2, OAuthFlowPassword, OAuthFlows
from fastapi.security.base import SecurityBase

from app.core import clock, invalidation
from app.core.errors import Forbidden, Unauthenticated
from app.core.http.routes import PRINCIPAL, database_of
from app.identity import permissions
from app.identity.actor import Actor
from app.identity.authentication import authenticate

ACTOR = "strata.actor"

_actors: invalidation.Cache[tuple[Actor, datetime]] = invalidation.Cache("identity")


class Access:
    """What a route declares about its callers. `permission` is None when none is needed."""

    permission: str | None = None


class Authenticated(Access, SecurityBase):
    """Anyone who is logged in, whatever they may do; gives the Actor."""

    scheme_name = "login"
    model = OAuth2(
        flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl="/v1/auth/token", refreshUrl="/v1/auth/refresh")),
        description="An access token, or an API key, as `Authorization: Bearer …`; an API key also as `X-API-Key: …`",
    )

    async def __call__(self, request: Request) -> Actor:
        return await _actor_of(request)


class Requires(Authenticated):
    """Whoever holds the permission, whatever its scope; gives the Actor. Declares the permission's name."""

    permission: str

    def __init__(self, permission: str) -> None:
        self.permission = permissions.declare(permission)

    async def __call__(self, request: Request) -> Actor:
        actor = await _actor_of(request)
        if not actor.may(self.permission):
            raise Forbidden(f"This needs the permission {self.permission}")
        return actor


class Public(Access):
    """Everyone, without logging in."""

    async def __call__(self) -> None:
        return None


async def _actor_of(request: Request) -> Actor:
    """The caller; remembered by the credential's hash, and forgotten as soon as anyone's rights change."""
    scope = request.scope
    credential = _credential(scope["headers"])
    key = hashlib.sha256(credential).digest()
    known = _actors.get(key)
    if known is None or known[1] <= clock.now():
        generation = _actors.generation
        state = request.app.state
        known = await authenticate(database_of(request), state.secret, credential.decode("latin-1"))
        _actors.put(key, known, generation=generation)
    actor = known[0]
    scope[ACTOR] = actor
    scope[PRINCIPAL] = f"{actor.kind}:{actor.id}"
    return actor


def _credential(headers: list[tuple[bytes, bytes]]) -> bytes:
    api_key = b""
    for name, value in headers:
        if name == b"authorization":
            kind, _, credential = value.partition(b" ")
            if kind.lower() == b"bearer" and credential:
                return credential.strip()
        elif name == b"x-api-key":
            api_key = value
    if not api_key:
        raise Unauthenticated("Send an access token or an API key as Authorization: Bearer …")
    return api_key
