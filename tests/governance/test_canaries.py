"""What is personal stands where it belongs and nowhere else, whatever is sent where; once erased, nowhere at all."""

import io
import json
import logging as standard
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import asyncpg
import httpx
import pytest

from app.core import logging
from app.core.db import Database
from app.core.http.docs import document
from app.main import create_app
from tests.conftest import MakeUser, RunJobs
from tests.customers.customers import create, external
from tests.feedback.asking import published
from tests.governance.test_forgetting import a_life
from tests.imports.sending import csv_of, started
from tests.webhooks.endpoint import Endpoint, answer, endpoint
from tests.webhooks.horizon import others_have_ended
from tests.webhooks.test_delivering import make, send

NAME, PHONE, EMAIL, REF = "Canary Birdsong", "+8613912345678", "canary@example.com", "CANARY-77"
CANARIES = ("canary", "birdsong", "3912345678")
AT = "2024-01-02T03:04:05Z"
NEVER_OF_ANYBODY = ("audit_event", "import_error", "job", "outbox_event", "webhook", "webhook_delivery", "pgqueuer%")
"""Tables that hold nothing personal of a customer at any time; the last are of the library that carries jobs."""
HEADERS = ("User-Agent", "Referer", "Cookie", "If-Match", "Idempotency-Key", "X-On-Behalf-Of", "X-Request-ID", "Accept")
DOCUMENT = document(create_app(url="postgresql://nowhere", secret="a secret that only the tests know, long enough"))
SCHEMAS = DOCUMENT["components"]["schemas"]
FILES = {
    "purchases": ("customer_ref,order_ref,occurred_at,amount", "SO-7,{at},5"),
    "interactions": ("customer_ref,reference,occurred_at,kind,minutes", "I-7,{at},call,canary said"),
    "feedback": ("customer_ref,reference,occurred_at,kind,channel,text", "F-7,{at},complaint,phone,canary complains"),
}


@pytest.fixture
def listening(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], Any]:
    """A block whose logs hold no canary: at every level, also of what the service is built on."""

    @contextmanager
    def block() -> Iterator[None]:
        caplog.set_level(standard.DEBUG)
        logging.configure("DEBUG", pretty=False)
        try:
            yield
        finally:
            logging.configure("CRITICAL", pretty=False)
        captured = capsys.readouterr()
        assert '"event": "request"' in captured.err
        # The tests' own client logs the addresses that it calls.
        others = [each.getMessage() for each in caplog.records if not each.name.startswith(("httpx", "httpcore"))]
        assert found_in("\n".join([captured.err, captured.out, *others])) == []

    return block


def found_in(text: str) -> list[str]:
    # Digits of an id may happen to be those of a phone number.
    plain = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|[0-9a-f]{32,}", "", text.lower())
    return [canary for canary in CANARIES if canary in plain]


