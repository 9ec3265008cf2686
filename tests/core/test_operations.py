"""What those who run the service rely on: health, metrics, a pool that says it is busy, logs that name nobody."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
import structlog

from app.core import logging
from app.core.invalidation import CHANNEL
from tests.service import Service, service

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[Service]:
    async with service() as made:
        yield made


# ---- health ----------------------------------------------------------------------------------------------------------


async def test_it_is_alive_and_ready(served: Service) -> None:
    assert (await served.get("/healthz")).json() == {"status": "alive"}
    ready = await served.get("/readyz")
    assert ready.status == 200
    assert ready.json()["status"] == "ready"


async def test_without_a_database_it_is_alive_but_not_ready() -> None:
    async with service() as made:
        token = made.tokens["admin"]
        await made.database.pool.close()
        assert (await made.get("/healthz")).status == 200
        for path in ("/readyz", "/v1/me"):
            answer = await made.get(path, token)
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("state", ["53100", "53200", "58030", "25006"])
async def test_what_the_server_cannot_do_now_is_asked_for_again_later(state: str) -> None:
    async with service() as made:
        await made.fetch(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION SQLSTATE '{state}'; END $$"
        )
        await made.fetch(
            "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON customer DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
        refused = await made.send("POST", "/v1/customers", token=made.tokens["admin"], body={"name": "somebody"})
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")


async def test_with_an_unknown_schema_it_is_not_ready() -> None:
    async with service() as made:
        await made.fetch("UPDATE alembic_version SET version_num = 'unknown'")
        answer = await made.get("/readyz")
        assert answer.status == 503
        assert answer.json()["status"] == "unknown schema"


async def test_metrics_are_by_route_and_never_by_id(served: Service) -> None:
    await served.get("/v1/customers/01890000-0000-7000-8000-000000000000", served.tokens["admin"])
    await served.get("/nobody/knows/this")
    text = (await served.get("/metrics")).body.decode()
    assert 'strata_http_request_seconds_count{method="GET",route="/v1/customers/{customer_id}",status="404"}' in text
    assert 'route="unmatched",status="404"' in text
    assert "01890000" not in text
    assert "/nobody" not in text
    assert "strata_http_requests_in_flight" in text


async def test_made_up_methods_do_not_grow_the_metrics(served: Service) -> None:
    for n in range(5):
        await served.send(f"MADEUP{n}", "/v1/customers", token=served.tokens["admin"])
    assert "MADEUP" not in (await served.get("/metrics")).body.decode()


async def test_when_no_connection_is_free_it_says_so_within_two_seconds(setting: Callable[..., None]) -> None:
    setting(pool_size=2)
    async with service() as made:
        token = made.tokens["admin"]
        held = [await made.database.acquire() for _ in range(2)]
        began = time.perf_counter()
        asked = [asyncio.create_task(made.get("/v1/customers", token)) for _ in range(5)]
        await asyncio.sleep(0.05)
        alive = time.perf_counter()
        assert (await made.get("/healthz")).status == 200
        assert time.perf_counter() - alive < 0.1
        answers = await asyncio.gather(*asked)
        assert time.perf_counter() - began < 2
        for answer in answers:
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["content-type"] == "application/problem+json"
        for connection in held:
            await made.database.pool.release(connection)
        assert (await made.get("/v1/customers", token)).status == 200


async def test_a_statement_that_takes_too_long_is_503_and_gives_its_connection_back(
    setting: Callable[..., None],
) -> None:
    setting(statement_timeout=1, pool_size=2)
    async with service() as made:
        await made.fetch(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(5); RETURN NEW; END $$"
        )
        await made.fetch("CREATE TRIGGER slow BEFORE INSERT ON customer FOR EACH ROW EXECUTE FUNCTION slow()")
        answer = await made.send("POST", "/v1/customers", token=made.tokens["admin"], body={"name": "x"})
        assert answer.status == 503
        assert answer.headers["retry-after"]
        assert made.database.pool.get_size() == made.database.pool.get_idle_size()


# ---- logs ------------------------------------------------------------------------------------------------------------

CANARIES = {
    "name": "Canary Birdsong",
    "phone": "+8613977770001",
    "email": "canary@birdsong.example",
    "ref": "CANARY-REF",
}


async def test_logs_say_what_happened_and_nothing_of_whom(served: Service, capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure("DEBUG", pretty=False)
    try:
        await _make_every_kind_of_failure(served)
    finally:
        said = capsys.readouterr().err
        logging.configure("CRITICAL", pretty=False)
    lines = [json.loads(line) for line in said.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert {line["status"] for line in requests} >= {201, 409, 422, 401, 404, 500}
    assert all({"request_id", "method", "route", "status", "ms", "actor"} <= set(line) for line in requests)
    assert any(line["event"] == "database.refused" for line in lines), "a failure of ours leaves a trace"
    for canary in [*CANARIES.values(), "birdsong", "139777", served.tokens["admin"]]:
        assert canary not in said


async def _make_every_kind_of_failure(served: Service) -> None:
    token = served.tokens["admin"]
    identities = [{"kind": "external", "value": CANARIES["ref"]}]
    body = {"name": CANARIES["name"], "phone": CANARIES["phone"], "email": CANARIES["email"], "identities": identities}
    send = served.send
    made = await send("POST", "/v1/customers", token=token, body=body)
    await send("POST", "/v1/customers", token=token, body=body)
    await send("POST", "/v1/customers", token=token, body={**body, "kind": CANARIES["name"]})
    await send("POST", "/v1/customers", token=token, body={**body, CANARIES["name"]: 1})
    await send("POST", "/v1/customers", token=token + CANARIES["name"], body=body)
    await served.get("/v1/customers", token, identity=f"external:{CANARIES['ref']}", text=CANARIES["name"])
    await served.get(f"/v1/customers/{CANARIES['name'].replace(' ', '')}", token)
    await served.get(f"/{CANARIES['email']}", token)
    login = f"username={CANARIES['email']}&password={CANARIES['name']}".encode()
    await send("POST", "/v1/auth/token", content=login, headers={"Content-Type": "application/x-www-form-urlencoded"})
    await served.fetch(
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'row %', NEW; END $$"
    )
    await served.fetch("CREATE TRIGGER tell BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION tell()")
    answer = await send("PATCH", f"/v1/customers/{made.json()['id']}", token=token, body={"title": CANARIES["name"]})
    await served.fetch("DROP FUNCTION tell CASCADE")
    assert answer.status == 500
    assert "Canary" not in answer.body.decode()


async def test_an_exception_is_logged_by_its_place_and_not_by_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure("DEBUG", pretty=False)
    try:
        try:
            raise ValueError("the phone of Canary Birdsong is wrong")
        except ValueError as error:
            structlog.get_logger("test").error("failed", exc_info=error)
            structlog.get_logger("test").exception("failed in another way")
    finally:
        said = capsys.readouterr().err
        logging.configure("CRITICAL", pretty=False)
    first, second = (json.loads(line) for line in said.splitlines())
    assert first["exception"] == second["exception"] == "ValueError"
    assert "Canary" not in said
    assert sys.exc_info() == (None, None, None)


# ---- what one process remembers --------------------------------------------------------------------------------------


async def test_a_change_of_a_role_takes_effect_at_once(served: Service) -> None:
    body = {"key": f"r{time.monotonic_ns()}", "title": "x", "permissions": {"customers:read": "all"}}
    admin = served.tokens["admin"]
    role = (await served.send("POST", "/v1/roles", token=admin, body=body)).json()
    user_id, token = await served.user({})
    for _ in range(2):
        assert (await served.get("/v1/customers", token)).status == 403
    await served.send("PATCH", f"/v1/users/{user_id}", token=admin, body={"roles": [role["key"]]})
    assert (await served.get("/v1/customers", token)).status == 200
    await served.send("PATCH", f"/v1/roles/{role['id']}", token=admin, body={"permissions": {"units:read": "own"}})
    assert (await served.get("/v1/customers", token)).status == 403
    await served.send("PATCH", f"/v1/users/{user_id}", token=admin, body={"active": False})
    assert (await served.get("/v1/customers", token)).status == 401


@pytest_asyncio.fixture(loop_scope="module")
async def alone() -> AsyncIterator[Service]:
    """The only application of the process: whether it hears of changes is the process's, not the application's."""
    async with service() as made:
        yield made


async def test_a_change_that_another_process_made_is_heard(alone: Service) -> None:
    user_id, token = await alone.user({"customers:read": "all"})
    assert (await alone.get("/v1/customers", token)).status == 200
    await alone.fetch("UPDATE user_account SET active = false WHERE id = $1", user_id)
    assert (await alone.get("/v1/customers", token)).status == 200, "it is remembered, or this test proves nothing"
    await alone.fetch("SELECT pg_notify($1, 'identity')", CHANNEL)
    for _ in range(200):
        if (await alone.get("/v1/customers", token)).status == 401:
            return
        await asyncio.sleep(0.01)
    pytest.fail("a user who was deactivated goes on")


async def test_while_it_cannot_hear_of_changes_it_remembers_nothing(alone: Service) -> None:
    _, token = await alone.user({"customers:read": "all"})
    assert (await alone.get("/v1/customers", token)).status == 200
    await alone.fetch(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'strata-listen' AND datname = current_database()"
    )
    await asyncio.sleep(0.05)
    await alone.fetch("UPDATE role SET permissions = '{}' WHERE id IN (SELECT role_id FROM user_role)")
    assert (await alone.get("/v1/customers", token)).status == 403
