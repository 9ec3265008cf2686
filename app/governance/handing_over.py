"""What a person may ask for: everything that is kept of a customer, from every package, in one archive.

A zip of `manifest.json` and of a file of JSON objects, one a line, for each table: its rows as they stand, all of one
instant. Nothing is masked: it is the person's own. Whoever takes it is written down first.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, Text, cast, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.core import audit, clock
from app.core.db import ReadSession
from app.customers import document
from app.customers.models import customer
from app.identity.actor import Actor

HAND_OVER = "customers:hand_over"
_tables: dict[str, Table] = {}


def add(tables: Sequence[Table]) -> None:
    """Hand these over, too: tables that have a `customer_id`, and the record itself."""
    _tables.update({table.name: table for table in tables})


async def archive(session: ReadSession, actor: Actor, customer_id: UUID, request_id: str | None) -> bytes:
    """The archive. Raises `NotFound` out of the actor's reach."""
    await document.check_visible(session, actor, customer_id, HAND_OVER)
    await audit.record_reading(
        session,
        actor,
        "customer.handed_over",
        "customer",
        customer_id,
        what={"files": [*_tables]},
        request_id=request_id,
    )
    row = await session.first(_everything(customer_id))
    assert row is not None
    files = {f"{name}.ndjson": (row[name] or "").encode() for name in _tables}
    manifest = {
        "customer_id": str(customer_id),
        "made_at": clock.now().isoformat(),
        "files": [
            {"name": name, "rows": content.count(b"\n"), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        ],
    }
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("manifest.json", json.dumps(manifest, indent=2))
        for name, content in files.items():
            packed.writestr(name, content)
    return written.getvalue()


def _everything(customer_id: UUID) -> Select[Any]:
    """A column a table, in one statement: what is handed over fits together."""
    return select(*(_lines(table, customer_id).label(name) for name, table in _tables.items()))


def _lines(table: Table, customer_id: UUID) -> ColumnElement[Any]:
    whose = table.c.id if table is customer else table.c.customer_id
    rows = select(table).where(whose == customer_id).subquery("handed_over")
    in_order = aggregate_order_by(literal(""), *(rows.c[column.key] for column in table.primary_key.columns))
    line = cast(func.to_jsonb(rows.table_valued()), Text) + literal_column("E'\\n'")
    return select(func.string_agg(line, in_order)).scalar_subquery()
