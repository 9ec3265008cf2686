"""Files of one JSON object a line, for machines."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from app.core.csv import Following, blocks


async def file_of(columns: Sequence[str], after: Following) -> AsyncIterator[str]:
    """Rows with these columns as a file, block by block (see `core.csv.file_of`)."""
    async for rows in blocks(after):
        yield "".join(line({name: row[name] for name in columns}) for row in rows)


def line(row: dict[str, Any]) -> str:
    """One row; what JSON does not know is written as text, instants as ISO 8601."""
    return json.dumps(row, default=_text, ensure_ascii=False, separators=(",", ":")) + "\n"


def _text(value: Any) -> str:
    written: str = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return written
