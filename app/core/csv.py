"""CSV for people: a cell that a spreadsheet would take for a formula is text."""

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

BLOCK = 1_000
"""Rows of a file that are in memory at a time."""

_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


Following = Callable[[Any | None, int], Awaitable[Sequence[Mapping[str, Any]]]]
"""Reads so many rows behind a row, None being the beginning; each call is a statement of its own."""


async def blocks(after: Following) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    """All rows, so many of them at a time."""
    last = None
    while rows := await after(last, BLOCK):
        yield rows
        last = rows[-1]


async def file_of(
    columns: Sequence[str],
    after: Following,
    written: Mapping[str, Callable[[Any], str]],
) -> AsyncIterator[str]:
    """Rows with these columns as a file, block by block.

    `written` says how the values of a column are written when that is not as they are.
    """
    yield lines([columns])
    async for rows in blocks(after):
        yield block(columns, rows, written)


def block(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], written: Mapping[str, Callable[[Any], str]]
) -> str:
    """Some rows of such a file."""
    return lines([[_written(row[name], written.get(name)) for name in columns] for row in rows])


def _written(value: Any, how: Callable[[Any], str] | None) -> Any:
    return value if value is None or how is None else how(value)


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
