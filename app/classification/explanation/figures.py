"""What is put into phrases: numbers, amounts, days, enumerations."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from app.core import clock
from app.core.bounds import plain_decimal


class Count(int):
    """A whole number: a phrase writes it with `{n}`, and with `{n:day|days}` the word that goes with it."""

    def __format__(self, words: str) -> str:
        one, _, many = words.partition("|")
        return (one if self == 1 else many) if words else f"{int(self):,}"


def money(amount: str) -> str:
    """1240 as 1,240.00; of further digits four at most stay."""
    whole, _, cents = number(amount).partition(".")
    return f"{whole}.{cents.rstrip('0'):0<2}"


def number(value: str) -> str:
    """1240.5 as 1,240.5; four digits after the point at most."""
    try:
        return f"{Decimal(plain_decimal(round(Decimal(value), 4))):,f}"
    except ArithmeticError:
        return value


def day_of(instant: str | datetime) -> date:
    """The business day of an instant; without a zone, it is one of the business's own."""
    at = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return at.date() if at.tzinfo is None else clock.business_day(at)


def enumerated(pattern: str, parts: Sequence[str]) -> str:
    """However many parts, joined as the pattern joins three: `{}, {} and {}`."""
    _, comma, last, _ = pattern.split("{}")
    return last.join([comma.join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
