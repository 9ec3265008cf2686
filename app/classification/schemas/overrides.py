"""Classes that a person sets: asked for, in force, ended."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.bounds import Code, In, Instant, Out, Printable

Reason = Annotated[str, StringConstraints(min_length=1, max_length=1000, strip_whitespace=True), Printable]
OverrideStatus = Literal["proposed", "rejected", "active", "ended"]


class OverrideIn(In):
    """The class that shall stand, and why. `expires_at` must be said: null means until somebody ends it."""

    model_config = ConfigDict(
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {
                    "class": "loyal",
                    "reason": "Framework contract for two years, signed this week",
                    "expires_at": "2030-12-31T00:00:00Z",
                }
            ]
        },
    )

    name: Code = Field(alias="class")
    reason: Reason
    expires_at: Instant | None


class RejectionIn(In):
    """Why the proposal is not followed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The contract is not signed yet"}]})

    reason: Reason


class OverrideOut(Out):
    """An override. `since` is null before it is approved; `ended_by` is `system` when its time was over."""

    model_config = ConfigDict(populate_by_name=True)

    id: UUID
    customer_id: UUID
    scheme: str
    name: str = Field(alias="class")
    reason: str
    status: OverrideStatus
    expires_at: datetime | None
    since: datetime | None
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    rejection: str | None
    ended_by: str | None


class CustomerOverride(Out):
    """What is in force for a customer and scheme, and what waits for a second person."""

    in_force: OverrideOut | None
    proposed: OverrideOut | None


class OverridePage(Out):
    """A page of overrides, the latest first."""

    items: list[OverrideOut]
    next_cursor: str | None
