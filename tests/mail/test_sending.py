"""Invitations and codes reach people by e-mail: once, or whoever waits for them is told; and nobody else."""

import asyncio
import re
import ssl
import uuid
from collections.abc import Callable
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import features
from app.core import telemetry
from app.core.db import Database
from app.core.jobs import JobContext, enqueue
from app.core.workers import Worker
from app.mail import sending
from app.mail.post import GIVEN_UP
from tests.conftest import ActAs
from tests.mail.conftest import Send
from tests.mail.postbox import Postbox, opened, text_of
from tests.self_service.letting_in import Customer, account, let_in, merged, record
from tests.webhooks.test_tls import certificate_of

PASSWORD = "three blue lanterns"
OLD, NEW = "mei@example.com", "mei.chen@example.com"
PAGE = "https://portal.acme.example/welcome"


async def mail_jobs(database: Database) -> list[tuple[str, int, str | None]]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT status, starts, error FROM job WHERE name = 'mail.send' ORDER BY id")
    return [(row["status"], row["starts"], row["error"]) for row in rows]


async def undelivered(database: Database) -> list[dict[str, Any]]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT payload FROM outbox_event WHERE name = 'mail.undelivered' ORDER BY id")
    return [row["payload"] for row in rows]


async def asked_for_another_address(me: Customer, address: str = NEW) -> None:
    answer = await me.client.patch("/v1/my/profile", json={"email": address})
    assert answer.status_code == 200, answer.text


def code_in(message: EmailMessage) -> str:
    [digits] = re.findall(r"^[0-9]{8}$", text_of(message), re.MULTILINE)
    return str(digits)


def token_in(message: EmailMessage) -> str:
    [token] = re.findall(r"^(?:\S+#invitation=)?([A-Za-z0-9_-]{54})$", text_of(message), re.MULTILINE)
    return str(token)


async def accepted(client: httpx.AsyncClient, token: str) -> int:
    body = {"token": token, "password": PASSWORD}
    return (await client.post("/v1/auth/invitations", json=body)).status_code


# ---- the whole way ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "page", "subject", "greeting"),
    [
        ("en-GB", None, "Your account with Acme 客服", "Dear Mei Chen,"),
        ("zh", PAGE, "您在Acme 客服的账户", "Mei Chen，您好："),
    ],
)
async def test_who_is_invited_by_e_mail_sets_a_password_with_what_arrives(
    admin: httpx.AsyncClient,
    client: httpx.AsyncClient,
    setting: Callable[..., None],
    box: Postbox,
    send: Send,
    language: str,
    page: str | None,
    subject: str,
    greeting: str,
) -> None:
    if page is not None:
        setting(invitation_url=page)
    customer_id = await record(admin, email=OLD, language=language)
    made = await account(admin, customer_id, username="mei", send="email")
    assert made["invitation"] is None
    assert made["expires_at"] is not None
    await send()
    assert box.taken[0][0] == [OLD]
    assert (box.only()["To"], box.only()["Subject"]) == (OLD, subject)
    assert box.only()["From"] == "Acme 客服 <service@acme.example>"
    said = text_of(box.only())
    assert said.startswith(greeting)
    assert (f"{PAGE}#invitation=" in said) is (page is not None)
    assert await accepted(client, token_in(box.only())) == 204
    login = {"username": "mei", "password": PASSWORD}
    assert (await client.post("/v1/auth/token", data=login)).status_code == 200
    assert await accepted(client, token_in(box.only())) == 410


@pytest.mark.parametrize(("language", "subject"), [("en", "Confirm your e-mail address"), ("zh", "确认您的电子邮箱")])
async def test_the_code_for_another_address_arrives_there_and_confirms_it(
    admin: httpx.AsyncClient, act_as: ActAs, box: Postbox, send: Send, language: str, subject: str
) -> None:
    me = await let_in(admin, act_as, name="http://pills.example buy", email=OLD, language=language)
    await asked_for_another_address(me)
    await send()
    assert box.taken[0][0] == [NEW]
    assert box.only()["Subject"] == subject
    assert "pills" not in str(box.only()), "whoever asks writes to strangers in our name"
    body = {"field": "email", "code": code_in(box.only())}
    confirmed = await me.client.post("/v1/my/profile/confirmations", json=body)
    assert (confirmed.status_code, confirmed.json()["email"]) == (200, NEW)


