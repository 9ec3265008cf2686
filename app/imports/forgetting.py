"""Who is erased while a file that names them is on its way in is not brought back by it.

Rows that wait in a staging table go at once. Rows that are yet to be read are refused when they would be merged: of a
reference the import keeps a mark, which is no personal data. The file itself goes when its import ends.

Locks: who merges holds customers first, and at its checkpoint the import. So does who erases.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, any_, delete, func, literal, literal_column, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.core import work
from app.core.db import Record, WriteSession
from app.imports import kinds
from app.imports.models import import_error, imports

ERASED = "the customer was erased while the file was on its way in"
_i = imports.c


async def forget(session: WriteSession, references: Sequence[str]) -> None:
    """Let no import that is under way merge a row of these references. The caller holds their customers."""
    if not references:
        return
    columns = (_i.id, _i.number, _i.kind)
    for row in await session.all(select(*columns).where(work.under_way(imports)).order_by(_i.id).with_for_update()):
        lines = await _take_out(session, row, references)
        marks = literal([kinds.mark_of(row["id"], each) for each in references], ARRAY(Text))
        values = {"forgotten": func.array_cat(_i.forgotten, marks)}
        counts = {"staged": _i.staged - len(lines), "rejected": _i.rejected + len(lines)}
        await session.execute(update(imports).where(_i.id == row["id"]).values(**values, **counts))
        records = [(row["id"], line, "customer_ref", ERASED) for line in lines]
        await session.copy(import_error, ("import_id", "line", "field", "reason"), records)


async def _take_out(session: WriteSession, row: Record, references: Sequence[str]) -> list[int]:
    """The lines that were waiting. A row that somebody merges at this moment is passed over: it comes back marked."""
    kind = kinds.find(row["kind"])
    assert kind is not None, f"nobody imports {row['kind']}"
    staging = kind.staging
    place: ColumnElement[Any] = literal_column("ctid")
    theirs = (
        select(place)
        .select_from(staging)
        .where(staging.c.import_number == row["number"])
        .where(staging.c.customer_ref == any_(literal(list(references), ARRAY(Text))))
        .with_for_update(skip_locked=True)
    )
    taken = delete(staging).where(place == any_(func.array(theirs.scalar_subquery()))).returning(staging.c.line)
    return [line["line"] for line in await session.all(taken)]
