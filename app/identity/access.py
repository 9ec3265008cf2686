"""How a route says who may call it: `Depends(Requires("customers:read"))`, `Authenticated()` or `Public()`."""

import hashlib
from datetime import datetime
from uuid import UUID

from fastapi import Request
from fastapi.openapi.models import OAuth2, OAuthFlowPassword, OAuthFlows
from fastapi.security.base import SecurityBase

from app.core import clock, invalidation
from app.core.errors import Forbidden, Invalid, Unauthenticated
from app.core.http.routes import BEHALF, PRINCIPAL, READING, database_of
from app.identity import delegations, permissions
from app.identity.actor import Actor
from app.identity.authentication import authenticate

ACTOR = "strata.actor"
_BEHALF = BEHALF.encode()

_actors: invalidation.Cache[tuple[Actor, datetime]] = invalidation.Cache("identity")


class Access:
    """What a route declares about its callers. `permission` is None when none is needed."""

    permission: str | None = None


class Authenticated(Access, SecurityBase):
    """Anyone who is logged in, whatever they may do; gives the Actor."""

    scheme_name = "login"
    model = OAuth2(
        flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl="/v1/auth/token", refreshUrl="/v1/auth/refresh")),
        description="An access token, or an API key, as `Authorization: Bearer …`; an API key also as `X-API-Key: …`."
        " Whoever stands in for an absent user sends that one's id as `X-On-Behalf-Of: …` (see `/v1/delegations`)",
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


class Reads(Requires):
    """Whoever holds the permission, to read what is personal: once it is shown, the audit has `{noun}.read`."""

    def __init__(self, permission: str, noun: str) -> None:
        super().__init__(permission)
        self._noun = noun

    async def __call__(self, request: Request) -> Actor:
        actor = await super().__call__(request)
        request.scope[READING] = actor, self._noun
        return actor


class Public(Access):
    """Everyone, without logging in."""

    async def __call__(self) -> None:
        return None


async def _actor_of(request: Request) -> Actor:
    """The caller; remembered by the credential's hash, and forgotten as soon as anyone's rights change."""
    scope = request.scope
    credential, absent = _credential(scope["headers"])
    key = hashlib.sha256(b"%b\0%b" % (credential, absent)).digest()
    known = _actors.get(key)
    if known is None or known[1] <= clock.now():
        generation = _actors.generation
        database, state = database_of(request), request.app.state
        presented = credential.decode("latin-1")
        known = await authenticate(database, state.secret, presented, issuer=state.issuer)
        if absent:
            known = await delegations.stand_in(database, known[0], _user_id(absent), known[1])
        _actors.put(key, known, generation=generation)
    actor = known[0]
    scope[ACTOR] = actor
    scope[PRINCIPAL] = f"{actor.kind}:{actor.id}"
    return actor


def _credential(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """What the caller presents, and the absent user for whom the request is made, if any."""
    token = api_key = absent = b""
    for name, value in headers:
        if name == b"authorization":
            kind, _, credential = value.partition(b" ")
            if kind.lower() == b"bearer" and not token:
                token = credential.strip()
        elif name == b"x-api-key":
            api_key = value
        elif name == _BEHALF:
            absent = value
    if not (token or api_key):
        raise Unauthenticated("Send an access token or an API key as Authorization: Bearer …")
    return token or api_key, absent


def _user_id(value: bytes) -> UUID:
    try:
        return UUID(value.decode("ascii"))
    except ValueError as error:
        raise Invalid.at(f"/header/{BEHALF}", "Name the absent user by id") from error
