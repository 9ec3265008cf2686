"""The contract of the data-quality report."""

from typing import Literal

from pydantic import Field

from app.core.bounds import Count, Out
from app.quality.rules import Finding


class FindingCount(Out):
    """How many customers have a finding."""

    finding: Finding
    kind: Literal["missing", "invalid", "stale", "conflicting"]
    customers: Count


class QualityReport(Out):
    """What is wrong with what is known of the customers you see."""

    customers: Count = Field(description="all customers you see")
    with_findings: Count = Field(description="those with one finding or more")
    findings: list[FindingCount]


class QualityGroup(QualityReport):
    """The same, of the customers of one source or one owner."""

    name: str | None = Field(description="the source, or the owner's user id; null for customers without")


class QualityGroupPage(Out):
    """A page of the report by source or by owner."""

    items: list[QualityGroup]
    next_cursor: str | None
