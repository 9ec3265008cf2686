"""The contract of operations: background jobs."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from app.core.bounds import Count, Out

JobKind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,40}\.[a-z][a-z_]{0,40}$")]
JobStatus = Literal["queued", "running", "done", "dead", "cancelled"]


class JobOut(Out):
    """A background job and what became of it."""

    id: UUID
    kind: str = Field(description="such as exports.run")
    status: JobStatus = Field(description="dead: it was given up; it can be retried where nothing failed with it")
    attempts: Count = Field(description="starts that count against it; an interruption does not")
    subjects: dict[str, UUID] = Field(description="the ids it was given, such as export_id")
    queued_at: datetime
    started_at: datetime | None = Field(description="the last attempt")
    finished_at: datetime | None
    error: str | None = Field(description="why the last attempt failed, or it was given up")
    request_id: str | None = Field(description="of the request that wanted it")


class JobPage(Out):
    """Background jobs, the latest first."""

    items: list[JobOut]
    next_cursor: str | None
