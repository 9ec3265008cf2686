"""What belongs to a change stands or falls with it: audit, outbox, jobs."""

import contextlib
import dataclasses
from typing import Any, ClassVar
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from app.core import audit, events, outbox
from app.core.db import Database, NotCommitted, WriteSession
from app.core.jobs import enqueue
from app.identity.actor import SYSTEM

COUNT = "SELECT (SELECT count(*) FROM audit_event) + (SELECT count(*) FROM outbox_event) + (SELECT count(*) FROM job)"


@dataclasses.dataclass(frozen=True)
class Happened:
    name: ClassVar[str] = "test.happened"
    stored: ClassVar[bool] = True
    what: str


async def _change(session: WriteSession) -> None:
    audit.record(
        session, SYSTEM, "test.changed", "test", 1, before={"a": 1}, after={"a": 2, "name": "Li"}, personal=NAME
    )
    await events.publish(session, Happened("a"))
    await enqueue(session, "test.job", {"a": 1})


NAME = frozenset({"name"})


async def test_audit_outbox_and_job_are_written_with_the_change(database: Database) -> None:
    before = await database.reading().scalar(text(COUNT))
    async with database.transaction(correlation_id="c-1") as session:
        await _change(session)
    assert await database.reading().scalar(text(COUNT)) == before + 3
    row: Any = await database.reading().first(text("SELECT * FROM audit_event WHERE action = 'test.changed'"))
    assert (row["request_id"], row["actor_kind"], row["before"]) == ("c-1", "system", {"a": 1})
    assert row["after"]["a"] == 2
    assert set(row["after"]["name"]) == {"personal"}, "personal data is kept by reference"
    event: Any = await database.reading().first(text("SELECT * FROM outbox_event WHERE name = 'test.happened'"))
    assert (event["payload"], event["correlation_id"]) == ({"what": "a"}, "c-1")


@pytest.mark.parametrize("at", ["before the flush", "after the flush"])
async def test_audit_outbox_and_job_are_rolled_back_with_the_change(database: Database, at: str) -> None:
    before = await database.reading().scalar(text(COUNT))
    carried = await database.reading().scalar(text("SELECT count(*) FROM pgqueuer"))
    with pytest.raises(ZeroDivisionError):
        await _fail(database, at)
    assert await database.reading().scalar(text(COUNT)) == before
    assert await database.reading().scalar(text("SELECT count(*) FROM pgqueuer")) == carried


async def _fail(database: Database, at: str) -> None:
    async with database.transaction() as session:
        await _change(session)
        if at == "after the flush":
            await session.flush()
        raise ZeroDivisionError


async def test_a_commit_of_a_transaction_in_which_a_statement_failed_is_no_commit(database: Database) -> None:
    announced: list[int] = []
    with pytest.raises(NotCommitted):
        await _go_on_after_a_failure(database, announced)
    assert not announced
    assert await database.reading().scalar(text("SELECT count(*) FROM org_unit WHERE name = 'half'")) == 0


async def _go_on_after_a_failure(database: Database, announced: list[int]) -> None:
    async with database.transaction() as session:
        await session.execute(text("INSERT INTO org_unit (name) VALUES ('half')"))
        session.after_commit.append(lambda: announced.append(1))
        with contextlib.suppress(asyncpg.DivisionByZeroError):  # as a careless handler would
            await session.scalar(text("SELECT 1 / 0"))


async def test_an_inline_handler_joins_the_transaction_and_answers_the_announcer(database: Database) -> None:
    async def hear(session: WriteSession, event: Happened) -> dict[str, Any]:
        assert await session.scalar(text("SELECT count(*) FROM org_unit WHERE name = 'seen'")) == 1
        return {"heard": event.what}

    events.subscribe({Happened: hear})
    events.subscribe({Happened: hear})
    try:
        async with database.transaction() as session:
            await session.execute(text("INSERT INTO org_unit (name) VALUES ('seen')"))
            assert await events.publish(session, Happened("b")) == {"heard": "b"}
    finally:
        events._handlers.pop(Happened)


async def test_rows_written_behind_keep_every_kind_of_value(database: Database) -> None:
    payload = {"text": 'quote " and \\ and 客户', "none": None, "number": 1.5, "list": [1, [2]], "id": UUID(int=7)}
    async with database.transaction() as session:
        for _ in range(3):
            outbox.store(session, "test.values", payload)
    rows = await database.reading().all(text("SELECT payload FROM outbox_event WHERE name = 'test.values'"))
    assert [row["payload"] for row in rows] == [payload | {"id": str(UUID(int=7))}] * 3