async def test_a_phone_number_is_confirmed_by_who_sends_messages(
    admin: httpx.AsyncClient, act_as: ActAs, box: Postbox, database: Database
) -> None:
    me = await let_in(admin, act_as)
    answer = await me.client.patch("/v1/my/profile", json={"phone": "+8613900001111"})
    assert answer.status_code == 200
    assert await mail_jobs(database) == []


async def test_without_a_server_nothing_is_sent_and_asking_for_it_is_refused(
    admin: httpx.AsyncClient, act_as: ActAs, database: Database
) -> None:
    me = await let_in(admin, act_as, email=OLD)
    await asked_for_another_address(me)
    for path in ("", "/invitations"):
        customer_id = me.id if path else await record(admin, email=OLD)
        answer = await admin.post(f"/v1/customers/{customer_id}/account{path}", json={"send": "email"})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/body/send")
    assert await mail_jobs(database) == []


async def test_who_has_no_address_or_no_need_of_an_invitation_is_not_invited_by_e_mail(
    admin: httpx.AsyncClient, box: Postbox, database: Database
) -> None:
    customer_id = await record(admin)
    path = f"/v1/customers/{customer_id}/account"
    assert (await admin.post(path, json={"send": "email"})).status_code == 422
    assert (await admin.get(path)).status_code == 404, "the account was opened, and nobody can enter it"
    user_id = (await admin.get("/v1/users")).json()["items"][0]["id"]
    assert (await admin.post(path, json={"send": "email", "user_id": user_id})).status_code == 422
    assert await mail_jobs(database) == []


# ---- a server that is not as it should be ----------------------------------------------------------------------------


async def test_a_server_that_is_down_gets_the_letter_later_and_once(
    admin: httpx.AsyncClient, act_as: ActAs, box: Postbox, send: Send, database: Database, setting: Callable[..., None]
) -> None:
    me = await let_in(admin, act_as)
    port = box.port
    async with opened(Postbox()) as other:
        down = other.port
    setting(smtp_url=f"smtp://127.0.0.1:{down}?tls=off")
    await asked_for_another_address(me)
    await send()
    await send()
    assert await mail_jobs(database) == [("queued", 0, None)], "waiting counts against it"
    setting(smtp_url=f"smtp://127.0.0.1:{port}?tls=off")
    await send()
    await send()
    assert len(box.taken) == 1
    assert await mail_jobs(database) == [("done", 1, None)]


@pytest.mark.parametrize("answers", [{"to_recipients": "451 try later"}, {"to_messages": "452 full"}, {"hangs": True}])
async def test_what_a_server_does_not_take_now_it_gets_again_as_the_same_message(
    admin: httpx.AsyncClient,
    act_as: ActAs,
    box: Postbox,
    send: Send,
    setting: Callable[..., None],
    database: Database,
    answers: dict[str, Any],
) -> None:
    me = await let_in(admin, act_as)
    await asked_for_another_address(me)
    with box.answering(**answers):
        setting(smtp_timeout=1 if "hangs" in answers else 10)
        await send()
    setting(smtp_timeout=10)
    assert (box.taken, await mail_jobs(database)) == ([], [("queued", 0, None)])
    await send()
    assert len(box.taken) == 1
    async with database.connection() as connection:
        job_id = await connection.fetchval("SELECT id FROM job WHERE name = 'mail.send'")
    assert box.only()["Message-ID"] == f"<{job_id}@acme.example>"


@pytest.mark.parametrize("answers", [{"to_recipients": "550 no such user"}, {"to_messages": "554 spam"}])
async def test_what_a_server_never_takes_is_given_up_at_once_and_announced(
    admin: httpx.AsyncClient, act_as: ActAs, box: Postbox, send: Send, database: Database, answers: dict[str, str]
) -> None:
    me = await let_in(admin, act_as)
    await asked_for_another_address(me)
    with box.answering(**answers):
        await send()
    await send()
    reason = f"the server refused it for good: {next(iter(answers.values()))[:3]}"
    assert box.tried == 1
    assert await mail_jobs(database) == [("dead", 1, reason)]
    [told] = await undelivered(database)
    assert (told["letter"], told["reason"], told["about"]["customer_id"]) == ("profile_change_code", reason, me.id)


