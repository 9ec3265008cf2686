"""One comparison with a constant, as SQL: the operators, and what each kind of value takes."""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, any_, case, cast, func, literal, literal_column, not_, or_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Date, DateTime, Integer, Numeric, Text, Uuid

from app.core.bounds import decimal_in_range, money_text, plain_decimal, printable, within_calendar
from app.core.errors import Invalid


class Op(StrEnum):
    """How a value is compared."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    IN = "in"
    NOT_IN = "not_in"
    WITHIN = "within"
    CONTAINS = "contains"
    IS_NULL = "is_null"


ORDERED = {Op.LT: "<", Op.LTE: "<=", Op.GT: ">", Op.GTE: ">="}


class Spelled(Text):
    """Texts that spell numbers, days, choices, or anything: compared as what they are compared with."""


_SPELLED_NUMBER = r"^-?[0-9]{1,14}(\.[0-9]{1,4})?$"
_SPELLED_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_CANONICAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


def compare(subject: ColumnElement[Any], op: Op, value: Any, pointer: str) -> ColumnElement[bool]:
    """One comparison with a constant, its value read as the subject's type; NULL when the subject is."""
    at = f"{pointer}/value"
    if op is Op.IS_NULL:
        if not isinstance(value, bool):
            raise Invalid.at(at, "is_null takes true or false")
        return subject.is_(None) if value else subject.is_not(None)
    if isinstance(subject.type, Spelled) and op not in (Op.WITHIN, Op.CONTAINS):
        return _compare_spelled(subject, op, value, pointer)
    if op in (Op.IN, Op.NOT_IN):
        _check_list(op, value, at)
        among = subject == any_(literal([_typed(subject, each, at) for each in value], ARRAY(subject.type)))
        return among if op is Op.IN else not_(among)
    if op is Op.WITHIN and isinstance(value, list):
        return _within_one_of(subject, value, pointer)
    if isinstance(value, list):
        raise Invalid.at(at, f"{op} takes one value; use in for a list")
    if op in (Op.WITHIN, Op.CONTAINS):
        return _textual(subject, op, value, pointer)
    operand = literal(_typed(subject, value, at), subject.type)
    if op is Op.EQ:
        return subject == operand
    if op is Op.NE:
        return subject != operand
    return ordered(subject, op, operand, pointer)


def _check_list(op: Op, value: Any, pointer: str) -> None:
    if not isinstance(value, list) or not value:
        raise Invalid.at(pointer, f"{op} takes a list of values")


def _compare_spelled(subject: ColumnElement[Any], op: Op, value: Any, pointer: str) -> ColumnElement[bool]:
    """Below and above ask for a number or a day, and hold of no other text; equal is in the same spelling.

    A number equals its spelling as an amount, with two digits after the point.
    """
    at = f"{pointer}/value"
    if op in (Op.IN, Op.NOT_IN):
        _check_list(op, value, at)
    elif isinstance(value, list):
        raise Invalid.at(at, f"{op} takes one value; use in for a list")
    if op in ORDERED:
        if re.fullmatch(_SPELLED_DAY, str(value), re.ASCII):
            return day_in(subject).bool_op(ORDERED[op])(_instant(value, at, whole_day=True).isoformat())
        number = number_in(subject)
        return number.bool_op(ORDERED[op])(literal(_typed(number, value, at), Numeric()))
    among = subject == any_(literal(_spellings(value if isinstance(value, list) else [value]), ARRAY(Text)))
    return among if op in (Op.EQ, Op.IN) else not_(among)


def number_in(text: ColumnElement[Any]) -> ColumnElement[Any]:
    """The number that a text spells; NULL for any other. Written out whole: an index may hold the same expression."""
    return case((_is_like(text, _SPELLED_NUMBER), cast(text, Numeric())))


def day_in(text: ColumnElement[Any]) -> ColumnElement[Any]:
    """The day that a text spells, as text, in the order of days; NULL for any other."""
    return case((_is_like(text, _SPELLED_DAY), text)).collate("C")


