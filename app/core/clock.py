"""The only place that asks what time it is.

`now()` is real time: tokens, audit, jobs. `business_now()` is the time by which customers are
judged: the same, unless `STRATA_TODAY` shifts it by whole days so that old data can be
classified as of its own time.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.core.settings import get_settings


def now() -> datetime:
    """The real instant, in UTC."""
    return datetime.now(UTC)


def business_zone() -> ZoneInfo:
    """The zone in which a business day begins and ends."""
    return ZoneInfo(get_settings().time_zone)


def business_now() -> datetime:
    """The instant by which customers are judged, in UTC."""
    settings = get_settings()
    instant = now()
    if settings.today is None:
        return instant
    zone = business_zone()
    real_today = instant.astimezone(zone).date()
    return instant + (settings.today - real_today)


def business_day(instant: datetime) -> date:
    """The local date of an instant in the business time zone."""
    return instant.astimezone(business_zone()).date()


def start_of_day(day: date) -> datetime:
    """The first instant of a local day, in UTC."""
    return datetime.combine(day, time.min, business_zone()).astimezone(UTC)


def end_of_day(day: date) -> datetime:
    """The last microsecond of a local day, in UTC."""
    return start_of_day(day + timedelta(days=1)) - timedelta(microseconds=1)


def as_of(asked: datetime | date | None) -> datetime | None:
    """An instant as it is; a day means its end, or now if it is today."""
    if asked is None or isinstance(asked, datetime):
        return asked
    instant = business_now()
    return instant if asked == business_day(instant) else end_of_day(asked)