async def test_what_cannot_be_delivered_in_time_is_given_up_and_announced(
    admin: httpx.AsyncClient, box: Postbox, send: Send, database: Database
) -> None:
    customer_id = await record(admin, email=OLD)
    await account(admin, customer_id, send="email", days=30)
    with box.answering(to_recipients="451 later"):
        await send()
        async with database.connection() as connection:
            age = GIVEN_UP - timedelta(minutes=10)
            await connection.execute("UPDATE job SET created_at = now() - $1::interval", age)
        await send()
    assert [status for status, _, _ in await mail_jobs(database)] == ["dead"]
    assert [told["reason"] for told in await undelivered(database)] == [
        "not delivered in time: the server answered 451"
    ]


async def test_a_server_that_hangs_holds_up_no_other_work(
    admin: httpx.AsyncClient, act_as: ActAs, box: Postbox, url: str, database: Database, setting: Callable[..., None]
) -> None:
    setting(smtp_timeout=5)
    for _ in range(6):
        await asked_for_another_address(await let_in(admin, act_as), f"{uuid.uuid4().hex}@example.com")
    done = asyncio.Event()

    async def other(context: JobContext) -> None:
        done.set()

    async with database.transaction() as session:
        await enqueue(session, "test.other", {})
    jobs = {**features.JOBS, "test.other": other}
    with box.answering(hangs=True):
        worker = Worker(database, jobs, [], concurrency=4, lanes=features.LANES)
        running = asyncio.create_task(worker.drain())
        await asyncio.wait_for(done.wait(), 4)
        worker.stop()
        await running
    assert box.tried <= 2


async def test_a_letter_whose_worker_died_is_the_same_message_when_it_comes_again(
    admin: httpx.AsyncClient, act_as: ActAs, box: Postbox, send: Send, database: Database
) -> None:
    me = await let_in(admin, act_as)
    await asked_for_another_address(me)
    await send()
    async with database.connection() as connection:
        await connection.execute("UPDATE job SET status = 'running' WHERE name = 'mail.send'")
        job_id = await connection.fetchval("SELECT id FROM job WHERE name = 'mail.send'")
        await connection.execute(
            "INSERT INTO pgqueuer (entrypoint, payload, status, priority) VALUES ('mail.send', $1, 'queued', 0)",
            job_id.bytes,
        )
    await send()
    first, second = [message for _, message in box.taken]
    assert first["Message-ID"] == second["Message-ID"]
    assert (first["Date"], first.get_content()) == (second["Date"], second.get_content())


# ---- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def trusted(tmp_path: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate_of("localhost", tmp_path))
    return context


