"""Runs an import: read the file into the staging table, then merge that, bucket after bucket.

Reading parses in a thread while the block before is on its way to the database. Each block and each batch of
buckets is one transaction with its checkpoint, so that whatever is killed is taken up where it was.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg

from app.core.db import WriteSession
from app.core.jobs import Interrupted, JobContext
from app.core.settings import get_settings
from app.imports import storage
from app.imports.formats import FileError
from app.imports.kinds import BUCKETS, Batch, Merged
from app.imports.models import imports
from app.imports.reading import Block, Reading
from app.imports.runs import Run

BATCH = 40_000  # rows that one transaction merges, more or less
DECOMPRESSED = 8  # how many times the largest upload a file may become
ATTEMPTS = 3  # of a batch that met somebody else's locks
_SLICE = 256 * 1024


class _SomebodyErased(Exception):
    """Somebody was erased while a batch was merged that may name them: it is merged once more, without."""


async def run_import(context: JobContext, run: Run) -> None:
    """Take the import to its end, whichever it is. Raises `Interrupted` when the worker stops."""
    try:
        if await run.waiting() != run.staged:
            await run.start_over()
        if run.phase == "reading":
            await _read(context, run)
        await _merge(context, run)
        await run.complete()
    except FileError as error:
        await run.fail(str(error))


async def _read(context: JobContext, run: Run) -> None:
    plan = run.plan
    compiled = run.kind.compile(plan.layout, plan.options, run.number)
    pieces = storage.pieces(run.database, run.id, gzipped=plan.gzipped)
    limit = get_settings().max_import_bytes * DECOMPRESSED
    known = {column.name for column in run.kind.columns} - plan.positions.keys()
    reading = Reading(plan, compiled, pieces, max_bytes=limit, known=known, further=run.kind.further)
    await asyncio.to_thread(reading.pass_over, run.rows_read)
    coming = asyncio.create_task(asyncio.to_thread(reading.block))
    try:
        while True:
            block = await coming
            if not block.ended:
                coming = asyncio.create_task(asyncio.to_thread(reading.block))
            await _stage(run, block)
            if block.ended:
                return
            if context.stopping.is_set():
                raise Interrupted
    finally:
        await asyncio.gather(coming, return_exceptions=True)


async def _stage(run: Run, block: Block) -> None:
    async with run.database.transaction() as session:
        if block.staged:
            await _copy(session, run, block.data)
        i = imports.c
        await run.checkpoint(
            session,
            rows_read=i.rows_read + block.rows,
            bytes_read=block.bytes_read,
            staged=i.staged + len(block.staged),
            skipped=i.skipped + block.skipped,
            rejected=i.rejected + len(block.rejections),
            **({"phase": "merging", "total": i.rows_read + block.rows} if block.ended else {}),
        )
        await run.reject(session, block.rejections)
    run.rows_read += block.rows
    run.staged += len(block.staged)


async def _copy(session: WriteSession, run: Run, data: bytes) -> None:
    async def slices() -> AsyncIterator[bytes]:
        for start in range(0, len(data), _SLICE):
            yield data[start : start + _SLICE]

    staging = run.kind.staging
    columns = [column.name for column in staging.columns]
    await session.connection.copy_to_table(staging.name, source=slices(), columns=columns)


async def _merge(context: JobContext, run: Run) -> None:
    """Merge all buckets, several batches side by side: they have no customer in common."""
    batches = _batches(run.staged)
    stopped = asyncio.Event()

    async def lane() -> None:
        for first, end in batches:
            if stopped.is_set():
                return
            if context.stopping.is_set():
                raise Interrupted
            await _merge_batch(run, first, end)

    async def guarded() -> None:
        try:
            await lane()
        except BaseException:
            stopped.set()
            raise

    outcomes = await asyncio.gather(*(guarded() for _ in range(_lanes())), return_exceptions=True)
    for outcome in outcomes:
        if outcome is not None:
            raise outcome


async def _merge_batch(run: Run, first: int, end: int) -> None:
    attempt = 0
    while True:
        try:
            async with run.database.transaction(correlation_id=run.correlation_id) as session:
                await _merge_within(session, run, first, end)
            return
        except _SomebodyErased:
            continue
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            attempt += 1
            if attempt == ATTEMPTS:
                raise


async def _merge_within(session: WriteSession, run: Run, first: int, end: int) -> None:
    plan, forgotten = run.plan, await run.forgotten(session)
    batch = Batch(run.id, run.number, first, end, plan.layout, plan.options, run.actor, run.dry_run, forgotten)
    merged = await run.kind.merge(session, batch)
    # The checkpoint holds the import: whoever is erased from here on finds what was merged, and erases it.
    if await _count(run, session, merged) != forgotten:
        raise _SomebodyErased
    await run.reject(session, merged.rejections)


async def _count(run: Run, session: WriteSession, merged: Merged) -> frozenset[str]:
    """Write down what was merged; who is forgotten by now."""
    i = imports.c
    done = merged.accepted + len(merged.rejections)
    row = await run.checkpoint(
        session,
        staged=i.staged - done,
        accepted=i.accepted + merged.accepted,
        rejected=i.rejected + len(merged.rejections),
        customers_created=i.customers_created + merged.customers_created,
        changed=i.changed + merged.changed,
    )
    return frozenset(row["forgotten"])


def _batches(rows: int) -> Iterator[tuple[int, int]]:
    count = min(BUCKETS, max(1, -(-rows // BATCH)))
    return ((n * BUCKETS // count, (n + 1) * BUCKETS // count) for n in range(count))


def _lanes() -> int:
    return get_settings().recalculation_lanes
