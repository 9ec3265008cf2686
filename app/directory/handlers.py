"""The background work of the directory, and what it does when it hears of something."""

from typing import Any

from app.core.db import WriteSession
from app.core.jobs import Schedule
from app.core.work import fails_with_its_job
from app.customers.events import CustomerDeleted, CustomerErased
from app.directory import files, transfers
from app.directory.models import export, transfer
from app.directory.moving import run_transfer
from app.directory.writing import run_export


async def on_departure(session: WriteSession, event: CustomerDeleted | CustomerErased) -> None:
    """No file holds the customer any more, and no search that is over names it."""
    await files.withdraw(session, event.customer_id)
    await transfers.forget_searches(session)


HANDLERS: dict[type[Any], Any] = {CustomerDeleted: on_departure, CustomerErased: on_departure}
JOBS = {
    files.JOB: run_export,
    transfers.JOB: run_transfer,
    "exports.forget": files.forget_expired,
    "transfers.forget": transfers.forget_ended,
}
DEAD_LETTERS = {files.JOB: fails_with_its_job(export), transfers.JOB: fails_with_its_job(transfer)}
SCHEDULES = [Schedule("exports.forget", "*/15 * * * *"), Schedule("transfers.forget", "*/15 * * * *")]
