"""What happens reaches those who asked for it: signed, tried again, given up, replayed; nobody waits for another."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core import lockbox, outbox
from app.core.db import Database
from app.core.jobs import JobContext
from app.webhooks import deliveries as claimed
from app.webhooks import dispatch, keys, rules
from tests.webhooks.endpoint import Endpoint, Received, answer, endpoint
from tests.webhooks.horizon import others_have_ended

RunJobs = Callable[[], Awaitable[None]]


async def make(admin: httpx.AsyncClient, server: Endpoint, *types: str) -> dict[str, Any]:
    made = await admin.post("/v1/webhooks", json={"url": server.url(), "types": list(types) or ["test.*"]})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


async def announce(database: Database, *names: str) -> None:
    async with database.transaction() as session:
        for name in names:
            outbox.store(session, name, {"名": name})
    await others_have_ended(database)


async def send(database: Database) -> None:
    """Take and send what is due."""
    await dispatch.dispatch(JobContext(database, {}, None, asyncio.Event()))


async def deliveries(admin: httpx.AsyncClient, hook: dict[str, Any], **params: str) -> list[dict[str, Any]]:
    page = await admin.get(f"/v1/webhooks/{hook['id']}/deliveries", params=params)
    assert page.status_code == 200, page.text
    found: list[dict[str, Any]] = page.json()["items"]
    return found


async def hurry(database: Database) -> None:
    """The time of the next attempts has come."""
    async with database.connection() as connection:
        await connection.execute("UPDATE webhook_delivery SET due_at = now() WHERE status = 'pending'")


def verified(request: Received, secret: str) -> bool:
    """As a receiver checks it, by the text of Standard Webhooks and nothing of ours."""
    content = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    fresh = abs(time.time() - int(request.headers["webhook-timestamp"])) < 300
    return fresh and expected in request.headers["webhook-signature"].split(" ")


def test_the_signature_is_the_one_of_the_standard() -> None:
    """The example of the specification's own libraries."""
    body = b'{"test": 2432232314}'
    signed = rules.signature(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=body,
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_attempts_are_spread_over_three_days() -> None:
    delays = [rules.delay_after(attempts) for attempts in range(1, rules.MAX_ATTEMPTS)]
    kept = [each.total_seconds() for each in delays if each is not None]
    assert kept == sorted(kept)
    assert len(kept) == rules.MAX_ATTEMPTS - 1
    assert 2.5 * 86400 < sum(kept) <= 3 * 86400
    assert rules.delay_after(rules.MAX_ATTEMPTS) is None


async def test_an_event_reaches_who_asked_for_it_signed(
    admin: httpx.AsyncClient, database: Database, server: Endpoint
) -> None:
    await announce(database, "test.before")
    hook = await make(admin, server)
    await announce(database, "test.one", "other.one", "test.two")
    await send(database)
    told = [json.loads(each.body) for each in server.received]
    assert sorted(each["type"] for each in told) == ["test.one", "test.two"]
    assert all(verified(each, hook["secret"]) for each in server.received)
    feed = (await admin.get("/v1/events", params={"types": "test.*"})).json()["items"]
    assert all(each in feed for each in told), "the same as the feed says it"
    assert {each.headers["webhook-id"] for each in server.received} == {each["id"] for each in told}
    assert {each["status"] for each in await deliveries(admin, hook)} == {"delivered"}
    await send(database)
    assert len(server.received) == 2


async def test_a_failed_attempt_is_made_again_with_the_same_id_and_body(
    admin: httpx.AsyncClient, database: Database, server: Endpoint
) -> None:
    hook = await make(admin, server)
    server.says = lambda _: answer(500)
    await announce(database, "test.one")
    await send(database)
    (waiting,) = await deliveries(admin, hook)
    assert (waiting["status"], waiting["attempts"], waiting["response_status"]) == ("pending", 1, 500)
    assert waiting["error"] == "the endpoint answered 500"
    assert (await admin.get(f"/v1/webhooks/{hook['id']}")).json()["status"] == "failing"
    server.says = lambda _: answer(200)
    await send(database)
    assert len(server.received) == 1, "not before its time"
    await hurry(database)
    await send(database)
    first, second = server.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert [each["status"] for each in await deliveries(admin, hook)] == ["delivered"]
    assert (await admin.get(f"/v1/webhooks/{hook['id']}")).json()["status"] == "active"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("99999999999999999999", 43200),
        ("Thu, 01 Jan 2026 00:10:00 GMT", 600),
        ("Thu, 01 Jan 2026 00:10:00 -0000", 600),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0),
        ("Fri, 01 Jan 2027 00:00:00 GMT", 43200),
        ("-5", 0),
        ("soon", 0),
        ("٣", 0),
        ("", 0),
        (None, 0),
    ],
)
def test_an_endpoint_says_how_long_it_wants_to_be_left_alone(written: str | None, seconds: int) -> None:
    waits = rules.asked_to_wait(written, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert waits == timedelta(seconds=seconds)


async def test_an_endpoint_that_asks_for_time_is_left_alone_for_it(
    admin: httpx.AsyncClient, database: Database, server: Endpoint
) -> None:
    await make(admin, server)
    server.says = lambda _: answer(429, "Retry-After: 3600")
    await announce(database, "test.one")
    await send(database)
    async with database.connection() as connection:
        seconds = await connection.fetchval("SELECT extract(epoch FROM due_at - now()) FROM webhook_delivery")
    assert 3500 < seconds < 3601, "without the header it would be ten seconds"


async def test_a_secret_is_kept_under_lock(
    admin: httpx.AsyncClient, database: Database, server: Endpoint, setting: Callable[..., None]
) -> None:
    hook = await make(admin, server)
    rotated = (await admin.post(f"/v1/webhooks/{hook['id']}/secret")).json()["secret"]
    async with database.connection() as connection:
        kept = await connection.fetchrow("SELECT secret, previous_secret FROM webhook")
    assert all(each.startswith("aesgcm1:") for each in kept.values())
    assert [keys.open_(each) for each in kept.values()] == [rotated, hook["secret"]]
    assert keys.lock(rotated) != keys.lock(rotated), "the same secret twice is not seen to be the same"
    changed = kept["secret"][:-6] + ("AAAA" if kept["secret"][-6:-2] != "AAAA" else "BBBB") + kept["secret"][-2:]
    for wrong in (changed, "aesgcm1:", "aesgcm1:?", "anything"):
        with pytest.raises(lockbox.Unreadable):
            keys.open_(wrong)
    with pytest.raises(lockbox.Unreadable):
        lockbox.open_(kept["secret"], purpose="something else")
    setting(secret_key="another secret, long enough for a key")
    await announce(database, "test.one")
    await send(database)
    assert server.received == [], "nothing leaves unsigned"
    (waiting,) = await deliveries(admin, hook)
    assert waiting["error"] == "the secret was locked with another STRATA_SECRET_KEY: rotate it"


async def test_secrets_of_an_earlier_version_are_locked_and_go_on_signing(
    admin: httpx.AsyncClient, database: Database, server: Endpoint
) -> None:
    hook = await make(admin, server)
    async with database.connection() as connection:
        await connection.execute("UPDATE webhook SET secret = $1", hook["secret"])
    for _ in range(2):
        await announce(database, "test.one")
        await send(database)
        assert verified(server.received[-1], hook["secret"])
        async with database.connection() as connection:
            kept = await connection.fetchval("SELECT secret FROM webhook")
        assert kept.startswith("aesgcm1:")
        assert keys.open_(kept) == hook["secret"]


async def test_what_was_given_up_is_replayed(
    admin: httpx.AsyncClient, database: Database, server: Endpoint, run_jobs: RunJobs
) -> None:
    hook = await make(admin, server)
    server.says = lambda _: answer(503)
    await announce(database, "test.one", "test.two")
    await send(database)
    async with database.connection() as connection:
        await connection.execute("UPDATE webhook_delivery SET attempts = $1", rules.MAX_ATTEMPTS - 1)
    await hurry(database)
    await send(database)
    dead = await deliveries(admin, hook, status="dead")
    assert len(dead) == 2
    server.says = lambda _: answer(200)
    path = f"/v1/webhooks/{hook['id']}/deliveries"
    assert (await admin.post(f"{path}/{dead[0]['id']}/replay")).json() == {"replayed": 1}
    await run_jobs()
    assert len(await deliveries(admin, hook, status="delivered")) == 1
    assert (await admin.post(f"{path}/replay")).json() == {"replayed": 1}
    await run_jobs()
    assert len(await deliveries(admin, hook, status="delivered")) == 2
    assert len({each.headers["webhook-id"] for each in server.received}) == 2
    assert (await admin.post(f"{path}/{UUID(int=1)}/replay")).status_code == 404


async def test_an_endpoint_that_keeps_failing_is_paused_announced_and_resumed(
    admin: httpx.AsyncClient, database: Database, server: Endpoint, run_jobs: RunJobs
) -> None:
    hook = await make(admin, server)
    path = f"/v1/webhooks/{hook['id']}"
    server.says = lambda _: answer(500)
    await announce(database, "test.one")
    await send(database)
    async with database.connection() as connection:
        await connection.execute("UPDATE webhook SET failing_since = now() - interval '3 days'")
    await hurry(database)
    await send(database)
    paused = (await admin.get(path)).json()
    assert (paused["status"], paused["paused_reason"]) == ("paused", "nothing has been accepted for three days")
    await others_have_ended(database)
    (event,) = (await admin.get("/v1/events", params={"types": "webhook.paused"})).json()["items"]
    assert event["data"] == {"webhook_id": hook["id"], "reason": paused["paused_reason"]}
    server.says, before = (lambda _: answer(200)), len(server.received)
    await announce(database, "test.two")
    await hurry(database)
    await send(database)
    assert len(server.received) == before
    resumed = await admin.patch(path, json={"active": True}, headers={"If-Match": f'"{paused["version"]}"'})
    assert (resumed.status_code, resumed.json()["status"]) == (200, "active")
    await run_jobs()
    assert {json.loads(each.body)["type"] for each in server.received[before:]} == {"test.one", "test.two"}


async def test_an_endpoint_that_is_gone_is_paused_at_once(
    admin: httpx.AsyncClient, database: Database, server: Endpoint
) -> None:
    hook = await make(admin, server)
    server.says = lambda _: answer(410)
    await announce(database, "test.one")
    await send(database)
    assert (await admin.get(f"/v1/webhooks/{hook['id']}")).json()["status"] == "paused"


async def test_an_endpoint_that_hangs_keeps_nobody_waiting(
    admin: httpx.AsyncClient, database: Database, server: Endpoint
) -> None:
    async with endpoint() as slow:
        slow.hangs = 1.5
        await make(admin, slow)
        await make(admin, server)
        await announce(database, *["test.one"] * 12)
        arrived: list[float] = []

        def note(_: Received) -> bytes:
            arrived.append(time.monotonic())
            return answer(200)

        server.says = note
        started = time.monotonic()
        await send(database)
        assert len(arrived) == 12
        assert max(arrived) - started < 1.4
        assert slow.most_at_once <= dispatch.PER_ENDPOINT
        assert len(slow.received) == 12


async def test_a_secret_is_shown_once_and_rotated_with_a_day_of_both(
    admin: httpx.AsyncClient, database: Database, server: Endpoint, run_jobs: RunJobs
) -> None:
    hook = await make(admin, server)
    path = f"/v1/webhooks/{hook['id']}"
    assert hook["secret"].startswith("whsec_")
    assert hook["secret"] not in (await admin.get(path)).text + (await admin.get("/v1/webhooks")).text
    rotated = await admin.post(f"{path}/secret")
    assert rotated.headers["cache-control"] == "no-store"
    secrets = [hook["secret"], rotated.json()["secret"]]
    await admin.post(f"{path}/test")
    await run_jobs()
    assert all(verified(server.received[-1], each) for each in secrets)
    async with database.connection() as connection:
        await connection.execute("UPDATE webhook SET previous_secret_until = now()")
    await admin.post(f"{path}/test")
    await run_jobs()
    assert [verified(server.received[-1], each) for each in secrets] == [False, True]
    async with database.connection() as connection:
        kept = await connection.fetchval("SELECT string_agg(a::text, '') FROM audit_event a")
        kept += await connection.fetchval("SELECT coalesce(string_agg(j::text, ''), '') FROM job j")
    assert not any(each in kept for each in secrets)


async def test_a_test_reaches_the_endpoint_whatever_it_asks_for(
    admin: httpx.AsyncClient, server: Endpoint, run_jobs: RunJobs
) -> None:
    hook = await make(admin, server, "nothing.ever")
    made = await admin.post(f"/v1/webhooks/{hook['id']}/test")
    assert made.status_code == 202
    await run_jobs()
    (request,) = server.received
    assert json.loads(request.body)["type"] == "webhook.test"
    assert json.loads(request.body)["data"] == {"webhook_id": hook["id"]}
    assert request.headers["webhook-id"] == made.json()["id"]
    assert request.headers["content-type"] == "application/json"
    assert verified(request, hook["secret"])


async def test_an_inactive_webhook_gets_nothing_and_a_deleted_one_is_gone(
    admin: httpx.AsyncClient, database: Database, server: Endpoint, run_jobs: RunJobs
) -> None:
    hook = await make(admin, server)
    path = f"/v1/webhooks/{hook['id']}"
    assert (await admin.patch(path, json={"active": False})).json()["status"] == "inactive"
    await announce(database, "test.one")
    await run_jobs()
    await send(database)
    assert server.received == []
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get(path)).status_code == 404
    assert (await admin.get(f"{path}/deliveries")).status_code == 404


