"""Until when a person is answered."""

import calendar
from datetime import date


def a_month_after(day: date) -> date:
    """The same day of the next month, or its last one: the month of GDPR article 12(3)."""
    year, month = divmod(day.year * 12 + day.month, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))
