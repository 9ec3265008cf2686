"""Tokens of an external issuer, which is asked over HTTP: who comes in, as whom, and until when."""

import base64
import hmac
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import FastAPI
from jwt.algorithms import RSAAlgorithm

from app.core import clock
from app.core.db import Database
from app.core.errors import Unavailable
from app.core.settings import Settings
from app.identity import issuer as issuing
from app.identity.errors import InvalidToken
from app.main import create_app
from tests.conftest import SECRET
from tests.identity.issuing import AUDIENCE, LocalIssuer, local_issuer
from tests.identity.people import LogIn

ROLES = '{"crm-sales": "sales", "crm-analysts": "analyst", "crm-none": "no_such_role"}'
Ask = Callable[..., Any]


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    with local_issuer() as made:
        yield made


@pytest.fixture
async def app(url: str, issuer: LocalIssuer, setting: Callable[..., None]) -> AsyncIterator[FastAPI]:
    """The application, which accepts the issuer's tokens."""
    setting(oidc_issuer=issuer.url, oidc_audience=AUDIENCE, oidc_roles=ROLES)
    application = create_app(url=url, secret=SECRET)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
def ask(client: httpx.AsyncClient) -> Ask:
    async def send(token: str, path: str = "/v1/me", method: str = "GET", **options: Any) -> httpx.Response:
        return await client.request(method, path, headers={"authorization": f"Bearer {token}"}, **options)

    return send


async def test_who_comes_with_a_token_of_the_issuer_is_a_user_with_the_roles_it_names(
    ask: Ask, issuer: LocalIssuer, admin: httpx.AsyncClient
) -> None:
    came = await ask(issuer.token())
    assert came.status_code == 200, came.text
    me = came.json()
    user = (await admin.get(f"/v1/users/{me['id']}")).json()
    assert (user["username"], user["name"], user["email"]) == ("li.wei", "Li Wei", "li.wei@example.com")
    assert user["roles"] == me["roles"] == ["sales"]
    assert (await ask(issuer.token(iat=-5))).json()["id"] == me["id"], "one subject is one user"
    assert (await ask(issuer.token(sub="another"))).json()["id"] != me["id"]
    assert (await ask(issuer.token(), "/v1/customers")).status_code == 200
    assert (await ask(issuer.token(), "/v1/users")).status_code == 403
    noted = (await admin.get("/v1/audit", params={"resource": "user", "resource_id": me["id"]})).json()["items"]
    assert [each["action"] for each in noted] == ["user.provisioned"]
    assert "li.wei" not in str(noted).lower(), "personal data by reference"


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _unsigned(issuer: LocalIssuer) -> str:
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none", headers={"kid": "first"})


def _by_public_key(issuer: LocalIssuer) -> str:
    """Signed with what everybody knows, as if it were a secret; PyJWT itself refuses to."""
    key = issuer.keys["first"]
    assert isinstance(key, rsa.RSAPrivateKey)
    _, claims, _ = issuer.token().split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"first","typ":"JWT"}').decode().rstrip("=")
    signature = hmac.digest(_pem(key), f"{header}.{claims}".encode(), "sha256")
    return f"{header}.{claims}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


ATTACKER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _attackers(issuer: LocalIssuer, **headers: Any) -> str:
    """A token by the name of the issuer's key that says where else to find one."""
    return issuer.token(key=ATTACKER, headers=headers)


def altered(token: str, other: str) -> str:
    """The first token with the other's claims."""
    header, _, signature = token.split(".")
    return ".".join([header, other.split(".")[1], signature])


