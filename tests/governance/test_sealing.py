"""The chain of seals: whatever is done to what was audited is found, and nothing that was audited is left out."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from app.core import audit
from app.core.checks import findings
from app.core.db import Database
from app.core.jobs import JobContext
from app.governance import sealing
from app.governance.checks import CHECKS
from app.identity.actor import SYSTEM

CHANGED, MISSING, ORDER, BEHIND = (check.promise for check in CHECKS[2:])
Seal = Callable[[], Awaitable[list[int]]]


async def broken(database: Database) -> set[str]:
    return {each.promise async for each in findings(database, CHECKS) if each.violations}


async def write(database: Database, *actions: str) -> None:
    for action in actions:
        async with database.transaction() as session:
            audit.record(session, SYSTEM, f"test.{action}", "test", action, before={"a": 1}, after={"a": "é"})


@pytest.fixture
def seal(database: Database) -> Seal:
    """Run the job; gives how many events each seal holds by now."""

    async def sealed() -> list[int]:
        await sealing.seal(JobContext(database, {}, None, asyncio.Event()))
        async with database.connection() as connection:
            rows = await connection.fetch("SELECT cardinality(events) AS held FROM audit_seal ORDER BY sequence")
        return [row["held"] for row in rows]

    return sealed


async def test_every_event_is_under_one_seal_and_quiet_times_make_none(
    database: Database, seal: Seal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.connection() as connection:
        before = await connection.fetchval("SELECT count(*) FROM audit_event")
    await write(database, "a", "b", "c")
    first = await seal()
    assert first == [before + 3]
    assert await seal() == first
    monkeypatch.setattr(sealing, "BATCH", 2)
    await write(database, *"defgh")
    assert await seal() == [*first, 2, 2, 1]
    assert await seal() == [*first, 2, 2, 1]
    assert await broken(database) == set()
    async with database.connection() as connection:
        twice = "SELECT count(*) - count(DISTINCT id) FROM (SELECT unnest(events) AS id FROM audit_seal) AS named"
        assert await connection.fetchval(twice) == 0


async def test_a_run_that_was_cut_short_is_taken_up_again(
    database: Database, seal: Seal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(database, *"abcdef")
    monkeypatch.setattr(sealing, "BATCH", 2)
    put, calls = sealing._put, 0

    async def failing(*args: Any) -> bytes:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ConnectionResetError
        return await put(*args)

    monkeypatch.setattr(sealing, "_put", failing)
    with pytest.raises(ConnectionResetError):
        await seal()
    assert await broken(database) == set()
    await seal()
    async with database.connection() as connection:
        events = await connection.fetchval("SELECT count(*) FROM audit_event")
    assert sum(await seal()) == events
    assert await broken(database) == set()


async def test_what_is_committed_late_is_in_a_later_seal(database: Database, seal: Seal) -> None:
    await write(database, "before")
    async with database.transaction() as late:
        audit.record(late, SYSTEM, "test.late", "test", "late")
        await late.flush()
        await write(database, "meanwhile")
        first = await seal()
        await write(database, "after")
        second = await seal()
    assert second == [*first, 1]
    assert await seal() == [*first, 1, 1]
    assert await broken(database) == set()
    async with database.connection() as connection:
        last = await connection.fetchval(
            "SELECT action FROM audit_event, audit_seal WHERE id = events[1] ORDER BY sequence DESC LIMIT 1"
        )
    assert last == "test.late"


TAMPERING = {
    "a value": ("UPDATE audit_event SET after = '{\"a\": 2}' WHERE action = 'test.b'", {CHANGED}),
    "the actor": ("UPDATE audit_event SET actor_id = uuidv7() WHERE action = 'test.b'", {CHANGED}),
    "the instant": ("UPDATE audit_event SET at = at - interval '1 us' WHERE action = 'test.b'", {CHANGED}),
    "a value moved into the next field": (
        "UPDATE audit_event SET resource = 'testb', resource_id = '' WHERE action = 'test.b'",
        {CHANGED},
    ),
    "an event is gone": ("DELETE FROM audit_event WHERE action = 'test.b'", {CHANGED, MISSING}),
    "two events in each other's place": (
        "UPDATE audit_event a SET action = b.action, resource_id = b.resource_id FROM audit_event b"
        " WHERE (a.action, b.action) IN (('test.b', 'test.c'), ('test.c', 'test.b'))",
        {CHANGED},
    ),
    "an event that never was": (
        "INSERT INTO audit_event (id, actor_kind, action, resource, resource_id)"
        " VALUES (uuidv7(interval '-1 day'), 'user', 'test.x', 'test', 'x')",
        {BEHIND},
    ),
    "an event is taken out of its seal": (
        "UPDATE audit_seal SET events = events[2:] WHERE sequence = 2",
        {CHANGED},
    ),
    "a seal made anew for what was changed": (
        "UPDATE audit_seal SET hash = sha256(hash) WHERE sequence = 2",
        {CHANGED, ORDER},
    ),
    "a seal is gone": ("DELETE FROM audit_seal WHERE sequence = 2", {ORDER}),
    "the first seal is gone": ("DELETE FROM audit_seal WHERE sequence = 1", {ORDER}),
}


@pytest.mark.parametrize("what", TAMPERING)
async def test_whatever_is_done_to_the_trail_is_found(database: Database, seal: Seal, what: str) -> None:
    for action in "abcd":
        await write(database, action)
        await seal()
    assert await broken(database) == set()
    statement, found = TAMPERING[what]
    async with database.connection() as connection, connection.transaction():
        for table in ("audit_event", "audit_seal"):
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER kept")
        assert (await connection.execute(statement)).rsplit(" ", 1)[-1] != "0"
        for table in ("audit_event", "audit_seal"):
            await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER kept")
    assert found <= await broken(database)


@pytest.mark.parametrize("table", ["audit_event", "audit_seal"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET at = now()", "DELETE FROM {}", "TRUNCATE {}"])
async def test_the_service_can_neither_change_nor_delete(
    admin: httpx.AsyncClient, database: Database, table: str, statement: str
) -> None:
    async with database.connection() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement.format(table))
