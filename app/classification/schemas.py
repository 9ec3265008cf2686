"""Requests and answers of classification."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.classification.definitions import Document
from app.core.bounds import Count, Day, Flag, In, Instant, Key, Money, Out

AsOf = Instant | Day
Score = dict[str, int | None]


class SchemeOut(Out):
    """A published scheme: its document says everything."""

    key: str
    title: str
    version: int
    document: Document
    classes: list[str] = Field(description="best first, as the document lists them")


class SchemeList(Out):
    """All schemes; there are few."""

    items: list[SchemeOut]
    next_cursor: None = None


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


class BreakpointsOut(Out):
    """What the population decided: exact decimals under the document's own names."""

    id: UUID
    scheme: str
    version: int
    as_of: datetime
    population: Count
    values: dict[str, Any]
    fitted_at: datetime


class ClassOut(Out):
    """A customer's class in one scheme."""

    model_config = ConfigDict(populate_by_name=True)

    scheme: str
    name: str = Field(alias="class")
    score: Score | None
    since: datetime
    version: int
    as_of: datetime
    pending: None
    override: None


class ClassList(Out):
    """A customer's classes; all of them."""

    items: list[ClassOut]
    next_cursor: None = None


class ClassChangeOut(Out):
    """One change of class and why: version, breakpoints, inputs, cause, actor. Later changes have larger ids."""

    id: Count
    scheme: str
    from_class: str | None
    to_class: str | None
    at: datetime
    as_of: datetime
    version: int
    breakpoints_id: UUID | None
    inputs: dict[str, Any]
    score: Score | None
    cause: str
    actor: str
    correlation_id: str | None


class ClassHistory(Out):
    """A page of changes, the latest first."""

    items: list[ClassChangeOut]
    next_cursor: str | None


class InputOut(Out):
    """A metric that the scheme reads, and its value."""

    metric: str
    title: str
    unit: str
    value: str | None


class NeedOut(Out):
    """What stands between a value and a threshold; `gap` is threshold minus value."""

    metric: str
    op: str
    threshold: str | list[str] | None
    value: str | None
    gap: str | None


class ConditionOut(NeedOut):
    """One comparison that the scheme makes; those of one group belong together."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(alias="class")
    group: int
    breakpoint: str | None
    met: bool


class NextClassOut(Out):
    """A neighbouring class and what would lead there."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(alias="class")
    direction: Literal["up", "down", "earlier_rule"]
    needs: list[NeedOut]


class ExplanationOut(Out):
    """A decision laid open. `class` stands; `decided` is what the document says of the inputs as of `as_of`."""

    model_config = ConfigDict(populate_by_name=True)

    scheme: str
    version: int
    kind: str
    name: str | None = Field(alias="class")
    decided: str | None
    score: Score | None
    since: datetime | None
    as_of: datetime
    breakpoints: dict[str, Any] | None
    breakpoints_as_of: datetime | None
    inputs: list[InputOut]
    conditions: list[ConditionOut]
    next: list[NextClassOut]


class MetricOut(Out):
    """One metric of a customer; null without the facts it needs."""

    name: str
    title: str
    unit: str
    value: str | None


class MetricsOut(Out):
    """A customer's metrics as of an instant."""

    as_of: datetime
    items: list[MetricOut]


class RecalculationIn(In):
    """Recalculate everybody: which schemes (all when empty), as of when, and whether to fit new breakpoints."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"schemes": ["abc", "rfm"], "as_of": "2026-01-31", "refit": True}]}
    )

    schemes: Annotated[list[Key], Field(max_length=100)] = []
    as_of: AsOf | None = Field(default=None, description="an instant, or a day: its end. The moment it runs if null")
    refit: Flag = False


class RecalculationOut(Out):
    """Long work: a recalculation and how far it is."""

    id: UUID
    status: Literal["queued", "running", "completed", "failed", "cancelled"]
    phase: Literal["metrics", "fit", "classes"]
    scope: Literal["all", "dirty"]
    schemes: list[str]
    as_of: datetime | None
    refit: bool
    cause: str
    processed: Count | None
    total: Count | None
    changed: Count
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    eta: datetime | None
    error: str | None


class RecalculationPage(Out):
    """A page of recalculations, the latest first."""

    items: list[RecalculationOut]
    next_cursor: str | None