STRANGE: dict[str, Callable[[LocalIssuer], str]] = {
    "another audience": lambda it: it.token(aud="another"),
    "an audience among others that is not ours": lambda it: it.token(aud=["another", "third"]),
    "another issuer": lambda it: it.token(iss="https://issuer.example"),
    "an issuer with one more slash": lambda it: it.token(iss=it.url + "/"),
    "ended": lambda it: it.token(iat=-400, exp=-40),
    "issued in the future": lambda it: it.token(iat=60),
    "not yet valid": lambda it: it.token(nbf=60),
    "without an end": lambda it: it.token(exp=None),
    "without a subject": lambda it: it.token(sub=None),
    "an empty subject": lambda it: it.token(sub=""),
    "a subject too long": lambda it: it.token(sub="x" * 256),
    "without an audience": lambda it: it.token(aud=None),
    "without an instant of issue": lambda it: it.token(iat=None),
    "an end beyond all calendars": lambda it: it.token(exp=10**30),
    "another key": lambda it: it.token(key=rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    "an unknown key": lambda it: it.token(kid="unknown", key=it.keys["first"]),
    "another algorithm": lambda it: it.token(algorithm="RS512"),
    "no algorithm": _unsigned,
    "a key that it brings": lambda it: _attackers(it, jwk=json.loads(RSAAlgorithm.to_jwk(ATTACKER.public_key()))),
    "a key elsewhere": lambda it: _attackers(it, jku="https://attacker.example/keys"),
    "a certificate elsewhere": lambda it: _attackers(it, x5u="https://attacker.example/keys"),
    "an extension that must be understood": lambda it: it.token(headers={"crit": ["x"], "x": True}),
    "the public key as a secret": _by_public_key,
    "a logout token": lambda it: it.token(headers={"typ": "logout+jwt"}),
    "an altered claim": lambda it: altered(it.token(), it.token(roles=["x"])),
    "too long": lambda it: it.token(padding="x" * issuing.MAX_TOKEN_LENGTH),
}


@pytest.mark.parametrize("make", STRANGE.values(), ids=STRANGE.keys())
async def test_a_token_that_is_not_wholly_the_issuers_is_refused_and_leaves_nothing(
    ask: Ask, issuer: LocalIssuer, database: Database, make: Callable[[LocalIssuer], str]
) -> None:
    refused = await ask(make(issuer))
    assert refused.status_code == 401, refused.text
    assert refused.headers["www-authenticate"] == "Bearer"
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM user_account") == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["another", AUDIENCE]},
        {"iat": 20},
        {"iat": -400, "exp": -10},
        {"headers": {"typ": "at+jwt"}},
        {"headers": {"kid": None}},
        {"preferred_username": None, "name": None, "email": None},
        {"preferred_username": "Not a username!", "email": "not an address", "name": "x" * 300},
        {"preferred_username": 7, "name": ["x"], "email": {"x": 1}},
        {"sid": None, "jti": "one"},
        {"sid": None},
    ],
    ids=str,
)
async def test_clocks_differ_and_claims_are_left_out(ask: Ask, issuer: LocalIssuer, claims: dict[str, Any]) -> None:
    came = await ask(issuer.token(**claims))
    assert came.status_code == 200, came.text
    assert came.json()["roles"] == ["sales"]


async def test_a_curve_serves_as_well_and_a_short_key_or_a_secret_never(ask: Ask, issuer: LocalIssuer) -> None:
    issuer.keys["curve"] = ec.generate_private_key(ec.SECP256R1())
    issuer.keys["short"] = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    issuer.extra = [{"kty": "oct", "kid": "shared", "k": "c2VjcmV0LXRoYXQtaXMtc2hhcmVkLWFuZC1sb25n"}, "no key"]
    assert (await ask(issuer.token(kid="curve", algorithm="ES256"))).status_code == 200
    assert (await ask(issuer.token(kid="short"))).status_code == 401
    secret = b"secret-that-is-shared-and-long"
    assert (await ask(issuer.token(kid="shared", key=secret, algorithm="HS256"))).status_code == 401
    assert (await ask(issuer.token(kid="first", headers={"kid": None}))).status_code == 401, "which of two keys?"


async def test_nobody_comes_in_as_somebody_who_is_here_already(
    ask: Ask, issuer: LocalIssuer, admin: httpx.AsyncClient, log_in: LogIn
) -> None:
    came = await ask(issuer.token(preferred_username="admin", email="admin@example.com"))
    assert came.json()["username"].startswith("external-")
    assert came.json()["roles"] == ["sales"]
    assert came.json()["id"] != (await admin.get("/v1/me")).json()["id"]
    assert (await ask(issuer.token(sub="another"))).json()["username"] == "li.wei"
    assert (await log_in("li.wei", "any password at all")).status_code == 401, "no password of hers is known"


@pytest.mark.parametrize(
    "roles", [[], ["admin"], ["sales"], "unmapped", {"crm-sales": 1}, [7, None], ["crm-none"], None]
)
async def test_without_a_role_that_the_settings_name_nobody_is_made(
    ask: Ask, issuer: LocalIssuer, database: Database, roles: Any
) -> None:
    assert (await ask(issuer.token(roles=roles))).status_code == 403
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM external_account") == 0


async def test_roles_follow_the_newest_token_also_for_an_older_one(ask: Ask, issuer: LocalIssuer) -> None:
    older = issuer.token(iat=-20, roles=["crm-sales", "crm-analysts"], sid="a")
    assert (await ask(older)).json()["roles"] == ["analyst", "sales"]
    newer = issuer.token(iat=-10, roles="crm-sales", sid="b")
    assert (await ask(newer)).json()["roles"] == ["sales"]
    assert (await ask(older)).json()["roles"] == ["sales"], "what was taken away stays away"
    assert (await ask(issuer.token(roles=[]))).json()["roles"] == []
    assert (await ask(newer, "/v1/customers")).status_code == 403


async def test_roles_are_found_where_the_setting_says(
    url: str, issuer: LocalIssuer, setting: Callable[..., None]
) -> None:
    places: dict[str, dict[str, Any]] = {
        "realm_access.roles": {"realm_access": {"roles": ["crm-sales"]}},
        "https://company.example/roles": {"https://company.example/roles": ["crm-sales"]},
    }
    for path, claims in places.items():
        setting(oidc_roles_claim=path)
        settings = Settings(oidc_issuer=issuer.url, oidc_audience=AUDIENCE, oidc_roles={"crm-sales": "sales"})
        found = issuing.Issuer.of(settings)
        assert found is not None
        assert (await found.verify(issuer.token(roles=None, **claims))).roles == ("sales",)
        assert (await found.verify(issuer.token(roles=["crm-sales"]))).roles == ()
        await found.close()


