import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from app.core import clock
from app.identity import passwords, tokens
from app.identity.errors import InvalidToken
from app.identity.throttling import Attempt

SECRET = "a secret of more than thirty-two characters"
SIGNING_KEY = tokens.derived_key(SECRET, "access token")


def claims(**changes: Any) -> dict[str, Any]:
    now = clock.now()
    good = {
        "iss": tokens.ISSUER,
        "aud": tokens.AUDIENCE,
        "typ": "access",
        "sub": str(uuid4()),
        "sid": str(uuid4()),
        "iat": now,
        "exp": now + timedelta(minutes=1),
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(
    content: dict[str, Any],
    *,
    key: bytes | None = None,
    algorithm: str = "HS256",
    headers: dict[str, Any] | None = None,
) -> str:
    return jwt.encode(content, key or SIGNING_KEY, algorithm=algorithm, headers=headers)


ATTACKER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ATTACKERS_KEYS = "https://attacker.example/keys"


def attackers(**headers: Any) -> str:
    """A token that brings, or says where to get, the key that it is signed with."""
    return jwt.encode(claims(), ATTACKER, algorithm="RS256", headers=headers)


def test_an_access_token_says_who_and_which_session() -> None:
    user_id, session_id = uuid4(), uuid4()
    token = tokens.issue_access_token(SECRET, user_id=user_id, session_id=session_id, lifetime=timedelta(minutes=15))
    read = tokens.read_access_token(SECRET, token)
    assert (read.user_id, read.session_id) == (user_id, session_id)
    assert timedelta(minutes=14) < read.expires_at - clock.now() <= timedelta(minutes=15)


def test_the_claims_of_these_tests_are_good_ones() -> None:
    assert tokens.read_access_token(SECRET, signed(claims()))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody else"},
        {"aud": "another service"},
        {"typ": "refresh"},
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"sub": "not an id"},
        *({name: None} for name in ("iss", "aud", "typ", "sub", "sid", "iat", "exp")),
    ],
    ids=str,
)
def test_a_token_with_another_claim_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        tokens.read_access_token(SECRET, signed(claims(**changes)))


@pytest.mark.parametrize(
    ("begins", "ends", "leeway", "good"),
    [
        (0, 1, 0, True),
        (0, 0, 0, False),
        (1, 60, 0, False),
        (1, 60, 1, True),
        (-60, 0, 1, True),
        (-60, -1, 1, False),
    ],
)
@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_a_token_is_good_by_the_one_clock_from_its_first_second_to_its_last(
    monkeypatch: pytest.MonkeyPatch, name: str, begins: int, ends: int, leeway: int, good: bool
) -> None:
    now = datetime(2031, 5, 6, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    at = {"iat": now, name: now + timedelta(seconds=begins), "exp": now + timedelta(seconds=ends)}
    times = {each: int(instant.timestamp()) for each, instant in at.items()}
    with nullcontext() if good else pytest.raises(InvalidToken):
        tokens.check_times(times, leeway=leeway)
    if leeway == 0:
        with nullcontext() if good else pytest.raises(InvalidToken):
            tokens.read_access_token(SECRET, signed(claims(**at)))


@pytest.mark.parametrize("value", [None, "soon", float("inf"), float("nan"), [1], {}])
@pytest.mark.parametrize("name", ["iat", "nbf", "exp"])
def test_an_instant_that_is_none_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidToken):
        tokens.check_times({"iat": 0, "exp": 10**11, name: value})


FOREIGN: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "one part": lambda: "x",
    "three parts": lambda: "a.b.c",
    "another key": lambda: signed(claims(), key=b"k" * 32),
    "another algorithm": lambda: signed(claims(), key=SIGNING_KEY * 2, algorithm="HS384"),
    "no algorithm": lambda: jwt.encode(claims(), "", algorithm="none"),
    "an altered signature": lambda: signed(claims())[:-4] + "AAAA",
    "a key that it brings": lambda: attackers(jwk=json.loads(RSAAlgorithm.to_jwk(ATTACKER.public_key()))),
    "a key elsewhere": lambda: attackers(jku=ATTACKERS_KEYS, kid="1"),
    "a certificate elsewhere": lambda: attackers(x5u=ATTACKERS_KEYS),
    "a key of the file system": lambda: signed(claims(), key=b"k" * 32, headers={"kid": "../../../dev/null"}),
    "an extension that must be understood": lambda: signed(claims(), headers={"crit": ["x"], "x": True}),
    "a megabyte": lambda: signed(claims(padding="x" * 2**20), key=b"k" * 32),
    "a deep header": lambda: "W" * 2000 + ".e30.AA",
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_or_altered_token_is_refused(make: Callable[[], str]) -> None:
    with pytest.raises(InvalidToken):
        tokens.read_access_token(SECRET, make())


def test_an_api_key_is_found_by_its_prefix() -> None:
    prefix, key = tokens.new_api_key()
    assert tokens.prefix_of(key) == prefix
    assert prefix not in tokens.fingerprint(key)


@pytest.mark.parametrize("key", ["strata_", "strata_short_x", "strata_0123456789ab", "strata_0123456789ab_"])
def test_what_is_no_api_key_has_no_prefix(key: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.prefix_of(key)


async def test_an_unknown_user_takes_the_same_work_as_a_wrong_password() -> None:
    stored = await passwords.hash_password("a long enough phrase")
    parameters = stored.split("$")[1:4]
    assert passwords.DUMMY_HASH.split("$")[1:4] == parameters
    assert await passwords.verify("a long enough phrase", None) == (False, None)
    assert await passwords.verify("another long phrase", stored) == (False, None)
    assert await passwords.verify("a long enough phrase", stored) == (True, None)


async def test_a_password_is_the_same_on_every_keyboard() -> None:
    stored = await passwords.hash_password("cafe\u0301 au lait")
    assert await passwords.verify("caf\u00e9 au lait", stored) == (True, None)


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "unknown", True),
    ],
)
def test_attempts_are_counted_by_network_for_ipv6(one: str, other: str, together: bool) -> None:
    addresses = {Attempt.of(SECRET, username="li.wei", address=address).address for address in (one, other)}
    assert (len(addresses) == 1) is together


def test_neither_account_nor_address_can_be_read_from_the_counts() -> None:
    attempt = Attempt.of(SECRET, username="li.wei", address="192.0.2.1")
    assert "li.wei" not in attempt.account
    assert "192.0.2.1" not in attempt.address
