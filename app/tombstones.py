"""Tombstones from the command line: kept beside the backups, and replayed on one that was put back."""

import json
from collections.abc import Iterable
from typing import Any

from rich.console import Console

from app import features
from app.core.db import Database
from app.core.settings import Settings
from app.governance import erasure


async def lines(url: str, settings: Settings) -> list[str]:
    """Every tombstone as a line of JSON."""
    database = await Database.connect(url, settings, size=2)
    try:
        return [json.dumps(each) async for each in erasure.tombstones(database.reading())]
    finally:
        await database.close()


async def replay(url: str, settings: Settings, written: Iterable[str], console: Console) -> dict[str, Any]:
    """Erase whom the lines name and this database does not know as erased; say how many that were.

    Raises `Invalid` for a line that is no tombstone, before anybody is erased.
    """
    features.install()
    stones = [erasure.read(number, line) for number, line in enumerate(written, start=1) if line.strip()]
    database = await Database.connect(url, settings, size=2)
    try:
        erased, known = await erasure.replay(database, stones)
    finally:
        await database.close()
    console.print(f"{erased:,} erased; of {known:,} others nothing was left to erase", highlight=False)
    return {"erased": erased, "known": known}
