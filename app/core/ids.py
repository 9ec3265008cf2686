"""Ids of many rows at once."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, cast, func, literal, select
from sqlalchemy import Uuid as UuidType


def counting_on(number: ColumnElement[Any]) -> ColumnElement[Any]:
    """A UUIDv7 for each row of a statement: one is made, and the others count on from it by their `number`.

    Numbers are whole, differ, and are at least 0 and below 2^46. RFC 9562 calls this monotonic random (6.2, method 2).
    Every `uuidv7()` asks the system for random bytes anew, which takes as long as checking and parsing the row.
    """
    made = select(func.left(cast(func.uuidv7(), Text), len("00000000-0000-7000-8000-"))).scalar_subquery()
    first = select(cast(func.floor(func.random() * literal(2.0**46)), BigInteger)).scalar_subquery()
    return cast(made.concat(func.lpad(func.to_hex(first + cast(number, BigInteger)), 12, "0")), UuidType)
