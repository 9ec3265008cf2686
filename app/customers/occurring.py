"""When a fact about a customer can have happened: pure, and the same for purchases, interactions and feedback."""

from datetime import datetime, timedelta

FUTURE_TOLERANCE = timedelta(days=1)
TOO_LATE = "this lies more than a day in the future"


def is_too_late(occurred_at: datetime, now: datetime) -> bool:
    """True for what lies more than a day ahead: clocks differ by hours, not by days."""
    return occurred_at > now + FUTURE_TOLERANCE
