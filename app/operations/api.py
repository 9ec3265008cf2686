"""Routes of background jobs, for those who look after the service."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query

from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.identity.access import Requires
from app.identity.actor import Actor
from app.operations import queue
from app.operations.schemas import JobKind, JobOut, JobPage, JobStatus

routes = router(prefix="/jobs", tag="Operations")

CanReadJobs = Annotated[Actor, Depends(Requires(queue.READ))]
CanWriteJobs = Annotated[Actor, Depends(Requires(queue.WRITE))]
JobId = Annotated[UUID, Path(description="job id")]


@routes.get("", response_model=JobPage)
async def list_jobs(
    actor: CanReadJobs,
    session: ReadSession,
    page: Paging,
    status: Annotated[JobStatus | None, Query(description="such as dead")] = None,
    kind: Annotated[JobKind | None, Query(description="such as exports.run")] = None,
) -> object:
    """Background jobs, the latest first; what was done is kept for a month, what is dead stays."""
    return await queue.page_of(session, actor, page, status=status, kind=kind)


@routes.get("/{job_id}", response_model=JobOut)
async def read_job(actor: CanReadJobs, session: ReadSession, job_id: JobId) -> object:
    """One job and what became of it."""
    return await queue.one(session, actor, job_id)


@routes.post("/{job_id}/retry", response_model=JobOut)
async def retry_job(actor: CanWriteJobs, session: WriteSession, job_id: JobId) -> object:
    """Have a dead job carried once more. Work that failed with its job, such as an export, is asked for anew: 409."""
    return await queue.retry(session, actor, job_id)


@routes.post("/{job_id}/cancel", response_model=JobOut)
async def cancel_job(actor: CanWriteJobs, session: WriteSession, job_id: JobId) -> object:
    """Take a job that waits out of the queue; work that it was to do, such as an export, fails with it."""
    return await queue.cancel(session, actor, job_id)


routers = [routes]