async def test_an_attempt_whose_worker_was_killed_is_made_again(
    admin: httpx.AsyncClient, database: Database, server: Endpoint
) -> None:
    hook = await make(admin, server)
    await announce(database, "test.one")
    await claimed.fan_out(database)
    (row,) = await claimed.due(database)
    assert len(await claimed.claim(database, row, 4)) == 1
    await send(database)
    assert server.received == [], "the lease is not over"
    await hurry(database)
    await send(database)
    assert len(server.received) == 1
    assert [each["attempts"] for each in await deliveries(admin, hook)] == [2]


async def test_what_happens_while_somebody_watches_is_sent_at_once(
    admin: httpx.AsyncClient, database: Database, server: Endpoint
) -> None:
    context = JobContext(database, {}, None, asyncio.Event())
    await asyncio.wait_for(dispatch.watch(context), timeout=2)  # without a webhook there is nothing to look after
    await make(admin, server)
    arrived = asyncio.Event()

    def note(_: Received) -> bytes:
        arrived.set()
        return answer(200)

    server.says = note
    watching = asyncio.create_task(dispatch.watch(context))
    await announce(database, "test.one")
    await asyncio.wait_for(arrived.wait(), timeout=5)
    context.stopping.set()
    await asyncio.wait_for(watching, timeout=3)


@pytest.mark.parametrize(
    "change", [{"url": None}, {"types": None}, {"active": None}, {"url": "https://127.1/"}, {"types": []}]
)
async def test_a_change_that_cannot_be_is_refused(
    admin: httpx.AsyncClient, server: Endpoint, change: dict[str, Any]
) -> None:
    hook = await make(admin, server)
    answered = await admin.patch(f"/v1/webhooks/{hook['id']}", json=change)
    assert answered.status_code == 422
    stale = await admin.patch(f"/v1/webhooks/{hook['id']}", json={"active": False}, headers={"If-Match": '"7"'})
    assert stale.status_code == 412


async def test_webhooks_are_for_those_who_may_see_everybody(make_user: Callable[..., Any]) -> None:
    for scope in ("own", "unit", "subtree"):
        client = await make_user({"webhooks:read": scope, "webhooks:write": scope})
        assert (await client.get("/v1/webhooks")).status_code == 403
        body = {"url": "https://hooks.example.com/", "types": ["*"]}
        assert (await client.post("/v1/webhooks", json=body)).status_code == 403
