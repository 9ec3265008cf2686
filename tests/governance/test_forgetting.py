"""Erased means erased, handed over means all: in every table, of one person and of nobody else."""

import io
import json
import os
import uuid
import zipfile
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import Table, insert

from app.core import clock, personal
from app.core.db import Database
from app.core.errors import Invalid
from app.core.settings import get_settings
from app.customers.models import customer_note
from app.features import metadata
from app.governance import erasure
from app.identity.actor import SYSTEM
from tests.conftest import MakeUser, RunJobs, url_of
from tests.customers.customers import create, external
from tests.governance.test_personal_columns import OF_A_CUSTOMER, TECHNICAL
from tests.webhooks.horizon import others_have_ended

PHONE, EMAIL, ANOTHER = "+8613912345678", "canary@example.com", "CANARY-77"
WORD = "canary"
CANARIES = (WORD, "13912345678", "3912345678")
NEVER = json.dumps({"customer_id": str(uuid.UUID(int=0)), "erased_at": "never", "erased_by": "y"})


async def a_life(admin: httpx.AsyncClient) -> str:
    """A customer of whom something personal stands in every place that can hold it."""
    fields = {"key": "motto", "title": "Motto", "type": "text"}
    await admin.post("/v1/custom-fields", json=fields)
    made = await create(
        admin,
        name="Canary One",
        title="Canary",
        phone=PHONE,
        email=EMAIL,
        tags=["tea"],
        custom={"motto": WORD},
        identities=[external(ANOTHER)],
    )
    path = f"/v1/customers/{made['id']}"
    told = {
        "kind": "meeting",
        "occurred_at": "2024-01-02T03:04:05Z",
        "subject": WORD,
        "minutes": WORD,
        "contacts": [{"name": WORD}],
        "next_step": {"what": WORD, "due_on": "2024-02-01"},
        "attachments": [{"file_name": "canary.txt", "location": "https://example.com/canary"}],
    }
    consent = {"channel": "email", "purpose": "news", "status": "given", "source": WORD}
    spoken = await _posted(admin, f"{path}/interactions", told)
    corrected = await admin.patch(f"{path}/interactions/{spoken['id']}", json={"minutes": "canary!", "reason": WORD})
    assert corrected.status_code == 200, corrected.text
    await _posted(admin, f"{path}/notes", {"text": WORD}, key="note-1")
    address = {"kind": "home", "country": "CN", **dict.fromkeys(("recipient", "lines", "city"), WORD)}
    await _posted(admin, f"{path}/addresses", address, key="address-1")
    await _posted(admin, f"{path}/contacts", {"name": WORD, "role": "buyer"}, key="contact-1")
    await _posted(admin, f"{path}/consents", consent)
    said = {"kind": "complaint", "channel": "phone", "text": WORD, "occurred_at": "2024-01-02T03:04:05Z"}
    await _posted(admin, f"{path}/feedback", said)
    await _posted(admin, "/v1/data-requests", {"customer_id": made["id"], "kind": "export", "note": WORD})
    await _posted(admin, f"{path}/purchases", {"occurred_at": "2024-01-02T03:04:05Z", "amount": "12.34"})
    override = {"class": "high", "reason": WORD, "expires_at": None}
    put = await admin.put(f"{path}/classes/value/override", json=override)
    assert put.status_code < 300, put.text
    twin = await create(admin, name="Canary Two", email="canary.two@example.com", identities=[external("CANARY-78")])
    await _posted(admin, f"/v1/customers/{twin['id']}/notes", {"text": WORD})
    both = {"survivor_id": made["id"], "merged_id": twin["id"], "take": ["email"]}
    await _posted(admin, "/v1/customers/merges", both)
    return str(made["id"])


async def _posted(admin: httpx.AsyncClient, path: str, body: dict[str, Any], *, key: str | None = None) -> Any:
    answer = await admin.post(path, json=body, headers={"Idempotency-Key": key} if key else {})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def _what_waits(database: Database, customer: str, other: str) -> None:
    """What stands for minutes only, or needs a second customer."""
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO duplicate_dismissal (customer_id, other_id, why, dismissed_by) VALUES ($1, $2, $3, 'user:x')",
            *sorted([customer, other]),
            WORD,
        )
        await connection.execute(
            "INSERT INTO profile_change (customer_id, field, value, expires_at)"
            " VALUES ($1, 'email', $2, now() + interval '1 hour')",
            customer,
            EMAIL,
        )


