"""Whoever is erased while a file that names them is on its way in is not brought back by it."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core.db import Database, WriteSession
from app.core.jobs import Interrupted, JobContext
from app.imports import forgetting
from app.imports.engine import run_import
from app.imports.kinds import Batch, Merged
from app.imports.runs import Run
from tests.conftest import RunJobs
from tests.customers.customers import create, external
from tests.governance.test_forgetting import everything
from tests.imports.sending import csv_of, errors, shown, started

REF, OTHER = "CANARY-77", "C-2"
AT = "2024-01-02T03:04:05Z"
FILES = {
    "purchases": ("customer_ref,order_ref,occurred_at,amount,product_name", ("SO", AT, "5", "tea")),
    "interactions": ("customer_ref,reference,occurred_at,kind,minutes", ("I", AT, "call", "canary said")),
    "feedback": (
        "customer_ref,reference,occurred_at,kind,channel,text",
        ("F", AT, "complaint", "phone", "canary complains"),
    ),
}
EACH = pytest.mark.parametrize("kind", FILES)


async def sent(admin: httpx.AsyncClient, kind: str, **form: Any) -> str:
    """An import of a row of each of two customers, one of whom is there."""
    header, (reference, *said) = FILES[kind]
    plain = [each.replace("canary ", "") for each in said]
    rows = [[REF, f"{reference}-1", *said], [OTHER, f"{reference}-2", *plain]]
    form = {"currency": "CNY"} | form if kind == "purchases" else form
    return await started(admin, csv_of(rows, header), kind=kind, **form)


async def person(admin: httpx.AsyncClient) -> str:
    return str((await create(admin, name="Canary", identities=[external(REF)]))["id"])


async def erased(admin: httpx.AsyncClient, customer: str) -> None:
    answer = await admin.post(f"/v1/customers/{customer}/erasure")
    assert answer.status_code == 200, answer.text


def context(database: Database, *, stopping: bool = False) -> JobContext:
    event = asyncio.Event()
    if stopping:
        event.set()
    return JobContext(database, {}, None, event)


async def begun(database: Database, import_id: str) -> Run:
    run = await Run.begin(database, UUID(import_id), correlation_id=None)
    assert run is not None
    return run


async def read(database: Database, import_id: str) -> None:
    """The whole file waits in the staging table, and the worker is gone."""
    with pytest.raises(Interrupted):
        await run_import(context(database, stopping=True), await begun(database, import_id))


async def nothing_is_left(admin: httpx.AsyncClient, database: Database, import_id: str) -> None:
    found = await shown(admin, import_id)
    assert (found["status"], found["accepted"], found["rejected"]) == ("completed", 1, 1)
    ((line, field, _),) = await errors(admin, import_id)
    assert (line, field) == (2, "customer_ref")
    assert "canary" not in (await everything(database)).lower()
    names = [each["name"] for each in (await admin.get("/v1/customers")).json()["items"]]
    assert sorted(names) == [OTHER, "erased"]
    async with database.connection() as connection:
        assert not await connection.fetchval("SELECT count(*) FROM import WHERE forgotten <> '{}'")


@EACH
async def test_what_waits_to_be_merged_goes_at_once(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, kind: str
) -> None:
    customer, import_id = await person(admin), await sent(admin, kind)
    await read(database, import_id)
    assert "canary" in (await everything(database)).lower()
    await erased(admin, customer)
    assert "canary" not in (await everything(database)).lower()
    assert (await errors(admin, import_id)) == [(2, "customer_ref", forgetting.ERASED)]
    await run_jobs()
    await nothing_is_left(admin, database, import_id)


@EACH
async def test_what_is_yet_to_be_read_is_refused(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, kind: str
) -> None:
    customer, import_id = await person(admin), await sent(admin, kind)
    await erased(admin, customer)
    await run_jobs()
    await nothing_is_left(admin, database, import_id)


async def test_a_file_that_is_read_again_forgets_again(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    customer, import_id = await person(admin), await sent(admin, "interactions")
    await read(database, import_id)
    await erased(admin, customer)
    async with database.connection() as connection:  # as a crash of the server leaves an unlogged table
        await connection.execute("TRUNCATE interaction_import_row")
    await run_jobs()
    await nothing_is_left(admin, database, import_id)


@EACH
async def test_a_merge_that_waits_for_the_erasure_writes_nothing_of_the_person(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, kind: str
) -> None:
    customer, import_id = await person(admin), await sent(admin, kind)
    await read(database, import_id)
    async with database.transaction() as session:
        await session.connection.execute("SELECT 1 FROM customer WHERE id = $1 FOR UPDATE", UUID(customer))
        merging = asyncio.create_task(run_import(context(database), await begun(database, import_id)))
        await somebody_waits(database)
        erasing = asyncio.create_task(erased(admin, customer))
    await asyncio.gather(merging, erasing)
    assert "canary" not in (await everything(database)).lower()
    names = [each["name"] for each in (await admin.get("/v1/customers")).json()["items"]]
    assert sorted(names) == [OTHER, "erased"]


async def somebody_waits(database: Database) -> None:
    """Until a statement waits for a lock. Raises TimeoutError after half a minute."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"
    async with database.connection() as connection:
        name = await connection.fetchval("SELECT current_database()")
        for _ in range(3000):
            if await connection.fetchval(waiting, name):
                return
            await asyncio.sleep(0.01)
    raise TimeoutError


@dataclass
class Interposed:
    """A kind between whose merging and whose checkpoint something happens, once."""

    kind: Any
    happens: Any
    merges: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kind, name)

    async def merge(self, session: WriteSession, batch: Batch) -> Merged:
        merged: Merged = await self.kind.merge(session, batch)
        self.merges += 1
        if self.merges == 1:
            await self.happens()
        return merged


@EACH
async def test_a_batch_that_was_merged_when_somebody_is_erased_is_merged_again(
    admin: httpx.AsyncClient, database: Database, kind: str
) -> None:
    """A dry run holds nobody, so that the erasure need not wait for it."""
    customer, import_id = await person(admin), await sent(admin, kind, dry_run=True)
    await read(database, import_id)
    run = await begun(database, import_id)
    interposed = Interposed(run.kind, lambda: erased(admin, customer))
    await run_import(context(database), replace(run, kind=interposed))
    assert interposed.merges == 2
    found = await shown(admin, import_id)
    assert (found["status"], found["accepted"], found["rejected"]) == ("completed", 1, 1)
    assert "canary" not in (await everything(database)).lower()
