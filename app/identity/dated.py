"""The contract of what holds for some days: memberships of units, and standing in for somebody."""

from datetime import date, datetime
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core import bounds
from app.core.bounds import In, Out

# further units of a user


class MembershipIn(In):
    """One more unit, from the first to the last of these days; without a last day until further notice."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "unit_id": "0198a7e4-9a3f-7c51-b7f1-5d0f6f2a3b4c",
                    "starts_on": "2026-03-01",
                    "ends_on": "2026-06-30",
                }
            ]
        }
    )

    unit_id: UUID
    starts_on: bounds.Day | None = Field(default=None, description="today, if it is left out")
    ends_on: bounds.Day | None = Field(default=None, description="the last day, included")


class MembershipPatch(In):
    model_config = ConfigDict(json_schema_extra={"examples": [{"ends_on": "2026-06-30"}]})

    ends_on: bounds.Day | None = None


class MembershipOut(Out):
    id: UUID
    unit_id: UUID
    starts_on: date
    ends_on: date | None
    version: int
    created_at: datetime
    updated_at: datetime


class MembershipList(Out):
    items: list[MembershipOut]
    next_cursor: str | None


# standing in for somebody


class DelegationIn(In):
    """Who stands in, from the first to the last of these days."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "delegate_id": "0198a7e4-9a3f-7c51-b7f1-5d0f6f2a3b4c",
                    "starts_on": "2030-08-01",
                    "ends_on": "2030-08-21",
                }
            ]
        }
    )

    absent_id: UUID | None = Field(default=None, description="me, if it is left out")
    delegate_id: UUID
    starts_on: bounds.Day | None = Field(default=None, description="today, if it is left out")
    ends_on: bounds.Day = Field(description="the last day, included")


class DelegationOut(Out):
    id: UUID
    absent_id: UUID
    delegate_id: UUID
    starts_on: date
    ends_on: date
    created_at: datetime
    created_by: UUID


class DelegationList(Out):
    items: list[DelegationOut]
    next_cursor: str | None
