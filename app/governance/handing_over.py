"""What a person may ask for: everything that is kept of a customer, from every package, in one archive.

A zip of a file of JSON objects, one a line, for each table, and of `manifest.json`: its rows as they stand, all of one
instant. Nothing is masked: it is the person's own. Whoever takes it is written down first.

No job, however much there is: rows come in blocks and go, compressed, into a file that has no name and is gone when it
was sent. A customer with 100,000 purchases takes seconds and some megabytes. The connection to the database is given
back before the first byte leaves, so that a slow line holds nobody up. And there is no copy of a person's data to be
kept, withdrawn and erased, as there would be if it were made beforehand.
"""

import asyncio
import hashlib
import json
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Table, Text, cast, func, select

from app.core import audit, clock
from app.core.db import ReadSession, Snapshot
from app.customers import document
from app.customers.models import customer
from app.identity.actor import Actor

HAND_OVER = "customers:hand_over"
BLOCK = 1_000
"""Rows that are in memory at a time."""
IN_MEMORY = 1024 * 1024
"""Bytes of an archive that need no file."""
_SENT = 64 * 1024
Rows = Callable[[UUID], Select[Any]]
"""What is kept of a customer in a place of which only a part is its own, in the order of the first column."""
_parts: dict[str, tuple[Rows, int]] = {}


def add(tables: Sequence[Table], rows: Mapping[str, Rows]) -> None:
    """Hand these over, too: tables that have a `customer_id`, the record itself, and rows from elsewhere by name."""
    _parts.update({table.name: (_of_table(table), len(table.primary_key.columns)) for table in tables})
    _parts.update({name: (each, 1) for name, each in rows.items()})


def _of_table(table: Table) -> Rows:
    whose = table.c.id if table is customer else table.c.customer_id
    keys = [*table.primary_key.columns]
    rest = [column for column in table.columns if not column.primary_key]
    return lambda customer_id: select(*keys, *rest).where(whose == customer_id)


async def archive(
    session: ReadSession, actor: Actor, customer_id: UUID, request_id: str | None
) -> AsyncIterator[bytes]:
    """The archive, whole, to be sent piece by piece. Raises `NotFound` out of the actor's reach."""
    await document.check_visible(session, actor, customer_id, HAND_OVER)
    await audit.record_reading(
        session,
        actor,
        "customer.handed_over",
        "customer",
        customer_id,
        what={"files": [*_parts]},
        request_id=request_id,
    )
    written = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  closed when it was sent
    try:
        async with session.database.snapshot() as snapshot:
            await _pack(snapshot, customer_id, written)
    except BaseException:
        written.close()
        raise
    return _sent(written)


async def _pack(snapshot: Snapshot, customer_id: UUID, written: Any) -> None:
    manifest: dict[str, Any] = {"customer_id": str(customer_id), "made_at": clock.now().isoformat(), "files": []}
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, (rows, keys) in _parts.items():
            lines = _lines(rows(customer_id), keys)
            manifest["files"].append(await _file(snapshot, packed, f"{name}.ndjson", lines))
        packed.writestr("manifest.json", json.dumps(manifest, indent=2))


async def _file(snapshot: Snapshot, packed: zipfile.ZipFile, name: str, lines: Select[Any]) -> dict[str, Any]:
    """Write a file of these lines; what the manifest says of it."""
    rows, digest = 0, hashlib.sha256()
    with packed.open(name, "w", force_zip64=True) as file:
        async for block in snapshot.blocks(lines, BLOCK):
            content = "".join(f"{row['line']}\n" for row in block).encode()
            rows += len(block)
            digest.update(content)
            await asyncio.to_thread(file.write, content)
    return {"name": name, "rows": rows, "sha256": digest.hexdigest()}


def _lines(found: Select[Any], keys: int) -> Select[Any]:
    rows = found.subquery("handed_over")
    return select(cast(func.to_jsonb(rows.table_valued()), Text).label("line")).order_by(*[*rows.c][:keys])


async def _sent(written: Any) -> AsyncIterator[bytes]:
    with written:
        written.seek(0)
        while piece := await asyncio.to_thread(written.read, _SENT):
            yield piece
