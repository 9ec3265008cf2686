"""Schemes and what the population decided of them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints
from typing_extensions import TypeAliasType

from app.classification.definitions import Document
from app.classification.definitions.document import Freshness
from app.core.bounds import Count, In, Line, Money, Out, Printable, left_out

# Shorter than other keys: names of columns are made of them.
SchemeKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
SchemeDocument = TypeAliasType("SchemeDocument", Document)
Note = Annotated[str, StringConstraints(max_length=1000), Printable]

DOCUMENT: dict[str, Any] = {
    "kind": "rules",
    "rules": [{"class": "large", "when": {"metric": "monetary", "op": "gte", "value": "10000"}}],
    "default": "small",
}


class SchemeIn(In):
    """A new scheme: its first version, as a draft. The key names it for ever, also after it was deleted."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"key": "size", "title": "Size", "document": DOCUMENT, "note": "first try"}]}
    )

    key: SchemeKey
    title: Line
    description: Note | None = None
    document: SchemeDocument
    note: Note | None = None


class SchemePatch(In):
    """What a scheme is called and what it is for; a field left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"title": "Size of the business"}]})

    title: Line = left_out()
    description: Note | None = None


class SchemeOut(Out):
    """A scheme: its document in force says everything; before the first publication, its latest draft."""

    key: str
    title: str
    description: str | None
    version: Count = Field(description="the version in force; 0 before the first")
    latest_version: Count | None
    status: Literal["draft", "published", "retired"]
    document: SchemeDocument | None = Field(description="null when it is not valid any more: see error")
    classes: list[str] = Field(description="best first, as the document lists them")
    freshness: list[Freshness] = Field(description="what changes its answers: events, the clock, the population")
    error: str | None = Field(description="why it cannot be evaluated; its classes stand as they were")
    stale_since: datetime | None
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None


class SchemePage(Out):
    """A page of schemes, the oldest first."""

    items: list[SchemeOut]
    next_cursor: str | None


class ClassCount(Out):
    """One class: how many customers, how much revenue, and the shares of both."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(alias="class")
    customers: Count
    share: float
    monetary: Money
    monetary_share: float


class ClassCounts(Out):
    """The classes of a scheme, best first; all of them."""

    items: list[ClassCount]
    next_cursor: None = None


class EdgeOut(Out):
    """One breakpoint, before and after."""

    name: str
    before: str | None
    after: str | None
    change: str | None


class DriftOut(Out):
    """How far the breakpoints moved, and how many customers they decide otherwise than the ones before them."""

    edges: list[EdgeOut]
    moved: Count | None


class BreakpointsOut(Out):
    """What the population decided: exact decimals under the document's own names."""

    id: UUID
    scheme: str
    version: int
    as_of: datetime
    population: Count
    values: dict[str, Any]
    fitted_at: datetime
    previous_id: UUID | None
    drift: DriftOut | None = Field(description="against the breakpoints before them, of the same version")


class BreakpointsPage(Out):
    """A page of a scheme's breakpoints, the latest first."""

    items: list[BreakpointsOut]
    next_cursor: str | None
