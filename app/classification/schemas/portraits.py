"""What some customers are like, against everybody whom one may see."""

from datetime import datetime

from pydantic import ConfigDict, Field

from app.core.bounds import Count, Money, Out


class AverageOut(Out):
    """A metric's average and median among them and among everybody you may see; null without the facts it needs.

    Medians are of the customers that `measured` counts.
    """

    name: str
    title: str
    unit: str
    average: str | None
    average_of_everybody: str | None
    median: str | None
    median_of_everybody: str | None


class ShareOut(Out):
    """How many of them, their share, everybody's share, and the lift: the one divided by the other."""

    customers: Count
    share: float
    share_of_everybody: float
    lift: float


class ClassShareOut(ShareOut):
    """A class, of another scheme if the portrait is of a class."""

    model_config = ConfigDict(populate_by_name=True)

    scheme: str
    name: str = Field(alias="class")


class ValueShareOut(ShareOut):
    """A value of the record, such as a region or a tag."""

    value: str


class ChannelShareOut(ValueShareOut):
    """A way by which they come: `channel` says in what respect, such as the source of the record."""

    channel: str


class PurchaseShareOut(Out):
    """How many of their purchases, the share, everybody's share, and the lift; null where everybody has none."""

    purchases: Count
    share: float
    share_of_everybody: float
    lift: float | None


class CategoryShareOut(PurchaseShareOut):
    """Purchases with a line of the category, and what these lines came to in the base currency."""

    value: str
    amount: Money
    amount_share: float
    amount_share_of_everybody: float
    amount_lift: float | None


class TimeShareOut(PurchaseShareOut):
    """A weekday (1 is Monday), a month (1 is January) or an hour of the day, in the business time zone."""

    value: int


class RhythmOut(Out):
    """When they buy: the mean of the days between a customer's purchase days, and how purchases fall."""

    mean_gap_days: float | None
    mean_gap_days_of_everybody: float | None
    weekdays: list[TimeShareOut]
    months: list[TimeShareOut]
    hours: list[TimeShareOut]


class MeasuredOut(Out):
    """Whose medians, categories and times these are: all, or of many 5,000, drawn the same way each time.

    Purchases are those of the customers whose purchases you may read.
    """

    customers: Count
    customers_of_everybody: Count
    purchases: Count
    purchases_of_everybody: Count
    amount: Money
    amount_of_everybody: Money


class PortraitOut(Out):
    """What some customers are like, against everybody you may see."""

    as_of: datetime
    customers: Count
    share: float
    monetary: Money
    monetary_share: float
    metrics: list[AverageOut]
    classes: list[ClassShareOut]
    kinds: list[ValueShareOut]
    regions: list[ValueShareOut] = Field(description="the ten most frequent")
    languages: list[ValueShareOut] = Field(description="the ten most frequent")
    tags: list[ValueShareOut] = Field(description="the ten most frequent")
    channels: list[ChannelShareOut] = Field(description="the ten most frequent in each respect")
    categories: list[CategoryShareOut] = Field(description="the ten with the most purchases")
    rhythm: RhythmOut
    measured: MeasuredOut
