"""The job that runs an import, and the sweep for imports whose job died."""

from uuid import UUID

from app.core.jobs import JobContext, Schedule
from app.imports import runs
from app.imports.engine import run_import
from app.imports.service import JOB

SWEEP = "imports.sweep"


async def run(context: JobContext) -> None:
    """Run one import to its end; run again, it goes on where it was."""
    import_id = UUID(context.payload["import_id"])
    found = await runs.Run.begin(context.database, import_id, correlation_id=context.correlation_id)
    if found is None:
        return
    try:
        await run_import(context, found)
    except runs.Lost:
        await runs.clean_if_ended(context.database, import_id)


async def sweep(context: JobContext) -> None:
    """Say of imports whose job is dead that they failed."""
    async with context.database.transaction() as session:
        await runs.give_up_dead(session)


JOBS = {JOB: run, SWEEP: sweep}
SCHEDULES = [Schedule(SWEEP, "*/5 * * * *")]
