"""What can be an interaction: pure decisions."""

from datetime import datetime, timedelta

FUTURE_TOLERANCE = timedelta(days=1)


def is_too_late(occurred_at: datetime, now: datetime) -> bool:
    """Whether it has not happened yet, however wrong a clock may go."""
    return occurred_at > now + FUTURE_TOLERANCE
