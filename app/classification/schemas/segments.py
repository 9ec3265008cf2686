"""Segments, their members and what these are like."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from app.classification.schemas.schemes import Note, SchemeKey
from app.core.bounds import Count, Flag, In, Line, Out
from app.core.predicates import Predicate

Members = Annotated[list[UUID], Field(max_length=1000)]


class SegmentIn(In):
    """A segment: whoever the condition holds for, or, `static`, whoever people put there."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "key": "big_in_shanghai",
                    "title": "Big customers in Shanghai",
                    "when": {
                        "all": [
                            {"metric": "monetary", "op": "gte", "value": "10000"},
                            {"field": "region", "op": "within", "value": "CN-31"},
                        ]
                    },
                }
            ]
        }
    )

    key: SchemeKey
    title: Line
    description: Note | None = None
    when: Predicate | None = None
    static: Flag = False
    note: Note | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "SegmentIn":
        if (self.when is None) != self.static:
            raise ValueError("give either a condition (when) or static: true")
        return self


class SegmentOut(Out):
    """A segment. `customers` counts those you may see; while `recalculation_id` fills it, it is not complete."""

    key: str
    title: str
    description: str | None
    kind: Literal["segment", "static"]
    version: Count = Field(description="the version in force; 0 until the first recalculation has reached it")
    when: Predicate | None
    note: str | None
    customers: Count
    recalculation_id: UUID | None
    error: str | None
    stale_since: datetime | None
    created_at: datetime
    updated_at: datetime


class SegmentPage(Out):
    """A page of segments, by key."""

    items: list[SegmentOut]
    next_cursor: str | None


class MembersIn(In):
    """Customers to put into a static segment and to take out of it, at most 1,000 each."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"add": ["0197f0c0-0000-7000-8000-000000000001"], "remove": []}]}
    )

    add: Members = []
    remove: Members = []


class MembersOut(Out):
    """How many were put in and taken out; who was there, or was not, is not counted."""

    added: Count
    removed: Count
