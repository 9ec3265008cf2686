"""The job that runs an import."""

from typing import Any

from app.core.db import WriteSession
from app.core.jobs import JobContext
from app.core.work import Cancelled, id_from
from app.imports import runs
from app.imports.engine import run_import
from app.imports.models import imports
from app.imports.service import JOB


async def run(context: JobContext) -> None:
    """Run one import to its end; run again, it goes on where it was."""
    import_id = id_from(imports, context.payload)
    found = await runs.Run.begin(context.database, import_id, correlation_id=context.correlation_id)
    if found is None:
        return
    try:
        await run_import(context, found)
    except Cancelled:
        await runs.clean_if_ended(context.database, import_id)


async def died(session: WriteSession, payload: dict[str, Any], reason: str) -> None:
    """An import whose job is dead has failed."""
    await runs.give_up(session, id_from(imports, payload), reason)


JOBS = {JOB: run}
DEAD_LETTERS = {JOB: died}
