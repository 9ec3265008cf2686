"""Bounded types for everything that comes from outside: no string without a length, no number without a range.

A string with a NUL byte, another control character or a lone surrogate cannot be stored or shown; it
is refused here, at the edge.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from app.core import clock

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_NUMBER = re.compile(r"\s*[-+]?[\d.]+(e[-+]?\d+)?\s*$", re.IGNORECASE | re.ASCII)
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
MAX_AMOUNT = Decimal(10) ** 14
AMOUNT_PLACES = 4


def printable(value: str) -> str:
    """The string itself; ValueError when it holds what cannot be stored."""
    if _UNPRINTABLE.search(value):
        raise ValueError("control characters and lone surrogates are not accepted")
    return value


def within_calendar(value: datetime) -> datetime:
    """The instant in UTC; ValueError without a zone or outside 1900 to 2200."""
    if value.tzinfo is None:
        raise ValueError("give the instant with its zone, such as 2026-01-02T03:04:05Z")
    try:
        instant = value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the instant lies outside the calendar") from error
    if not EARLIEST <= instant < LATEST:
        raise ValueError("the instant must lie between 1900 and 2200")
    return instant


def _written_out(value: Any) -> Any:
    # Pydantic would read a number as seconds since 1970.
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.match(value)):
        raise ValueError("write it out, such as 2026-01-02T03:04:05Z")
    return value


def _not_to_come(value: datetime) -> datetime:
    if value > clock.business_now():
        raise ValueError("this instant lies in the future")
    return value


def _day_within_calendar(day: date) -> date:
    if not EARLIEST.date() <= day < LATEST.date():
        raise ValueError("the day must lie between 1900 and 2200")
    return day


def _decimal_text(value: Any) -> Any:
    if isinstance(value, bool | float):
        raise ValueError('give decimals as a string such as "99.90", so that no digit is lost')
    return value


def decimal_in_range(value: Decimal) -> Decimal:
    """A finite decimal of at most 14 digits before and 4 after the point; ValueError otherwise."""
    if not value.is_finite():
        raise ValueError("a finite decimal number is needed")
    try:
        rounded = value.quantize(Decimal(1).scaleb(-AMOUNT_PLACES))
    except InvalidOperation as error:
        raise ValueError("at most 14 digits before the point") from error
    if abs(value) >= MAX_AMOUNT:
        raise ValueError("at most 14 digits before the point")
    if rounded != value:
        raise ValueError("at most 4 digits after the point")
    return value


def plain_decimal(value: Decimal) -> str:
    """A decimal as people write it: no exponent, no trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def money_text(value: Decimal) -> str:
    """An amount as people write it: two places at least, no trailing zeros beyond them."""
    whole, _, cents = plain_decimal(value).partition(".")
    return f"{whole}.{cents:0<2}"


Printable = AfterValidator(printable)
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), Printable]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), Printable]
Paragraph = Annotated[str, StringConstraints(max_length=4000), Printable]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Instant = Annotated[datetime, BeforeValidator(_written_out), AfterValidator(within_calendar)]
PastInstant = Annotated[Instant, AfterValidator(_not_to_come)]
"""An instant up to now, by which customers are judged: nobody knows what will have been."""
Day = Annotated[date, BeforeValidator(_written_out), AfterValidator(_day_within_calendar)]
Flag = Annotated[bool, Field(strict=True)]

DecimalText = Annotated[
    Decimal,
    BeforeValidator(_decimal_text),
    AfterValidator(decimal_in_range),
    PlainSerializer(plain_decimal, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "decimal", "maxLength": 24, "examples": ["99.90"]}),
]
Money = Annotated[DecimalText, PlainSerializer(money_text, return_type=str, when_used="json")]
PositiveDecimal = Annotated[DecimalText, Field(gt=0)]
Count = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
Id = UUID


class FileFormat(StrEnum):
    """How a file is written."""

    CSV = "csv"
    NDJSON = "ndjson"


class In(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", str_max_length=10_000)


class Out(BaseModel):
    """An answer: every field is there."""

    model_config = ConfigDict(from_attributes=True, json_schema_serialization_defaults_required=True)


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def left_out() -> Any:
    """The default of a field that a patch may leave out but not empty."""
    return Field(default=None, json_schema_extra=_without_default)