@pytest.mark.parametrize("known", [True, False])
async def test_a_password_goes_only_to_a_server_whose_certificate_is_trusted(
    trusted: ssl.SSLContext,
    tmp_path: Path,
    known: bool,
    setting: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    sending._trusted.cache_clear()
    async with opened(Postbox(), tls=trusted, require_starttls=True, auth_require_tls=True) as box:
        setting(smtp_url=f"smtp://mei:p%40ss%20word@localhost:{box.port}", mail_from="service@acme.example")
        if known:
            await sending.send(_message())
        else:
            with pytest.raises(sending.Away):
                await sending.send(_message())
    sending._trusted.cache_clear()
    assert len(box.taken) == int(known)
    assert box.logins == ([(b"mei", b"p@ss word")] if known else [])


async def test_a_server_without_tls_gets_nothing_unless_that_is_set(setting: Callable[..., None]) -> None:
    async with opened(Postbox(), auth_require_tls=False) as box:
        setting(smtp_url=f"smtp://mei:p%40ss%20word@localhost:{box.port}", mail_from="service@acme.example")
        with pytest.raises(sending.Away):
            await sending.send(_message())
    assert (box.taken, box.logins) == ([], [])


def _message() -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "service@acme.example", "mei@example.com", "x"
    made.set_content("x")
    return made


# ---- what must not be sent, and where nothing may stand --------------------------------------------------------------


async def test_of_who_is_gone_nothing_is_sent_and_nothing_kept(
    admin: httpx.AsyncClient, act_as: ActAs, box: Postbox, send: Send, database: Database
) -> None:
    canary = uuid.uuid4().hex
    me = await let_in(admin, act_as, name=f"Mei {canary}", email=f"a{canary}@example.com")
    await asked_for_another_address(me, f"b{canary}@example.com")
    invited = await record(admin, name=canary, email=f"c{canary}@example.com")
    await account(admin, invited, send="email")
    with box.answering(to_recipients="451 later"):
        await send()
    for each in (me.id, invited):
        assert (await admin.post(f"/v1/customers/{each}/erasure")).status_code == 200
    await send()
    assert box.taken == []
    assert [status for status, _, _ in await mail_jobs(database)] == ["done", "done"]
    async with database.connection() as connection:
        for table in ("job", "pgqueuer", "pgqueuer_log", "outbox_event", "audit_event", "profile_change"):
            found = f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%' || $1 || '%'"
            assert await connection.fetchval(found, canary) == 0, table


async def test_an_invitation_that_comes_too_late_lets_nobody_in(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, box: Postbox, send: Send, database: Database
) -> None:
    used, closed, dismissed = [await record(admin, email=f"{n}@example.com") for n in "abc"]
    for each in (used, closed, dismissed):
        await account(admin, each, send="email")
    shown = await admin.post(f"/v1/customers/{used}/account/invitations", json={})
    assert await accepted(client, shown.json()["invitation"]) == 204
    assert (await admin.delete(f"/v1/customers/{closed}/account")).status_code == 204
    user_id = (await admin.get(f"/v1/customers/{dismissed}/account")).json()["user_id"]
    assert (await admin.delete(f"/v1/users/{user_id}")).status_code == 204
    await send()
    assert box.taken == [], "who has a password is sent another way in"
    assert [status for status, _, _ in await mail_jobs(database)] == ["done"] * 3


async def test_another_request_calls_the_first_code_off_and_a_merge_sends_to_the_survivor(
    admin: httpx.AsyncClient, act_as: ActAs, box: Postbox, send: Send
) -> None:
    me = await let_in(admin, act_as)
    for address in ("one@example.com", "two@example.com"):
        await asked_for_another_address(me, address)
    invited = await record(admin, email="old@example.com")
    await account(admin, invited, send="email")
    await merged(admin, await record(admin, email="new@example.com"), invited)
    await send()
    assert sorted(to for to, _ in box.taken) == [["new@example.com"], ["two@example.com"]]


async def test_nobody_reads_addresses_or_codes_in_jobs_logs_and_metrics(
    admin: httpx.AsyncClient,
    act_as: ActAs,
    box: Postbox,
    send: Send,
    database: Database,
    capsys: pytest.CaptureFixture[str],
) -> None:
    canary = uuid.uuid4().hex
    me = await let_in(admin, act_as, name=f"Mei {canary}", email=f"a{canary}@example.com")
    await asked_for_another_address(me, f"b{canary}@example.com")
    again = await admin.post(f"/v1/customers/{me.id}/account/invitations", json={"send": "email"})
    assert again.status_code == 201
    with box.answering(to_recipients=f"451 <b{canary}@example.com> later"):
        await send()
    with box.answering(to_messages=f"550 <b{canary}@example.com> never"):
        await send()
    async with database.connection() as connection:
        for table in ("job", "pgqueuer", "pgqueuer_log", "outbox_event", "audit_event"):
            found = f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%' || $1 || '%'"
            assert await connection.fetchval(found, canary) == 0, table
    assert canary not in telemetry.exposition().decode()
    printed = capsys.readouterr()
    assert canary not in printed.out + printed.err
    assert 'strata_mails_total{letter="account_invitation",outcome="undelivered"}' in telemetry.exposition().decode()
