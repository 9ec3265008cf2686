"""The background work of the directory, and what it does when it hears of something."""

from typing import Any

from app.core.jobs import Schedule
from app.core.work import fails_with_its_job
from app.customers.events import CustomerDeleted, CustomerErased
from app.directory import files, transfers
from app.directory.models import export, transfer
from app.directory.moving import run_transfer
from app.directory.writing import run_export

HANDLERS: dict[type[Any], Any] = {CustomerDeleted: files.on_departure, CustomerErased: files.on_departure}
JOBS = {files.JOB: run_export, transfers.JOB: run_transfer, "exports.forget": files.forget_expired}
DEAD_LETTERS = {files.JOB: fails_with_its_job(export), transfers.JOB: fails_with_its_job(transfer)}
SCHEDULES = [Schedule("exports.forget", "*/15 * * * *")]