async def tables(database: Database, *like: str) -> list[str]:
    """Names of tables that there are, the library's too."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tablename LIKE ANY ($1) ORDER BY 1",
            [*like] or ["%"],
        )
    return [row["name"] for row in rows]


async def holding(database: Database, *like: str) -> dict[str, list[str]]:
    """Tables in which a canary stands: in their texts, and in what they keep compressed."""
    found = {}
    for name in await tables(database, *like):
        async with database.connection() as connection:
            rows = await connection.fetch(f"SELECT t.*, t::text AS whole FROM {name} t")
        text = "\n".join(_text(row) for row in rows)
        if canaries := found_in(text):
            found[name] = canaries
    return found


def _text(row: asyncpg.Record) -> str:
    kept = [value for value in row.values() if isinstance(value, bytes)]
    return "\n".join([row["whole"], *(_opened(value) for value in kept)])


def _opened(value: bytes) -> str:
    try:
        return zlib.decompress(value).decode(errors="replace")
    except zlib.error:
        return value.decode(errors="replace")


@contextmanager
def refused(found: httpx.Response) -> Iterator[None]:
    assert found.status_code >= 400, found.text
    assert found.headers["content-type"] == "application/problem+json"
    assert not found_in(found.text), found.text
    yield


async def test_a_person_is_nowhere_but_in_their_record_and_gone_once_erased(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    make_user: MakeUser,
    setting: Callable[..., None],
    listening: Callable[[], Any],
) -> None:
    """Through every package: record, facts, surveys, files in and out, webhooks; then all tables are searched."""
    setting(webhook_http="true", webhook_private_hosts='["localhost"]', webhook_timeout="2")
    async with endpoint() as server, AsyncExitStack() as stack:
        stack.enter_context(listening())
        server.says = lambda request: answer(500, "Retry-After: 1", body=b"canary: " + request.body)
        await make(admin, server, "*")
        await lived_and_forgotten(admin, database, run_jobs, make_user, server)


async def lived_and_forgotten(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, make_user: MakeUser, server: Endpoint
) -> None:
    customer = await a_life(admin)
    path = f"/v1/customers/{customer}"
    await asked_and_answered(admin, customer)
    imports = [await imported(admin, kind) for kind in FILES]
    bad = await imported(admin, "interactions", row="I-8,canary,call,canary said")
    where = {"where": {"field": "region", "op": "is_null"}, "format": "csv"}
    export = await admin.post("/v1/exports", json=where)
    assert export.status_code == 202, export.text
    searched = {"where": {"not": {"tag": "none"}}}
    kept = {"Idempotency-Key": "a search"}
    assert NAME[:6] in (await admin.post("/v1/customers/search", json=searched, headers=kept)).text
    await run_jobs()
    await others_have_ended(database)
    await send(database)
    for each in [*imports, bad]:
        assert (await admin.get(f"/v1/imports/{each}")).json()["status"] == "completed"
    assert (await admin.get(f"/v1/imports/{bad}/errors")).json()["items"]
    assert found_in((await admin.get(f"/v1/exports/{export.json()['id']}/file")).text)

    twice = await admin.post("/v1/customers", json={"name": NAME, "identities": [external(REF)]})
    with refused(twice):
        assert twice.status_code == 409
    unknown = await admin.post(f"{path}/notes", json={"text": NAME, "name": PHONE})
    with refused(unknown):
        assert unknown.status_code == 422
    async with database.connection() as connection:
        await connection.execute(
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'row %', NEW; END $$"
        )
        await connection.execute("CREATE TRIGGER tell BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION tell()")
    broken = await admin.patch(path, json={"title": NAME})
    with refused(broken):
        assert broken.status_code == 500
    async with database.connection() as connection:
        await connection.execute("DROP FUNCTION tell CASCADE")

    assert server.received, "something was delivered, and failed"
    assert await holding(database, "customer")
    assert await holding(database, "feedback", "interaction", "customer_note")
    assert await holding(database, "export_piece"), "what is compressed is searched, too"
    assert await holding(database, *NEVER_OF_ANYBODY) == {}
    assert not found_in((await admin.get("/metrics")).text)
    assert [found_in(each.body.decode()) for each in server.received if found_in(each.body.decode())] == []
    masked = await make_user(dict.fromkeys(("customers:read", "purchases:read", "classes:read"), "all"))
    shown = await masked.get(path)
    assert not [each for each in ("3912345678", EMAIL, REF) if each in shown.text]

    about = {"customer_id": customer, "note": f"{NAME} asked from {PHONE}"}
    handed_out = (await admin.post("/v1/data-requests", json={**about, "kind": "export"})).json()
    file = f"/v1/data-requests/{handed_out['id']}"
    assert (await admin.post(f"{file}/complete")).status_code == 200
    assert zipfile.is_zipfile(io.BytesIO((await admin.get(f"{file}/file")).content))
    refused_one = (await admin.post("/v1/data-requests", json={**about, "kind": "erasure"})).json()
    why = {"reason": f"{NAME} owes us money"}
    assert (await admin.post(f"/v1/data-requests/{refused_one['id']}/reject", json=why)).status_code == 200
    to_forget = (await admin.post("/v1/data-requests", json={**about, "kind": "erasure"})).json()
    assert await holding(database, "data_request")
    assert await holding(database, *NEVER_OF_ANYBODY) == {}
    erased = await admin.post(f"/v1/data-requests/{to_forget['id']}/complete")
    assert erased.status_code == 200, erased.text
    assert (await admin.get(f"{file}/file")).status_code == 410
    assert await holding(database, "export_piece", "import_chunk", "idempotency_key", "%_import_row") == {}
    await run_jobs()
    await others_have_ended(database)
    await send(database)
    assert await holding(database) == {}
    for text in ("canary", "birdsong"):
        assert (await admin.get("/v1/customers", params={"text": text})).json()["items"] == []


async def asked_and_answered(admin: httpx.AsyncClient, customer: str) -> None:
    survey = await published(admin)
    body = {"customer_id": customer, "channel": "phone", "answers": {"delivery": 1, "why": "canary: late"}}
    assert (await admin.post(f"/v1/surveys/{survey}/responses", json=body)).status_code == 201


async def imported(admin: httpx.AsyncClient, kind: str, row: str | None = None) -> str:
    """A file of one row of the person."""
    header, usual = FILES[kind]
    rows = [[REF, *(row or usual).format(at=AT).split(",")]]
    currency = {"currency": "CNY"} if kind == "purchases" else {}
    return await started(admin, csv_of(rows, header), kind=kind, name=f"{kind}.csv", **currency)


# ---- whatever is sent where ------------------------------------------------------------------------------------------


def _filled(node: Any) -> Any:
    """The example with the canary in the place of every text."""
    if isinstance(node, dict):
        return {key: _filled(each) for key, each in node.items()}
    if isinstance(node, list):
        return [_filled(each) for each in node]
    return f"{NAME} {PHONE}" if isinstance(node, str) else node


def _bodies(operation: dict[str, Any]) -> Iterator[Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return
    schema = content["schema"]
    while "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rsplit("/", 1)[-1]]
    example = (schema.get("examples") or [content.get("example")])[0]
    yield _filled(example)
    yield {**example, "of_no_meaning": NAME}
    for field, value in example.items():
        yield {**example, field: _filled(value) if isinstance(value, str | list | dict) else f"{NAME} {PHONE}"}


async def test_no_refusal_and_no_log_repeats_what_was_sent(
    admin: httpx.AsyncClient, database: Database, listening: Callable[[], Any]
) -> None:
    """Every route, with the person in its path, in every parameter, header and text of its example, and in forms."""
    customer = (await create(admin))["id"]
    repeated = []
    count = 0
    with listening():
        for method, url, request in every_request(customer):
            found = await admin.request(method, url, **request)
            count += 1
            # Which columns a file has is said to whoever sent it: how else is the mapping put right?
            if found.status_code >= 400 and "files" not in request and found_in(found.text):
                repeated.append((method, url, request, found.text))
    assert repeated == [], json.dumps(repeated, default=str)
    assert count > 300
    assert not found_in((await admin.get("/metrics")).text)
    assert await holding(database, "job", "pgqueuer%") == {}
    async with database.connection() as connection:
        told = await connection.fetch("SELECT name, payload::text FROM outbox_event")
    # Tags are the company's words, not of one person: whoever renames one says its name.
    assert {row["name"] for row in told if found_in(row["payload"])} <= {"tag.replaced"}


def _forms() -> Iterator[dict[str, Any]]:
    """Files that cannot be taken as they are sent: the person in the file's name, its header, and each field."""
    usual = {"kind": "purchases", "currency": "CNY", "mapping": "{}", "create_customers": "false"}
    row = csv_of([[REF, "SO-7", AT, "5"]])
    yield {"data": usual, "files": {"file": (f"{NAME} {PHONE}.exe", b"\0\1")}}
    yield {"data": usual, "files": {"file": ("a.csv", f"{NAME},{PHONE},{EMAIL}\n1,2,3\n".encode())}}
    for name in usual:
        yield {"data": {**usual, name: f"{NAME} {PHONE}"}, "files": {"file": ("a.csv", row)}}
    yield {"data": {**usual, "mapping": json.dumps({"amount": NAME})}, "files": {"file": ("a.csv", row)}}
    yield {"data": {**usual, "skip_when": json.dumps({NAME: PHONE})}, "files": {"file": ("a.csv", row)}}


def every_request(customer: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            ids = iter([customer] if "/customers/{" in path else [])
            url = re.sub(r"\{[^}]+\}", lambda _: next(ids, str(uuid4())), path)  # noqa: B023  used at once
            query = {each["name"]: NAME for each in operation.get("parameters", []) if each["in"] == "query"}
            if query:
                yield method, url, {"params": query}
            if "{" in path:
                yield method, re.sub(r"\{[^}]+\}", quote(f"{NAME} {PHONE}"), path), {}
            yield method, url, {"headers": dict.fromkeys(HEADERS, f"{NAME} {PHONE}")}
            content = operation.get("requestBody", {}).get("content", {})
            if "multipart/form-data" in content:
                yield from ((method, url, form) for form in _forms())
            for body in _bodies(operation):
                yield method, url, {"json": body}
