"""Whatever is sent, to whatever route: an answer that says what is wrong, never a failure of ours.

Everything here is made from the API document: a new route is attacked without being named.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
import pytest_asyncio
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from app.core.db import metadata
from app.core.http.middleware import MAX_HEADER_BYTES
from app.core.http.problems import MAX_ERRORS
from app.core.settings import get_settings
from app.identity import passwords
from app.identity.actor import EVERYTHING
from app.identity.presets import PRESET_ROLES
from tests.api_operations import OPERATIONS, Operation, form
from tests.document import caller, path_of
from tests.hostile_values import FORM_VALUES, HEADERS, TEXTS, VALUES, WHOLE_BODIES
from tests.service import Answer, Service, service

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROLES = [preset.key for preset in PRESET_ROLES if EVERYTHING not in preset.permissions]
"""Those of whom not all is seen in what the administrator gets."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target() -> AsyncIterator[Service]:
    """A service whose passwords are hashed cheaply: their cost is not what is looked at here."""
    cheap = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", cheap)
        patch.setattr(passwords, "DUMMY_HASH", cheap.hash("nobody's"))
        patch.setenv("STRATA_SELF_SERVICE_PER_MINUTE", "1000")
        async with service() as made:
            yield made


def _check(answer: Answer, sent: object) -> None:
    where = repr(sent)[:300]
    assert answer.status < 500, (answer.status, where, answer.body[:500])
    assert answer.headers.get("x-request-id"), where
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json", (answer.status, where)
        problem = answer.json()
        assert {"type", "title", "status", "detail", "instance", "errors"} == set(problem), where
        assert problem["status"] == answer.status
        assert all(set(each) == {"pointer", "message"} for each in problem["errors"])
        assert not _LEAKS.search(answer.body.decode()), answer.body[:500]
    if answer.status == 422:
        # A problem of a kind of its own says everything in its title.
        assert answer.json()["errors"] or answer.json()["detail"] or not answer.json()["type"].endswith(":invalid")


_LEAKS = re.compile(r"Traceback|asyncpg|sqlalchemy|SELECT |INSERT |File \"", re.IGNORECASE)


def _all_fields(operation: Operation) -> dict[str, Any]:
    """The example, and None for each field that it leaves out."""
    return {**dict.fromkeys(operation.schema["properties"]), **operation.example}


