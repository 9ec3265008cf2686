"""A small issuer of tokens on this machine, spoken to over HTTP as any other."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import FastAPI, Response

from app.core import clock
from tests.service import listening

AUDIENCE = "strata-test"
TIMES = {"iat", "exp", "nbf"}
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass
class LocalIssuer:
    """The issuer: its keys by name, what it answers, and how often it was asked for its keys."""

    url: str = ""
    keys: dict[str, Key] = field(default_factory=dict)
    extra: list[Any] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    padding: int = 0
    asked: int = 0

    def rotate(self, kid: str, *, keep: bool = False) -> None:
        """Sign with a new key from now on."""
        if not keep:
            self.keys.clear()
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token(
        self,
        *,
        kid: str | None = None,
        key: Any = None,
        headers: dict[str, Any] | None = None,
        algorithm: str = "RS256",
        **claims: Any,
    ) -> str:
        """A token as a service would send it; instants are seconds from now, None is left out."""
        now = int(clock.now().timestamp())
        content: dict[str, Any] = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "a-subject",
            "iat": 0,
            "exp": 300,
            "sid": "a-login",
            "preferred_username": "Li.Wei",
            "name": "Li Wei",
            "email": "li.wei@example.com",
            "roles": ["crm-sales"],
        } | claims
        instants = {name: now + content[name] for name in TIMES & content.keys() if content[name] is not None}
        content = {name: value for name, value in {**content, **instants}.items() if value is not None}
        kid = kid or next(reversed(self.keys))
        sent = {"kid": kid, **(headers or {})}
        sent = {name: value for name, value in sent.items() if value is not None}
        return jwt.encode(content, key or self.keys[kid], algorithm=algorithm, headers=sent)

    def application(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        def configuration() -> Response:
            found = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.document}
            return Response(json.dumps(found), self.status, media_type="application/json")

        @app.get("/keys")
        def keys() -> Response:
            self.asked += 1
            found = [public(kid, key) for kid, key in self.keys.items()]
            return Response(json.dumps({"keys": [*self.extra, *found], "x": "x" * self.padding}), self.status)

        return app


def public(kid: str, key: Key) -> dict[str, Any]:
    """The public part, as it is published."""
    if isinstance(key, rsa.RSAPrivateKey):
        return {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}
    return {**jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}


@contextmanager
def local_issuer() -> Iterator[LocalIssuer]:
    made = LocalIssuer()
    made.rotate("first")
    with listening(made.application()) as made.url:
        yield made
