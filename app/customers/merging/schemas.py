"""Requests and answers of merges."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.bounds import Count, In, Out

MergedField = Literal[
    "name", "title", "birthday", "region", "source", "language", "phone", "email", "company_id", "owner_id", "unit_id"
]


Taken = Annotated[
    list[MergedField],
    Field(max_length=11, description="fields of the merged customer that replace the survivor's; else only gaps"),
]


class MergeIn(In):
    """Two customers that are one: who stays, who becomes part of it, and what the latter says better."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "survivor_id": "019b76da-a800-7000-8000-000000000001",
                    "merged_id": "019b76da-a800-7000-8000-000000000002",
                    "take": ["phone"],
                }
            ]
        }
    )

    survivor_id: UUID
    merged_id: UUID
    take: Taken = []


class MergeOut(Out):
    """A merge: who became part of whom, how many rows of what followed, and whether it was undone."""

    id: UUID
    survivor_id: UUID
    merged_id: UUID
    moved: dict[str, Count]
    merged_by: str
    merged_at: datetime
    undone_by: str | None
    undone_at: datetime | None


class MergePage(Out):
    """A page of merges, the latest first."""

    items: list[MergeOut]
    next_cursor: str | None
