"""Classes of a customer: standing, history, explanation."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.bounds import Count, Out

Score = dict[str, int | None]


class PendingOut(Out):
    """What the class becomes on that business day, unless the customer's decision changes."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(alias="class")
    on: date


class OverrideInForce(Out):
    """The override in force: a person set the class."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(alias="class")
    reason: str
    expires_at: datetime | None
    since: datetime
    proposed_by: str
    approved_by: str


class ClassOut(Out):
    """A customer's class in one scheme."""

    model_config = ConfigDict(populate_by_name=True)

    scheme: str
    name: str = Field(alias="class")
    score: Score | None
    since: datetime
    version: int
    as_of: datetime
    pending: PendingOut | None
    override: OverrideInForce | None


class ClassList(Out):
    """A customer's classes; all of them."""

    items: list[ClassOut]
    next_cursor: None = None


class FactValueOut(Out):
    """A fact besides metrics, as it was read; of `events` the name is their condition, the value their number."""

    kind: Literal["field", "tag", "class", "events", "member"]
    name: str
    value: str | None


class ClassChangeOut(Out):
    """One change of class and why: version, breakpoints, inputs, cause, actor. Later changes have larger ids.

    `cause`: event, clock, refit, publish, override, correction, request, import with its id, retired, or merge.
    """

    id: Count
    customer_id: UUID
    scheme: str
    from_class: str | None
    to_class: str | None
    at: datetime
    as_of: datetime
    version: int
    breakpoints_id: UUID | None
    inputs: dict[str, Any]
    facts: list[FactValueOut]
    score: Score | None
    cause: str
    actor: str
    correlation_id: str | None


class ClassHistory(Out):
    """A page of changes, the latest first."""

    items: list[ClassChangeOut]
    next_cursor: str | None
