"""What is measured of a customer."""

from datetime import datetime

from app.core.bounds import Out


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
