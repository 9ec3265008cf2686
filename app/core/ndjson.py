"""Files of one JSON object a line, for machines."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from app.core.csv import Following, blocks


async def file_of(columns: Sequence[str], after: Following) -> AsyncIterator[str]:
    """Rows with these columns as a file, block by block (see `core.csv.file_of`)."""
    async for rows in blocks(after):
        yield block(columns, rows)


def block(
    columns: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    written: Mapping[str, Callable[[Any], Any]] = MappingProxyType({}),
) -> str:
    """Some rows of such a file; `written` says how the values of a column are written when that is not as they are."""
    return "".join(line({name: _written(row[name], written.get(name)) for name in columns}) for row in rows)


def _written(value: Any, how: Callable[[Any], Any] | None) -> Any:
    return value if value is None or how is None else how(value)


def line(row: dict[str, Any]) -> str:
    """One row; what JSON does not know is written as text, instants as ISO 8601."""
    return json.dumps(row, default=_text, ensure_ascii=False, separators=(",", ":")) + "\n"


def _text(value: Any) -> str:
    written: str = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return written
