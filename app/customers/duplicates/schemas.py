"""Requests and answers of possible duplicates."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.bounds import In, Line, Out
from app.customers.duplicates.rules import Reason
from app.customers.merging.schemas import Taken
from app.customers.schemas import Birthday, CustomerOut, Email, IdentityIn, Kind, Phone, Region

Score = Annotated[int, Field(ge=0, le=100)]
Weight = Annotated[int, Field(ge=-100, le=100)]


class DuplicateReason(Out):
    """Why two customers may be the same, and how much that says."""

    reason: Reason
    weight: Weight = Field(
        description="the chance, in per cent, that this alone is no accident; below 0, the share of it that this takes"
    )


class Dismissal(Out):
    """Somebody's word that two customers are not the same."""

    why: str | None
    dismissed_by: str
    dismissed_at: datetime


class DuplicateOut(Out):
    """Two customers who may be the same. Score and reasons tell of contact data where you may read that of both.

    They tell of addresses where you may read these, too.
    """

    id: UUID
    score: Score
    reasons: list[DuplicateReason]
    found_at: datetime
    dismissal: Dismissal | None
    customer: CustomerOut
    other: CustomerOut


class DuplicatePage(Out):
    """A page of pairs, the likeliest first."""

    items: list[DuplicateOut]
    next_cursor: str | None


class DismissalIn(In):
    """Why two customers are not the same."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"why": "Father and son"}]})

    why: Line | None = None


class DuplicateMergeIn(In):
    """Which of the two stays, and what the other says better."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"survivor": "customer", "take": ["phone"]}]})

    survivor: Literal["customer", "other"] = "customer"
    take: Taken = []


class DuplicateSearchIn(In):
    """A customer as it would be created, with whatever is known of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "company", "name": "Blue Lantern Tea House", "phone": "+86 138 1234 1234", "region": "CN-31"}
            ]
        }
    )

    kind: Kind = "person"
    name: Line
    region: Region | None = None
    company_id: UUID | None = None
    birthday: Birthday | None = None
    phone: Phone | None = None
    email: Email | None = None
    identities: Annotated[list[IdentityIn], Field(max_length=20)] = []


class DuplicateMatch(Out):
    """A customer who may be the one that was described."""

    score: Score
    reasons: list[DuplicateReason]
    customer: CustomerOut


class DuplicateMatches(Out):
    """The likeliest, at most 20."""

    matches: list[DuplicateMatch]
