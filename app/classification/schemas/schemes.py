"""Schemes and what the population decided of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from app.classification.definitions import Document
from app.core.bounds import Count, Money, Out


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
