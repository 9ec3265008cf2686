"""What is measured of a customer."""

from datetime import datetime

from pydantic import Field

from app.core.bounds import Out


class MetricOut(Out):
    """One metric of a customer; null without the facts it needs."""

    name: str
    title: str
    unit: str
    value: str | None
    note: str | None = Field(description="why a value is missing, where that can be said")


class MetricsOut(Out):
    """A customer's metrics as of an instant."""

    as_of: datetime
    items: list[MetricOut]
