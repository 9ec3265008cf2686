"""Background jobs as operators see them: which there are, what became of them, once more or not at all."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.core import audit, jobs
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, Forbidden, NotFound
from app.core.http.paging import Page
from app.core.jobs import DeadLetter, Handler, job
from app.identity.actor import Actor, Scope

READ = "jobs:read"
WRITE = "jobs:write"
LONGEST_ERROR = 500
CANCELLED = "its job was cancelled"
_j = job.c
_handlers: dict[str, Handler] = {}
_dead_letters: dict[str, DeadLetter] = {}


class NotAgain(Conflict):
    type = "job-not-again"
    title = "This job cannot be retried"


def add(handlers: Mapping[str, Handler], dead_letters: Mapping[str, DeadLetter]) -> None:
    """Make known which jobs somebody carries out, and what fails with them."""
    _handlers.update(handlers)
    _dead_letters.update(dead_letters)


async def page_of(
    session: ReadSession, actor: Actor, page: Page, *, status: str | None, kind: str | None
) -> dict[str, Any]:
    """Jobs of this status and kind, the latest first. Raises `Forbidden`."""
    _check(actor, READ)
    statement = select(job)
    if status is not None:
        statement = statement.where(_j.status == status)
    if kind is not None:
        statement = statement.where(_j.name == kind)
    return await page.latest_first(session, statement, _shown, scope=[status, kind])


async def one(session: ReadSession, actor: Actor, job_id: UUID, permission: str = READ) -> dict[str, Any]:
    """One job. Raises `NotFound`, `Forbidden`."""
    _check(actor, permission)
    return _shown(await _row(session, job_id))


async def retry(session: WriteSession, actor: Actor, job_id: UUID) -> dict[str, Any]:
    """Have a dead job carried once more, with all its attempts before it.

    Raises `NotFound`, `Forbidden`, and `NotAgain` for one that is not dead, whose kind nobody carries out any more,
    or with which the work failed that it was to do: that is asked for anew.
    """
    found = await one(session, actor, job_id, WRITE)
    if found["kind"] in _dead_letters:
        raise NotAgain("What this job was to do has failed with it: ask for that anew")
    if found["kind"] not in _handlers:
        raise NotAgain(f"Nobody carries out {found['kind']} any more")
    if not await jobs.revive(session, job_id):
        raise NotAgain("Only a dead job is retried; this one is not dead")
    audit.record(session, actor, "job.retried", "job", job_id, before={"error": found["error"]})
    return await one(session, actor, job_id, WRITE)


async def cancel(session: WriteSession, actor: Actor, job_id: UUID) -> dict[str, Any]:
    """Take a job that waits out of the queue; the work that it was to do fails with it.

    Raises `NotFound`, `Forbidden`, and `Conflict` for one that runs or has ended.
    """
    found = await one(session, actor, job_id, WRITE)
    if not await jobs.cancel(session, job_id, _dead_letters.get(found["kind"]), CANCELLED):
        raise Conflict("Only a job that waits can be cancelled; this one runs, or has ended")
    audit.record(session, actor, "job.cancelled", "job", job_id, after={"kind": found["kind"]})
    return await one(session, actor, job_id, WRITE)


async def _row(session: ReadSession, job_id: UUID) -> Record:
    row = await session.first(select(job).where(_j.id == job_id))
    if row is None:
        raise NotFound("There is no such job; what was done is kept for a month")
    return row


def _shown(row: Record) -> dict[str, Any]:
    return {
        "id": row["id"],
        "kind": row["name"],
        "status": row["status"],
        "attempts": row["starts"],
        "subjects": {name: value for name, value in row["payload"].items() if _is_id(value)},
        "queued_at": row["created_at"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
        "error": row["error"] and row["error"].partition("\n")[0][:LONGEST_ERROR],
        "request_id": row["correlation_id"],
    }


def _is_id(value: object) -> bool:
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False


def _check(actor: Actor, permission: str) -> None:
    if actor.scope(permission) is not Scope.ALL:
        raise Forbidden(f"Jobs are the whole installation's: this needs {permission} with the scope all")