async def test_revocation_works_at_once(ask: Ask, issuer: LocalIssuer, admin: httpx.AsyncClient) -> None:
    token, elsewhere = issuer.token(), issuer.token(sid="elsewhere")
    me = (await ask(token)).json()
    assert (await ask(elsewhere)).status_code == 200
    mine = (await ask(token, "/v1/me/sessions")).json()["items"]
    current = next(each["id"] for each in mine if each["current"])
    assert len(mine) == 2
    ended = await admin.delete(f"/v1/users/{me['id']}/sessions/{current}")
    assert ended.status_code == 204, ended.text
    assert (await ask(token)).status_code == 401
    assert (await ask(issuer.token(exp=600))).status_code == 401, "a renewed token of the same log-in"
    assert (await ask(elsewhere)).status_code == 200
    assert (await ask(elsewhere, "/v1/auth/logout", "POST")).status_code == 204
    assert (await ask(elsewhere)).status_code == 401
    again = issuer.token(sid="again")
    assert (await ask(again)).status_code == 200
    assert (await admin.delete(f"/v1/users/{me['id']}")).status_code in (200, 204)
    assert (await ask(again)).status_code == 401
    assert (await ask(issuer.token(sid="once more"))).status_code == 401


@pytest.fixture
def later_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Moves the clock on."""
    real, passed = clock.now, [timedelta()]
    monkeypatch.setattr(clock, "now", lambda: real() + passed[0])

    def move(step: timedelta) -> None:
        passed[0] += step

    return move


async def test_keys_are_asked_for_once_and_again_when_they_are_rotated_but_not_by_whoever_names_many(
    ask: Ask, issuer: LocalIssuer, later_by: Callable[[timedelta], None]
) -> None:
    for n in range(3):
        assert (await ask(issuer.token(sid=f"s{n}"))).status_code == 200
    assert issuer.asked == 1
    old = issuer.token(sid="old")
    for n in range(20):
        strange = issuer.token(kid=f"unknown-{n}", key=issuer.keys["first"])
        assert (await ask(strange)).status_code == 401
    assert issuer.asked == 1, "asked a moment ago"
    issuer.rotate("second")
    later_by(issuing.ASKED_AT_MOST_EVERY + timedelta(seconds=1))
    assert (await ask(issuer.token(sid="new", iat=-60))).status_code == 200
    assert issuer.asked == 2
    assert (await ask(old)).status_code == 401, "its key was withdrawn"


async def test_a_key_that_was_withdrawn_serves_for_an_hour_at_most(
    issuer: LocalIssuer, later_by: Callable[[timedelta], None]
) -> None:
    found = issuing.Issuer.of(_settings(issuer))
    assert found is not None
    token = issuer.token(exp=9 * 3600)
    await found.verify(token)
    issuer.rotate("second")
    later_by(issuing.KEYS_LIVE)
    with pytest.raises(InvalidToken):
        await found.verify(token)
    await found.close()


async def test_while_the_issuer_is_away_its_keys_serve_for_a_day_and_then_callers_are_told_to_wait(
    issuer: LocalIssuer, later_by: Callable[[timedelta], None]
) -> None:
    found = issuing.Issuer.of(_settings(issuer))
    assert found is not None
    issuer.status = 500
    token = issuer.token(exp=30 * 3600)
    with pytest.raises(Unavailable):
        await found.verify(token)
    issuer.status = 200
    later_by(issuing.ASKED_AT_MOST_EVERY)
    await found.verify(token)
    issuer.status = 500
    later_by(issuing.KEYS_OUTLIVE - timedelta(minutes=1))
    await found.verify(token)
    later_by(timedelta(minutes=1))
    with pytest.raises(Unavailable):
        await found.verify(token)
    await found.close()


@pytest.mark.parametrize(
    "answer",
    [
        {"document": {"issuer": "https://issuer.example"}},
        {"document": {"jwks_uri": "http://issuer.example/keys"}},
        {"document": {"jwks_uri": 7}},
        {"padding": issuing.MAX_DOCUMENT_BYTES},
        {"status": 302},
    ],
    ids=str,
)
async def test_what_the_issuer_does_not_say_itself_is_not_believed(
    ask: Ask, issuer: LocalIssuer, answer: dict[str, Any]
) -> None:
    for name, value in answer.items():
        setattr(issuer, name, value)
    refused = await ask(issuer.token())
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "60"), refused.text


def _settings(issuer: LocalIssuer, **changes: Any) -> Settings:
    return Settings(
        **{"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE, "oidc_roles": {"crm-sales": "sales"}, **changes}
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"oidc_issuer": "http://issuer.example"},
        {"oidc_issuer": "issuer.example"},
        {"oidc_audience": None},
        {"oidc_roles": {}},
        {"oidc_algorithms": ["HS256"]},
        {"oidc_algorithms": ["none"]},
        {"oidc_algorithms": []},
    ],
    ids=str,
)
def test_settings_that_would_let_in_the_wrong_people_are_refused(issuer: LocalIssuer, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"oidc|issuer"):
        _settings(issuer, **changes)
