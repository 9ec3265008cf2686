"""What a custom field takes, in one spelling. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from app.core.bounds import EARLIEST, LATEST, decimal_in_range, money_text, plain_decimal

SEPARATOR = ";"
_CHOICES = ("choice", "multi_choice")
_NUMBERS = ("number", "money")

Definition = Mapping[str, Any]
"""Type, options, minimum and maximum of a field."""


def fault(definition: Definition) -> tuple[str, str] | None:
    """Which part of a definition makes no sense, and why; None when all do."""
    kind, options = definition["type"], definition["options"]
    low, high = definition["minimum"], definition["maximum"]
    if kind in _CHOICES and not options:
        return "options", "say what can be chosen"
    if kind not in _CHOICES and options:
        return "options", f"there is nothing to choose in a {kind}"
    if len(set(options)) < len(options):
        return "options", "each option once"
    for name, bound in (("minimum", low), ("maximum", high)):
        if bound is not None and kind not in _NUMBERS:
            return name, f"a {kind} has no {name}"
    if low is not None and high is not None and low > high:
        return "maximum", "the maximum lies below the minimum"
    return None


MOST_INDEXED = 600
"""Characters, of four bytes each: PostgreSQL keeps no more than 2,704 bytes in an entry of an index."""


def normal(definition: Definition, value: str) -> str:
    """The value in the spelling in which it is kept; ValueError says what the field takes."""
    found = _NORMAL[definition["type"]](definition, value)
    if definition["indexed"] and len(found) > MOST_INDEXED:
        raise ValueError(f"a field that is indexed takes {MOST_INDEXED} characters at most")
    return found


def _text(_: Definition, value: str) -> str:
    return value


def _number(definition: Definition, value: str) -> str:
    return plain_decimal(_decimal(definition, value))


def _money(definition: Definition, value: str) -> str:
    return money_text(_decimal(definition, value))


def _decimal(definition: Definition, value: str) -> Decimal:
    try:
        number = decimal_in_range(Decimal(value.strip()))
    except InvalidOperation as error:
        raise ValueError('a number is needed, such as "12.5"') from error
    low, high = definition["minimum"], definition["maximum"]
    if low is not None and number < low:
        raise ValueError(f"{plain_decimal(low)} or more is needed")
    if high is not None and number > high:
        raise ValueError(f"{plain_decimal(high)} or less is needed")
    return number


def _date(_: Definition, value: str) -> str:
    try:
        day = date.fromisoformat(value)
    except ValueError as error:
        raise ValueError("a day is needed, such as 2026-01-02") from error
    if not EARLIEST.date() <= day < LATEST.date():
        raise ValueError("the day must lie between 1900 and 2200")
    return day.isoformat()


def _boolean(_: Definition, value: str) -> str:
    if value not in ("true", "false"):
        raise ValueError("true or false is needed")
    return value


def _choice(definition: Definition, value: str) -> str:
    return _chosen(definition["options"], [value.strip()])


def _multi_choice(definition: Definition, value: str) -> str:
    return _chosen(definition["options"], [each.strip() for each in value.split(SEPARATOR)])


def _chosen(options: Sequence[str], values: Sequence[str]) -> str:
    if not set(values) <= set(options):
        raise ValueError(f"one of these is needed: {', '.join(options)}")
    return SEPARATOR.join(each for each in options if each in values)


_NORMAL: dict[str, Callable[[Definition, str], str]] = {
    "text": _text,
    "number": _number,
    "money": _money,
    "date": _date,
    "choice": _choice,
    "multi_choice": _multi_choice,
    "boolean": _boolean,
}