def _slots(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a value can be replaced: every field and every element, and everything within them."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from _slots(value, (*path, key))


def _replaced(example: Any, path: tuple[Any, ...], value: bytes) -> bytes:
    body = json.loads(json.dumps(_given(example, path)))
    holder = body
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = "@@"
    return json.dumps(body).encode().replace(b'"@@"', value)


def _given(example: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """The example without what it leaves out, but for the field in question."""
    return {name: value for name, value in example.items() if value is not None or name == path[0]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def colleagues(target: Service) -> dict[str, tuple[UUID, str]]:
    """Somebody of each preset role, all of one unit."""
    return {preset.key: await target.colleague(preset.key) for preset in PRESET_ROLES}


async def _path(target: Service, operation: Operation, user_id: UUID | None) -> str:
    """The operation's path; every customer is in the user's hands."""
    path = await path_of(target, operation)
    if user_id is not None:
        await target.fetch("UPDATE customer SET owner_id = $1, unit_id = $2", user_id, target.unit_id)
    return path


@pytest.mark.parametrize("name", OPERATIONS)
async def test_hostile_parameters_get_an_answer(target: Service, name: str) -> None:
    await _attack_parameters(target, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("role", ROLES)
async def test_hostile_parameters_get_every_role_an_answer(
    target: Service, colleagues: dict[str, tuple[UUID, str]], role: str, name: str
) -> None:
    await _attack_parameters(target, name, *colleagues[role])


async def _attack_parameters(target: Service, name: str, user_id: UUID | None = None, username: str = "admin") -> None:
    operation = OPERATIONS[name]
    method = operation.method
    token = await caller(target, operation, username)
    body = operation.example if operation.media_type == "application/json" else None
    path = await _path(target, operation, user_id)
    for parameter in operation.path_names:
        for text in TEXTS:
            attacked = operation.at(**{**dict.fromkeys(operation.path_names, "abc"), parameter: text})
            _check(await target.send(method, attacked, token=token, body=body), (method, attacked))
    for parameter in operation.spec.get("parameters", []):
        if parameter["in"] == "query":
            key = parameter["name"]
            for query in [
                *(f"{key}={text}" for text in TEXTS),
                f"{key}=1&{key}=2",
                f"{key}",
                f"{key}[]=1",
                f"{key}%00=1",
            ]:
                _check(await target.send(method, path, token=token, query=query, body=body), (path, query))
        elif parameter["in"] == "header":
            for value in HEADERS:
                headers = {parameter["name"]: value}
                _check(await target.send(method, path, token=token, headers=headers, body=body), (path, headers))


WITH_BODY = [operation.name for operation in OPERATIONS.values() if operation.media_type is not None]


@pytest.mark.parametrize("name", WITH_BODY)
async def test_hostile_bodies_get_an_answer(target: Service, name: str) -> None:
    await _attack_bodies(target, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_BODY)
@pytest.mark.parametrize("role", ROLES)
async def test_hostile_bodies_get_every_role_an_answer(
    target: Service, colleagues: dict[str, tuple[UUID, str]], role: str, name: str
) -> None:
    await _attack_bodies(target, name, *colleagues[role])


async def _attack_bodies(target: Service, name: str, user_id: UUID | None = None, username: str = "admin") -> None:
    operation = OPERATIONS[name]
    method, kind, example = operation.method, str(operation.media_type), _all_fields(operation)
    token = await caller(target, operation, username)
    path = await _path(target, operation, user_id)
    if "multipart" in kind:
        for sent in _hostile_forms(example):
            _check(await target.send(method, path, token=token, **sent), sent)
        return
    headers = {"Content-Type": kind}
    for content in _hostile_forms_encoded(example) if "form" in kind else _hostile_json(example):
        answer = await target.send(method, path, token=token, content=content, headers=headers)
        _check(answer, (path, content))
        if answer.status == 404 and operation.path_names:
            path = await _path(target, operation, user_id)  # it was spoilt
        if "custom_field" in name:
            await target.fetch("UPDATE custom_field SET required = false")  # or nobody could make a customer any more


def _hostile_json(example: dict[str, Any]) -> Iterator[bytes]:
    yield from WHOLE_BODIES
    plain = {name: value for name, value in example.items() if value is not None}
    for name in plain:
        yield json.dumps({key: value for key, value in plain.items() if key != name}).encode()
    yield json.dumps({**plain, "unknown_field": 1}).encode()
    for path in _slots(example):
        for value in VALUES:
            yield _replaced(example, path, value)


def _hostile_forms_encoded(example: dict[str, Any]) -> Iterator[bytes]:
    yield from (b"", b"=", b"&&&", b"\xff\xfe", b"%00=%00", b"a" * 5000)
    for name in example:
        others = "&".join(f"{key}={quote(str(value))}" for key, value in example.items() if key != name and value)
        for text in TEXTS:
            # A name that nobody has: the throttle of one name is not what is looked at here.
            yield f"{others}&{name}={text}&{name}={text}".replace("username=admin", "username=nobody").encode()


def _hostile_forms(example: dict[str, Any]) -> Iterator[dict[str, Any]]:
    plain = {name: str(value).encode() for name, value in example.items() if value is not None}
    yield {"content": b"", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}
    yield {"content": b"--x\r\n\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}
    yield {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}
    yield {"content": b"\xff" * 100, "headers": {"Content-Type": "multipart/form-data; boundary=\xff"}}
    for name in example:
        yield form({key: value for key, value in plain.items() if key != name})
        for value in FORM_VALUES:
            yield form({**plain, name: value})
    yield form({**plain, "file": b"customer_ref,occurred_at,price\n" + b'"' * 100_001})
    yield form({**plain, "file": b"\x1f\x8b" + b"no gzip"})
    yield form({**plain, "unknown": b"1"})
    yield form({f"field{n}": b"1" for n in range(2000)})


COLUMNS = sorted({column.name for table in metadata.tables.values() for column in table.columns})


@pytest.mark.parametrize("name", [name for name in WITH_BODY if "json" in str(OPERATIONS[name].media_type)])
async def test_no_column_is_assigned_that_the_document_does_not_offer(target: Service, name: str) -> None:
    """Mass assignment: to a good body comes every column of every table, and each is named as refused."""
    operation = OPERATIONS[name]
    path, token = await path_of(target, operation), await caller(target, operation)
    foreign = [column for column in COLUMNS if column not in operation.schema["properties"]]
    assert len(foreign) > len(COLUMNS) / 2
    before = await target.digest(but={"login_attempt"})
    for first in range(0, len(foreign), MAX_ERRORS):
        assigned = foreign[first : first + MAX_ERRORS]
        body = {**operation.example, **dict.fromkeys(assigned, "x")}
        answer = await target.send(operation.method, path, token=token, body=body)
        _check(answer, (name, assigned))
        assert answer.status == 422, (name, assigned, answer.body)
        assert {error["pointer"] for error in answer.json()["errors"]} >= {f"/body/{column}" for column in assigned}
    assert await target.digest(but={"login_attempt"}) == before


# ---- limits ----------------------------------------------------------------------------------------------------------


async def _in_a_second(target: Service, *args: Any, **options: Any) -> Answer:
    return await asyncio.wait_for(target.send(*args, **options), timeout=1)


def _takes(kind: str, name: str) -> bool:
    return kind in str(OPERATIONS[name].media_type)


# An import takes larger bodies; its own tests go beyond its limit.
@pytest.mark.parametrize("name", [name for name in WITH_BODY if not _takes("multipart", name)])
async def test_a_body_over_the_limit_is_413(target: Service, name: str) -> None:
    operation = OPERATIONS[name]
    method, kind = operation.method, str(operation.media_type)
    path = await path_of(target, operation)
    content = b'"' + b"a" * (get_settings().max_body_bytes + 1) + b'"'
    headers = {"Content-Type": kind}
    answer = await _in_a_second(target, method, path, token=target.tokens["admin"], content=content, headers=headers)
    _check(answer, name)
    assert answer.status == 413
    announced = {**headers, "Content-Length": str(10**12)}
    answer = await _in_a_second(target, method, path, token=target.tokens["admin"], content=b"{}", headers=announced)
    _check(answer, name)
    assert answer.status == 413


@pytest.mark.parametrize("name", [name for name in WITH_BODY if _takes("json", name)])
async def test_json_nested_ten_thousand_deep_is_422(target: Service, name: str) -> None:
    operation = OPERATIONS[name]
    method, kind, example = operation.method, str(operation.media_type), _all_fields(operation)
    path = await path_of(target, operation)
    deep = [b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000, b"[" * 100_000, b'{"not":' * 9_999]
    deep += [_replaced(example, (field,), deep[0]) for field in example]
    for content in deep:
        headers = {"Content-Type": kind}
        answer = await _in_a_second(
            target, method, path, token=target.tokens["admin"], content=content, headers=headers
        )
        _check(answer, name)
        assert answer.status == 422


async def test_a_predicate_nested_deeper_than_a_person_would_is_422(target: Service) -> None:
    for depth in (9, 30, 60):
        where: dict[str, Any] = {"tag": "x"}
        for _ in range(depth):
            where = {"not": where}
        answer = await target.send("POST", "/v1/customers/search", token=target.tokens["admin"], body={"where": where})
        _check(answer, depth)
        assert answer.status == 422


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Long": "a" * (MAX_HEADER_BYTES + 1)},
        {f"X-{n}": "a" * 100 for n in range(400)},
        {"Cookie": "a=" + "b" * MAX_HEADER_BYTES},
    ],
    ids=["one long", "many", "cookie"],
)
async def test_headers_over_the_limit_are_431(target: Service, headers: dict[str, str]) -> None:
    answer = await _in_a_second(target, "GET", "/v1/customers", token=target.tokens["admin"], headers=headers)
    _check(answer, "headers")
    assert answer.status == 431


async def test_a_path_and_query_over_the_limit_are_413(target: Service) -> None:
    for path, query in [("/v1/" + "a" * 9000, ""), ("/v1/customers", "text=" + "a" * 9000)]:
        answer = await _in_a_second(target, "GET", path, query=query, token=target.tokens["admin"])
        _check(answer, path)
        assert answer.status == 413


@pytest.mark.parametrize(
    "path", ["/v1/%00", "/v1/%FF", "/%2e%2e/%2e%2e/etc/passwd", "/v1/customers/%2F", "//", "/docs/assets/..%2f..%2fx"]
)
async def test_a_path_that_leads_nowhere_is_a_404(target: Service, path: str) -> None:
    answer = await target.send("GET", path, token=target.tokens["admin"])
    _check(answer, path)
    assert answer.status in (404, 422)


CREDENTIALS = [
    b"",
    b"Bearer",
    b"Bearer ",
    b"Bearer \xff",
    b"Bearer a.b.c",
    b"Bearer " + b"a" * 9000,
    b"Basic YTpi",
    b"Bearer strata_",
]
CREDENTIALS += [
    b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",
    b"Bearer \x00",
    b"bearer null",
    b"Bearer " + b"[" * 5000,
]


@pytest.mark.parametrize("credential", CREDENTIALS, ids=lambda value: repr(value[:20]))
async def test_a_hostile_credential_is_401(target: Service, credential: bytes) -> None:
    for header in ("Authorization", "X-API-Key"):
        answer = await target.send("GET", "/v1/me", headers={header: credential})
        _check(answer, credential)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_service_is_well_after_all_this(target: Service) -> None:
    answer = await target.get("/readyz")
    assert answer.status == 200
    answer = await target.get("/v1/customers", target.tokens["admin"])
    assert answer.status == 200
    assert target.database.pool.get_size() - target.database.pool.get_idle_size() == 0, (
        "a connection was not given back"
    )