def _is_like(text: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    return text.bool_op("~")(literal_column(f"'{pattern}'", Text))


def _spellings(values: Sequence[Any]) -> list[str]:
    found: dict[str, None] = {}
    for each in values:
        text = str(each).lower() if isinstance(each, bool) else str(each)
        found[text] = None
        if _CANONICAL.fullmatch(text):
            found |= dict.fromkeys((plain_decimal(Decimal(text)), money_text(Decimal(text))))
    return list(found)


def ordered(subject: ColumnElement[Any], op: Op, operand: ColumnElement[Any], pointer: str) -> ColumnElement[bool]:
    """Below or above something. Raises `Invalid` for texts, and for operators that are neither."""
    if op not in ORDERED or isinstance(subject.type, Text):
        raise Invalid.at(f"{pointer}/op", f"{op} does not apply here")
    return subject.bool_op(ORDERED[op])(operand)


def _textual(subject: ColumnElement[Any], op: Op, value: Any, pointer: str) -> ColumnElement[bool]:
    if not isinstance(subject.type, Text) or not isinstance(value, str):
        raise Invalid.at(f"{pointer}/op", f"{op} applies to text")
    if op is Op.CONTAINS:
        return subject.icontains(value, autoescape=True)
    return or_(subject == value, subject.startswith(value + "-", autoescape=True))


def _within_one_of(subject: ColumnElement[Any], codes: list[str], pointer: str) -> ColumnElement[bool]:
    """Within one of many areas: the beginning of the code is looked up, once for each length."""
    if not codes:
        raise Invalid.at(f"{pointer}/value", "within takes a code or a list of codes")
    if not isinstance(subject.type, Text):
        raise Invalid.at(f"{pointer}/op", "within applies to text")
    ended = subject.concat("-")
    by_length: dict[int, list[str]] = {}
    for code in codes:
        by_length.setdefault(len(code) + 1, []).append(f"{code}-")
    return or_(*(func.left(ended, n) == any_(literal(some, ARRAY(Text))) for n, some in by_length.items()))


def _typed(subject: ColumnElement[Any], value: Any, pointer: str) -> Any:
    """The JSON value as the subject's type; `Invalid` when it is not one."""
    kind = subject.type
    if isinstance(kind, Text):
        if isinstance(value, str):
            return value
        raise Invalid.at(pointer, "a text is needed")
    if isinstance(value, bool):
        raise Invalid.at(pointer, "true and false do not compare with this")
    if isinstance(kind, Numeric | Integer):
        number = _number(value, pointer)
        if isinstance(kind, Integer) and not isinstance(kind, Numeric):
            if number != number.to_integral_value() or abs(number) >= 2**31:
                raise Invalid.at(pointer, "a whole number below 2,147,483,648 is needed")
            return int(number)
        return number
    if isinstance(kind, Uuid):
        return _uuid(value, pointer)
    if isinstance(kind, DateTime | Date):
        return _instant(value, pointer, whole_day=isinstance(kind, Date))
    return value


def _number(value: Any, pointer: str) -> Decimal:
    try:
        return decimal_in_range(Decimal(str(value)))
    except (InvalidOperation, ValueError) as error:
        raise Invalid.at(pointer, 'a number is needed, such as "10000" or "99.90"') from error


def _uuid(value: Any, pointer: str) -> UUID:
    try:
        return UUID(str(value))
    except ValueError as error:
        raise Invalid.at(pointer, "an id is needed, such as 019a0b1c-2d3e-7f40-8a9b-0c1d2e3f4a5b") from error


def _instant(value: Any, pointer: str, *, whole_day: bool) -> Any:
    try:
        instant = datetime.fromisoformat(printable(str(value)))
    except ValueError as error:
        raise Invalid.at(pointer, "an instant is needed, such as 2026-01-02T03:04:05Z") from error
    if whole_day:
        return instant.date()
    try:
        return within_calendar(instant)
    except ValueError as error:
        raise Invalid.at(pointer, str(error)) from error
