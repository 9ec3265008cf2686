"""What every route promises: one transaction, committed before the answer; one answer for one key; no stale change."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.core.idempotency import forget_expired
from tests.api_operations import OPERATIONS
from tests.core.requests import KEEP_ANSWERS, ONLY_READS, SENT_BY_NOBODY, WRITES, request_of, with_headers
from tests.service import Service, busy_customers, service

pytestmark = pytest.mark.asyncio(loop_scope="module")

VERSIONED = [
    each.name
    for each in OPERATIONS.values()
    if each.method in ("PATCH", "DELETE") and "If-Match" in [p["name"] for p in each.spec.get("parameters", [])]
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[Service]:
    with busy_customers():
        async with service() as made:
            yield made


# ---- the commit ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def failing_commits(served: Service) -> AsyncIterator[None]:
    """Every transaction that audits something, or hands out a token, fails at its COMMIT and not before."""
    await served.fetch(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the disk is full of % ', NEW; END $$"
    )
    for table in ("audit_event", "refresh_token"):
        await served.fetch(
            f"CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION fail()"
        )
    try:
        yield
    finally:
        await served.fetch("DROP FUNCTION fail CASCADE")


@pytest.mark.parametrize("name", WRITES)
async def test_a_commit_that_fails_is_never_a_success_and_one_that_succeeds_is_audited(
    served: Service, name: str
) -> None:
    operation = OPERATIONS[name]
    path, options = await request_of(served, operation)
    actor = await served.value("SELECT id FROM user_account WHERE username = 'admin'")
    if name not in SENT_BY_NOBODY:
        actor = UUID((await served.get("/v1/me", options["token"])).json()["id"])
    elif name == "answer_survey_link":
        actor = await served.value("SELECT id FROM survey_invitation ORDER BY id DESC LIMIT 1")
    elif name == "accept_invitation":
        actor = await served.value("SELECT user_id FROM customer_account ORDER BY linked_at DESC LIMIT 1")
    before = await served.digest(but={"login_attempt"})
    async with failing_commits(served):
        failed = await served.send(operation.method, path, **options)
    assert failed.status == 500, (failed.status, failed.body)
    assert b"disk" not in failed.body
    assert await served.digest(but={"login_attempt"}) == before, "half a write"
    done = await served.send(operation.method, path, **options)
    assert 200 <= done.status < 300, done.body
    audited = await served.fetch(
        "SELECT action, actor_id FROM audit_event WHERE request_id = $1", done.headers["x-request-id"]
    )
    assert {row["actor_id"] for row in audited} == {actor} or name == "refresh_token"


# ---- idempotency -----------------------------------------------------------------------------------------------------

SECRETS = {
    "invite_to_survey",
    "open_customer_account",
    "invite_to_customer_account",
    "create_api_key",
    "rotate_api_key",
    "create_webhook",
    "rotate_webhook_secret",
}
REPEATABLE = [name for name in KEEP_ANSWERS if name not in SECRETS | {"log_out"}]


async def test_every_post_of_somebody_who_is_known_keeps_its_answer() -> None:
    posts = {each.name for each in OPERATIONS.values() if each.method == "POST" and not each.is_public}
    # A question changes nothing; a password is changed by two short transactions around its check.
    assert posts - set(KEEP_ANSWERS) == ONLY_READS | {"change_my_password"}


@pytest.mark.parametrize("name", REPEATABLE)
async def test_the_same_key_and_body_give_the_first_answer_again(served: Service, name: str) -> None:
    operation = OPERATIONS[name]
    path, options = await request_of(served, operation)
    options = with_headers(options, Idempotency_Key=f"key {name}".replace(" ", "-"))
    first = await served.send(operation.method, path, **options)
    assert first.status < 300, first.body
    after_first = await served.digest(but={"login_attempt"})
    again = await served.send(operation.method, path, **options)
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert [again.headers.get(header) for header in KEPT] == [first.headers.get(header) for header in KEPT]
    assert await served.digest(but={"login_attempt"}) == after_first


KEPT = ("content-type", "etag", "location")


async def test_another_body_under_the_same_key_is_refused(served: Service) -> None:
    options = with_headers({"token": served.tokens["admin"]}, Idempotency_Key="another-body")
    first = await served.send("POST", "/v1/customers", body={"name": "one"}, **options)
    assert first.status == 201
    for path, body in [("/v1/customers", {"name": "two"}), ("/v1/units", {"name": "one"})]:
        answer = await served.send("POST", path, body=body, **options)
        assert answer.status == 422
        assert answer.json()["type"] == "urn:strata:problem:idempotency-key-reused"


async def test_a_key_belongs_to_who_sent_it(served: Service) -> None:
    _, other = await served.user({"customers:write": "all"})
    answers = [
        await served.send(
            "POST", "/v1/customers", body={"name": "x"}, **with_headers({"token": token}, Idempotency_Key="k")
        )
        for token in (served.tokens["admin"], other)
    ]
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].json()["id"] != answers[1].json()["id"]


async def test_requests_with_one_key_at_the_same_moment_have_one_effect(served: Service) -> None:
    name = uuid.uuid4().hex
    options = with_headers({"token": served.tokens["admin"]}, Idempotency_Key=name)
    answers = await asyncio.gather(
        *(served.send("POST", "/v1/customers", body={"name": name}, **options) for _ in range(8))
    )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert await served.value("SELECT count(*) FROM customer WHERE name = $1", name) == 1


async def test_a_refusal_is_not_kept(served: Service) -> None:
    options = with_headers({"token": served.tokens["admin"]}, Idempotency_Key="corrected")
    assert (await served.send("POST", "/v1/customers", body={"name": ""}, **options)).status == 422
    assert (await served.send("POST", "/v1/customers", body={"name": "right"}, **options)).status == 201


async def test_an_answer_with_a_secret_is_not_kept_and_not_given_twice(served: Service) -> None:
    options = with_headers({"token": served.tokens["admin"]}, Idempotency_Key="secret")
    body = {"name": "shop", "permissions": {}}
    first = await served.send("POST", "/v1/api-keys", body=body, **options)
    key = first.json()["key"]
    again = await served.send("POST", "/v1/api-keys", body=body, **options)
    assert again.status == 409
    assert await served.value("SELECT count(*) FROM api_key WHERE name = 'shop'") == 1
    assert await served.value("SELECT body FROM idempotency_key WHERE key = 'secret'") is None
    assert not await served.fetch("SELECT 1 FROM audit_event WHERE after::text LIKE '%' || $1 || '%'", key)


async def test_a_key_of_yesterday_is_forgotten(served: Service) -> None:
    options = with_headers({"token": served.tokens["admin"]}, Idempotency_Key="yesterday")
    first = await served.send("POST", "/v1/customers", body={"name": "x"}, **options)
    await served.fetch("UPDATE idempotency_key SET created_at = now() - interval '25 hours' WHERE key = 'yesterday'")
    async with served.database.transaction() as session:
        assert await forget_expired(session) == 1
    again = await served.send("POST", "/v1/customers", body={"name": "x"}, **options)
    assert again.json()["id"] != first.json()["id"]


# ---- entity tags -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VERSIONED)
async def test_a_stale_etag_changes_nothing(served: Service, name: str) -> None:
    operation = OPERATIONS[name]
    path, options = await request_of(served, operation)
    read = await served.send("GET", path, token=options["token"])
    tag = read.headers["etag"]
    before = await served.digest(but={"login_attempt"})
    for stale in ('"99"', 'W/"99"', "garbage"):
        answer = await served.send(operation.method, path, **with_headers(options, If_Match=stale))
        assert answer.status == 412, answer.body
        assert answer.json()["type"] == "urn:strata:problem:stale"
    assert await served.digest(but={"login_attempt"}) == before
    answer = await served.send(operation.method, path, **with_headers(options, If_Match=tag))
    assert answer.status < 300, answer.body
    if operation.method == "PATCH":
        assert answer.headers["etag"] != tag
        again = await served.send(operation.method, path, **with_headers(options, If_Match=tag))
        assert again.status == 412, "the first ETag is stale now"


# ---- cursors ---------------------------------------------------------------------------------------------------------


async def _cursor(served: Service, path: str, query: str) -> str:
    page = (await served.send("GET", path, token=served.tokens["admin"], query=f"{query}&limit=1")).json()
    assert page["next_cursor"], page
    return str(page["next_cursor"])


async def test_a_cursor_of_another_filter_is_refused(served: Service) -> None:
    token = served.tokens["admin"]
    for n in range(3):
        await served.send("POST", "/v1/customers", token=token, body={"name": f"page {n}", "tags": ["x"]})
    cursor = await _cursor(served, "/v1/customers", "sort=name&tag=x")
    right = await served.send("GET", "/v1/customers", token=token, query=f"sort=name&tag=x&limit=2&cursor={cursor}")
    assert right.status == 200
    altered = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    for path, query, each in [
        ("/v1/customers", "sort=name", cursor),
        ("/v1/customers", "sort=name&tag=y", cursor),
        ("/v1/customers", "sort=-name&tag=x", cursor),
        ("/v1/users", "", cursor),
        ("/v1/schemes/abc/classes/A/customers", "sort=name", cursor),
        ("/v1/customers", "sort=name&tag=x", altered),
        ("/v1/customers", "sort=name&tag=x", cursor[:-2]),
        ("/v1/customers", "sort=name&tag=x", "e30"),
    ]:
        answer = await served.send("GET", path, token=token, query=f"{query}&cursor={each}")
        assert answer.status == 422, (path, query, answer.body)
        assert answer.json()["type"] == "urn:strata:problem:invalid-cursor"


async def test_a_cursor_of_another_search_is_refused(served: Service) -> None:
    token = served.tokens["admin"]
    body: dict[str, Any] = {"where": {"not": {"tag": "nobody"}}, "limit": 1}
    page = (await served.send("POST", "/v1/customers/search", token=token, body=body)).json()
    body |= {"cursor": page["next_cursor"]}
    assert (await served.send("POST", "/v1/customers/search", token=token, body=body)).status == 200
    body["where"] = {"not": {"tag": "somebody"}}
    assert (await served.send("POST", "/v1/customers/search", token=token, body=body)).status == 422


# ---- problems and ids ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "kind", "allow"),
    [
        ("GET", "/v1/nothing", 404, "not-found", None),
        ("GET", "/", 404, "not-found", None),
        ("POST", "/v1/me", 405, "method-not-allowed", "GET"),
        ("PUT", "/v1/customers", 405, "method-not-allowed", "GET, POST"),
        (
            "TRACE",
            "/v1/customers/01890000-0000-7000-8000-000000000000",
            405,
            "method-not-allowed",
            "DELETE, GET, PATCH",
        ),
        ("GET", "/v1/customers/01890000-0000-7000-8000-000000000000", 404, "not-found", None),
    ],
)
async def test_a_problem_looks_the_same_everywhere(
    served: Service, method: str, path: str, status: int, kind: str, allow: str | None
) -> None:
    answer = await served.send(method, path, token=served.tokens["admin"], headers={"X-Request-ID": "my-id.1"})
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "my-id.1"
    assert answer.headers.get("allow") == allow
    problem = answer.json()
    assert problem["type"] == f"urn:strata:problem:{kind}"
    assert problem["instance"] == "urn:strata:request:my-id.1"
    assert problem["status"] == status
    assert problem["errors"] == []


async def test_a_wrong_field_is_named_by_a_pointer(served: Service) -> None:
    body = {"name": "x", "identities": [{"kind": "external", "value": ""}], "a~b/c": 1}
    answer = await served.send("POST", "/v1/customers", token=served.tokens["admin"], body=body)
    assert answer.status == 422
    pointers = {each["pointer"] for each in answer.json()["errors"]}
    assert pointers == {"/body/identities/0/value", "/body/a~0b~1c"}


@pytest.mark.parametrize("given", ["", "a b", "ü", "x" * 65, 'a"b', "a\nb"])
async def test_a_request_id_that_could_harm_a_log_is_replaced(served: Service, given: str) -> None:
    answer = await served.send("GET", "/v1/me", headers={"X-Request-ID": given.encode()})
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 32


async def test_a_change_carries_the_request_id_into_audit_outbox_and_history(served: Service) -> None:
    options = with_headers({"token": served.tokens["admin"]}, X_Request_ID="traced-1")
    answer = await served.send("POST", "/v1/customers", body={"name": "traced", "phone": "+8613812341234"}, **options)
    assert answer.status == 201
    audited = (await served.fetch("SELECT * FROM audit_event WHERE request_id = 'traced-1'"))[0]
    assert audited["action"] == "customer.created"
    assert audited["resource_id"] == answer.json()["id"]
    assert "traced" not in json.dumps(audited["after"])
    assert "13812341234" not in json.dumps(audited["after"])
    events = await served.fetch("SELECT * FROM outbox_event WHERE correlation_id = 'traced-1'")
    assert {event["name"] for event in events} == {"customer.created", "customer.class_changed"}
    assert {event["payload"]["customer_id"] for event in events} == {answer.json()["id"]}


async def test_what_cannot_be_read_is_refused_in_words_and_with_a_pointer(served: Service) -> None:
    token = await served.token("admin")
    deep = {"where": {"metric": "nope", "op": "gte", "value": "1\u0000"}}
    table: list[tuple[bytes, str, str]] = [
        (b"[" * 100, "/body", "JSON may be nested 64 levels deep at most"),
        (b'["\\"", {"a]": "]", "b": ' + b"[" * 63, "/body", "JSON may be nested 64 levels deep at most"),
        (b'["\\"' + b"[" * 100 + b'", oops]', "/body", "no JSON at character 107: Expecting value"),
        (b'{"where": oops}', "/body", "no JSON at character 10: Expecting value"),
        (json.dumps(deep).encode(), "/body/where/value", "control characters and lone surrogates are not accepted"),
    ]
    for content, pointer, message in table:
        headers = {"Content-Type": "application/json"}
        answer = await served.send("POST", "/v1/customers/search", token=token, content=content, headers=headers)
        assert answer.status == 422
        assert answer.json()["errors"] == [{"pointer": pointer, "message": message}]
