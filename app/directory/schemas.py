"""Requests and answers of finding customers."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.bounds import Count, FileFormat, Flag, In, Key, Out, Printable
from app.core.pagination import MAX_CURSOR_LENGTH
from app.core.predicates import Predicate
from app.core.work import WorkOut
from app.customers.schemas import TransferIn

ClassFilter = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}:[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
IdentityFilter = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}:.+$", max_length=264), Printable]
SearchText = Annotated[str, StringConstraints(min_length=1, max_length=100), Printable]


class Sort(StrEnum):
    """Sort order; a minus sign means descending."""

    CREATED = "created_at"
    CREATED_DESC = "-created_at"
    UPDATED = "updated_at"
    UPDATED_DESC = "-updated_at"
    NAME = "name"
    NAME_DESC = "-name"


class TimelineEntry(Out):
    """Something that happened with a customer; what `details` say depends on its kind."""

    kind: str = Field(description="such as `interaction`, `purchase`, `class_change`")
    id: str
    at: datetime
    details: dict[str, str | None]


class TimelinePage(Out):
    """A page of a customer's timeline, the latest first."""

    items: list[TimelineEntry]
    next_cursor: str | None


class PreviewIn(In):
    """The condition that a segment would have."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "when": {
                        "all": [
                            {"metric": "monetary_365d", "op": "gte", "value": "2000"},
                            {"class": "lifecycle", "op": "in", "value": ["at_risk", "churned"]},
                        ]
                    }
                }
            ]
        }
    )

    when: Predicate


class PreviewOut(Out):
    """For how many of the customers you may see the condition holds, and what share of them that is."""

    customers: Count
    of: Count = Field(description="all customers you may see")
    share: float


class SearchIn(In):
    """Customers for whom the predicate tree holds."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "where": {
                        "all": [
                            {"metric": "monetary", "op": "gte", "value": "10000"},
                            {"field": "region", "op": "within", "value": "CN-31"},
                            {"class": "lifecycle", "op": "in", "value": ["loyal"]},
                        ]
                    },
                    "limit": 50,
                }
            ]
        }
    )

    where: Predicate
    sort: Sort = Sort.CREATED_DESC
    limit: Annotated[int, Field(ge=1, le=200, strict=True)] = 50
    cursor: Annotated[str, StringConstraints(max_length=MAX_CURSOR_LENGTH)] | None = None
    include_total: Flag = False


class ExportIn(In):
    """Which customers go into a file: found by a predicate, of a class, in a segment, or all that you may see."""

    model_config = ConfigDict(
        populate_by_name=True, json_schema_extra={"examples": [{"format": "csv", "class": "lifecycle:loyal"}]}
    )

    format: FileFormat = FileFormat.CSV
    where: Predicate | None = Field(default=None, description="a predicate tree as in a search")
    class_: ClassFilter | None = Field(default=None, alias="class", description="scheme:class, such as abc:A")
    segment: Key | None = Field(default=None, description="segment key, such as big_in_shanghai")


class ExportOut(WorkOut):
    """Long work: a file of customers and how far it is. Completed, it can be fetched until it expires."""

    format: FileFormat
    kind: Literal["everybody", "search", "class", "segment"]
    name: str | None = Field(description="the class or the segment")
    size: Count = Field(description="bytes")
    expires_at: datetime | None


class ExportPage(Out):
    """A page of your exports, the latest first."""

    items: list[ExportOut]
    next_cursor: str | None


class TransferOfManyIn(In):
    """Whose customers change hands, and whose they become. All that is said of whom to move must hold."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "to": {"unit_id": "0198a7e4-9a3f-7c51-b7f1-5d0f6f2a3b4d"},
                    "where": {"field": "region", "op": "within", "value": "CN-31"},
                    "from_owner_id": "0198a7e4-9a3f-7c51-b7f1-5d0f6f2a3b4c",
                    "dry_run": True,
                }
            ]
        }
    )

    to: TransferIn
    customer_ids: Annotated[list[UUID], Field(min_length=1, max_length=10_000)] | None = None
    from_owner_id: UUID | None = Field(default=None, description="customers of this owner")
    from_unit_id: UUID | None = Field(default=None, description="customers of this unit")
    where: Predicate | None = Field(default=None, description="a predicate tree as in a search")
    dry_run: Flag = Field(default=False, description="count, and move nobody")


class TransferOfManyOut(WorkOut):
    """Long work: many customers change hands, and how far it is. A dry run counts who would."""

    to: dict[str, UUID | None] = Field(description="`owner_id`, `unit_id` or both")
    dry_run: bool
    moved: Count
    unchanged: Count = Field(description="who was in these hands already")
    out_of_reach: Count = Field(description="who stays, since your role does not reach where they would go")


class TransferOfManyPage(Out):
    """A page of your transfers of many, the latest first."""

    items: list[TransferOfManyOut]
    next_cursor: str | None
