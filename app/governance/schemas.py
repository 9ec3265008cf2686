"""The contract of the audit trail: what is asked and what is answered."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints

from app.core.bounds import Out

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
