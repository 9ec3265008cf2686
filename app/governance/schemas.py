"""The contract of governance: the audit trail, erasures, and how long data is kept."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.bounds import Count, Day, In, Line, Out, Paragraph, PastInstant

Action = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,40}\.[a-z][a-z_]{0,60}$")]


class AuditEventOut(Out):
    """Something that was done, or read. Personal data is there by reference: only whether it was set."""

    id: UUID
    at: datetime
    actor_kind: str = Field(description="user, api_key or system")
    actor_id: UUID | None
    on_behalf_of: UUID | None = Field(description="the absent user for whom the actor stood in")
    action: str
    resource: str
    resource_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str | None


class RetentionIn(In):
    """How long a kind of data is kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"days": 1095}]})

    days: Annotated[int, Field(ge=1, le=36_500)] | None = Field(description="null: for ever")


class RetentionOut(Out):
    """How long a kind of data is kept, and how many rows are older: what the next night deletes."""

    kind: str
    title: str
    days: int | None
    at_least: int = Field(description="days; others rely on them")
    due: Count = Field(description="rows older than the period, or than the days that were asked for")
    version: int


class RetentionList(Out):
    """Every kind of data that may be kept for a time only."""

    items: list[RetentionOut]
    next_cursor: None = None


class ErasureOut(Out):
    """The tombstone of a person who was erased."""

    id: UUID
    customer_id: UUID
    erased_at: datetime = Field(description="the last time, if more than once")
    erased_by: str = Field(description="such as user:0198…")


class ErasurePage(Out):
    """Tombstones, the latest first."""

    items: list[ErasureOut]
    next_cursor: str | None


class AuditPage(Out):
    """Audit events, the latest first."""

    items: list[AuditEventOut]
    next_cursor: str | None


RequestKind = Literal["export", "erasure"]
RequestStatus = Literal["received", "completed", "rejected", "cancelled"]


class DataRequestIn(In):
    """What a person asked for, by whatever way it came."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer_id": "01990000-0000-7000-8000-000000000001",
                    "kind": "export",
                    "received_at": "2026-01-02T03:04:05Z",
                    "note": "Asked on the phone; wants the file by e-mail.",
                }
            ]
        }
    )

    customer_id: UUID
    kind: RequestKind
    received_at: PastInstant | None = Field(default=None, description="now, if it is left out")
    due_on: Day | None = Field(default=None, description="a month after it was received, if it is left out")
    note: Paragraph | None = None


class DataRequestRejectionIn(In):
    """Why a person is not given what it asked for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The law has us keep the invoices."}]})

    reason: Line


class DataRequestOut(Out):
    """What a person asked for, and what became of it. Notes and reasons go when the person is erased."""

    id: UUID
    customer_id: UUID
    kind: RequestKind
    status: RequestStatus
    received_at: datetime
    due_on: date
    note: str | None
    reason: str | None = Field(description="why it was rejected")
    recorded_by: str = Field(description="such as user:0198…")
    decided_by: str | None
    decided_at: datetime | None
    file_expires_at: datetime | None = Field(description="until then the archive of an export is handed out")
    version: int
    created_at: datetime


class DataRequestPage(Out):
    """What people asked for, the latest first."""

    items: list[DataRequestOut]
    next_cursor: str | None