async def everything(database: Database) -> str:
    """Every row of every table, as text."""
    async with database.connection() as connection:
        texts = [
            await connection.fetchval(
                f"SELECT string_agg(t::text, E'\\n') FROM {table.schema or 'public'}.\"{table.name}\" t"
            )
            for table in metadata.sorted_tables
        ]
    return "\n".join(text or "" for text in texts)


async def rows_of(database: Database, table: Table, customer_id: str) -> list[Any]:
    whose = "id" if table.name == "customer" else "customer_id"
    async with database.connection() as connection:
        found: list[Any] = await connection.fetch(
            f'SELECT * FROM "{table.name}" WHERE {whose} = $1', uuid.UUID(customer_id)
        )
    return found


async def test_after_an_erasure_nothing_personal_is_left_anywhere(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    customer = await a_life(admin)
    other = await create(admin, name="Somebody Else", phone="+8613800000001")
    await _what_waits(database, customer, other["id"])
    searched = {"field": "email", "op": "eq", "value": EMAIL}
    moved = await admin.post(
        "/v1/customers/transfers", json={"to": {"owner_id": None}, "where": searched, "dry_run": True}
    )
    assert moved.status_code == 202, moved.text
    await run_jobs()
    before = await everything(database)
    assert all(canary in before.lower() for canary in CANARIES)
    holding = [table for table in OF_A_CUSTOMER if table.name not in TECHNICAL and personal.columns_of(table)]
    assert [table.name for table in holding if not await rows_of(database, table, customer)] == []

    answer = await admin.post(f"/v1/customers/{customer}/erasure")
    assert answer.status_code == 200, answer.text
    assert answer.json()["customer_id"] == customer
    await run_jobs()
    after = (await everything(database)).lower()
    assert [canary for canary in CANARIES if canary in after] == []
    assert (await admin.get(f"/v1/customers/{other['id']}")).json()["phone"] == "+8613800000001"

    shown = (await admin.get(f"/v1/customers/{customer}")).json()
    assert (shown["name"], shown["phone"], shown["identities"]) == ("erased", None, [])
    bought = (await admin.get(f"/v1/customers/{customer}/purchases")).json()["items"]
    assert [each["amount"] for each in bought] == ["12.34"]
    assert (await admin.get(f"/v1/customers/{customer}/consents")).json()["items"] == []
    await others_have_ended(database)
    told = (await admin.get("/v1/events", params={"limit": 200})).json()["items"]
    erased = [each["data"]["customer_id"] for each in told if each["type"] == "customer.erased"]
    assert (erased[0], len(erased)) == (customer, 2), "whoever was merged into the customer is erased, too"


async def test_an_answer_that_named_the_person_is_not_given_again(admin: httpx.AsyncClient) -> None:
    customer = await a_life(admin)
    again = {"Idempotency-Key": "note-1"}
    path = f"/v1/customers/{customer}/notes"
    assert (await admin.post(path, json={"text": WORD}, headers=again)).json()["text"] == WORD
    await admin.post(f"/v1/customers/{customer}/erasure")
    repeated = await admin.post(path, json={"text": WORD}, headers=again)
    assert repeated.status_code == 409, repeated.text
    assert WORD not in repeated.text


async def test_who_was_erased_is_listed_once_whatever_comes_later(
    admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    customer = await a_life(admin)
    first = (await admin.post(f"/v1/customers/{customer}/erasure")).json()
    await _posted(admin, f"/v1/customers/{customer}/notes", {"text": WORD})
    second = (await admin.post(f"/v1/customers/{customer}/erasure")).json()
    assert second["erased_at"] > first["erased_at"]
    assert (await admin.get(f"/v1/customers/{customer}/notes")).json()["items"] == []
    listed = (await admin.get("/v1/erasures")).json()["items"]
    assert (len(listed), second in listed) == (2, True), "the other is whoever was merged into the customer"
    narrow = await make_user({"customers:erase": "own"})
    assert (await narrow.get("/v1/erasures")).status_code == 403
    assert (await narrow.post(f"/v1/customers/{customer}/erasure")).status_code == 404


async def test_a_backup_that_is_put_back_forgets_again(admin: httpx.AsyncClient, database: Database, app: Any) -> None:
    """A copy of the database made before the erasure is the backup."""
    customer = await a_life(admin)
    async with database.connection() as connection:
        name = await connection.fetchval("SELECT current_database()")
    backup = f"{name}_backup"
    server = await asyncpg.connect(os.environ["STRATA_TEST_SERVER"])
    sessions = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1"
    await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await server.fetch(sessions, name)
    await server.execute(f"CREATE DATABASE {backup} TEMPLATE {name} STRATEGY FILE_COPY")
    await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    original = await _connected(url_of(name))
    restored = await _connected(url_of(backup))
    try:
        async with original.transaction(principal="user:x") as session:
            await erasure.erase(session, SYSTEM, uuid.UUID(customer))
        kept = [json.dumps(each) async for each in erasure.tombstones(original.reading())]
        assert WORD in (await everything(restored)).lower()
        stones = [erasure.read(number, line) for number, line in enumerate(kept, start=1)]
        assert len(stones) == 2, "one of them is of whoever was merged into the customer"
        assert await erasure.replay(restored, stones) == (1, 1)
        assert [each for each in CANARIES if each in (await everything(restored)).lower()] == []
        assert await erasure.replay(restored, stones) == (0, 2)
        nobody = [erasure.Tombstone(uuid.uuid4(), clock.now(), "user:x")]
        assert await erasure.replay(restored, nobody) == (0, 1)
        # Written about again and erased again; the backup is of in between, and has the first tombstone.
        async with restored.transaction(principal="user:x") as session:
            written = dict.fromkeys(("created_by", "updated_by"), "user:x")
            await session.execute(insert(customer_note).values(customer_id=uuid.UUID(customer), text=WORD, **written))
        later = [each._replace(erased_at=clock.now()) for each in stones]
        assert await erasure.replay(restored, later) == (1, 1)
        assert WORD not in (await everything(restored)).lower()
    finally:
        await original.close()
        await restored.close()
        await server.execute(f"DROP DATABASE {backup} WITH (FORCE)")
        await server.close()


async def _connected(url: str) -> Database:
    return await Database.connect(url, get_settings(), size=2)


@pytest.mark.parametrize("line", ["", "{", "[]", "{}", '{"customer_id": "x", "erased_by": "y"}', "1", NEVER])
def test_a_line_that_is_no_tombstone_is_named(line: str) -> None:
    with pytest.raises(Invalid) as found:
        erasure.read(7, line)
    assert found.value.errors[0].pointer == "/7"


async def test_all_that_is_kept_is_handed_over_and_only_of_the_one(
    admin: httpx.AsyncClient, database: Database, make_user: MakeUser
) -> None:
    customer, other = await a_life(admin), (await create(admin, name="Somebody Else"))["id"]
    answer = await admin.get(f"/v1/customers/{customer}/data")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["customer_id"] == customer
    for table in OF_A_CUSTOMER:
        if table.name in TECHNICAL:
            continue
        lines = archive.read(f"{table.name}.ndjson").decode().splitlines()
        stored = await rows_of(database, table, customer)
        assert len(lines) == len(stored)
        for line, row in zip(map(json.loads, lines), sorted(stored, key=lambda row: _key(table, row)), strict=True):
            assert {name: str(row[name]) for name in _ids(table)} == {name: str(line[name]) for name in _ids(table)}
        assert other not in "".join(lines)
    assert {each["name"]: each["rows"] for each in manifest["files"]}["customer_note.ndjson"] == 2
    assert PHONE in archive.read("customer.ndjson").decode()
    audited = (await admin.get("/v1/audit", params={"action": "customer.handed_over"})).json()["items"]
    assert [each["resource_id"] for each in audited] == [customer]
    narrow = await make_user({"customers:hand_over": "own"})
    assert (await narrow.get(f"/v1/customers/{customer}/data")).status_code == 404


def _ids(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


def _key(table: Table, row: Any) -> Any:
    return tuple(row[name] for name in _ids(table))
