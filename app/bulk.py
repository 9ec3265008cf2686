"""Long work from the command line: started like a request, carried by a worker of one's own, watched by a bar."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from sqlalchemy import select

from app import features
from app.classification import recalculations
from app.classification.predictions import queries as predicted
from app.classification.predictions import requests as predictions
from app.core.db import Database, ReadSession
from app.core.invalidation import Listener
from app.core.jobs import FINISHED, job
from app.core.settings import Settings
from app.core.work import UNDER_WAY
from app.identity.actor import SYSTEM
from app.imports import queries as imports
from app.imports import service
from app.imports.kinds import Options
from app.imports.models import import_error
from app.worker import background_worker

SHOWN_ERRORS = 10

State = dict[str, Any]


def order(
    *,
    kind: str,
    mapping: Any,
    skip_when: Any,
    create_customers: bool,
    currency: str | None,
    time_zone: str | None,
    dry_run: bool,
) -> service.Order:
    """What the command line asked of an import."""
    return service.Order(kind, Options(create_customers, currency, time_zone), mapping, skip_when, dry_run)


@asynccontextmanager
async def working(url: str, settings: Settings) -> AsyncIterator[Database]:
    """A database and a worker for the length of the block."""
    features.install()
    listener = Listener(url)
    database = await Database.connect(url, settings)
    await listener.start()
    try:
        async with background_worker(url, settings):
            yield database
    finally:
        await listener.stop()
        await database.close()


async def import_file(url: str, settings: Settings, file: Path, wanted: service.Order, console: Console) -> State:
    """Import a file and wait for it and for the classification that follows."""
    async with working(url, settings) as database:
        return await carry_import(database, file, wanted, console)


async def carry_import(database: Database, file: Path, wanted: service.Order, console: Console) -> State:
    """Start the import, watch it to its end, and report it."""
    with file.open("rb") as stream:

        async def read(size: int) -> bytes:
            return await asyncio.to_thread(stream.read, size)

        upload = service.Upload(file.name, "", read)
        async with database.transaction() as session:
            import_id = await service.start(session, SYSTEM, upload, wanted)

    async def state(session: ReadSession) -> State:
        return imports.progress(await imports.get_import(session, SYSTEM, import_id))

    ended = await _watch(database, f"Importing {file.name}", state, console)
    await _report(database, import_id, ended, console)
    if ended["status"] == "completed" and not ended["dry_run"]:
        await settle(database, console)
    return ended


async def recalculate(
    url: str, settings: Settings, keys: list[str], *, as_of: datetime | None, refit: bool, console: Console
) -> State:
    """Recalculate everybody and wait for it."""
    async with working(url, settings) as database:
        async with database.transaction() as session:
            wanted = await recalculations.request(session, SYSTEM, keys=keys, as_of=as_of, refit=refit)

        async def state(session: ReadSession) -> State:
            return await recalculations.one(session, wanted)

        return await _watch(database, "Recalculating", state, console)


async def predict(url: str, settings: Settings, *, as_of: datetime | None, console: Console) -> State:
    """Fit the prediction models, write what they expect of everybody, and wait for the classes that follow."""
    async with working(url, settings) as database:
        async with database.transaction() as session:
            wanted = await predictions.request(session, SYSTEM, as_of=as_of)

        async def state(session: ReadSession) -> State:
            return await predicted.one_prediction(session, wanted)

        ended = await _watch(database, "Predicting", state, console)
        if ended["status"] == "completed":
            await settle(database, console)
    if ended["error"] or ended["reason"]:
        console.print(f"[red]{ended['error']}[/]" if ended["error"] else f"Not estimable: {ended['reason']}")
    return ended


async def settle(database: Database, console: Console) -> None:
    """Wait until no job is left: what an import set off is done too."""
    with console.status("Classifying"):
        standing = [schedule.name for schedule in features.SCHEDULES if schedule.standing]
        waiting = select(job.c.id).where(job.c.status.notin_(FINISHED), job.c.name.notin_(standing)).limit(1)
        while await database.reading().scalar(waiting) is not None:  # noqa: ASYNC110  another process may do them
            await asyncio.sleep(0.05)


async def _watch(
    database: Database, title: str, state: Callable[[ReadSession], Awaitable[State]], console: Console
) -> State:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task(title, total=None)
        while True:
            now = await state(database.reading())
            progress.update(task, completed=now["processed"] or 0, total=now["total"])
            if now["status"] not in UNDER_WAY:
                return now
            await asyncio.sleep(0.1)


async def _report(database: Database, import_id: UUID, ended: State, console: Console) -> None:
    colour = "green" if ended["status"] == "completed" else "red"
    counts = ", ".join(f"{ended[name]:,} {name}" for name in ("accepted", "rejected", "skipped"))
    console.print(f"[{colour}]{ended['status']}[/]: {counts}" + (f" - {ended['error']}" if ended["error"] else ""))
    if not ended["rejected"]:
        return
    e = import_error.c
    rows = await database.reading().all(
        select(e.line, e.field, e.reason).where(e.import_id == import_id).order_by(e.line).limit(SHOWN_ERRORS)
    )
    table = Table("line", "field", "reason", title=f"First {len(rows)} of {ended['rejected']:,} rejected rows")
    for row in rows:
        table.add_row(f"{row['line']:,}", row["field"], row["reason"])
    console.print(table)
