"""CSV for people: a cell that a spreadsheet would take for a formula is text."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def lines(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV (RFC 4180); null is an empty cell."""
    made = io.StringIO()
    csv.writer(made).writerows([_cell(value) for value in row] for row in rows)
    return made.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith(_BEGINS_FORMULA) or _is_number(value):
        return value
    return f"'{value}"


def _is_number(value: str) -> bool:
    digits = value.removeprefix("-").replace(".", "", 1)
    return digits.isascii() and digits.isdigit()
