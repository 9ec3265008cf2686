"""The import kind `interactions`: a row of a file is an interaction, known by its reference."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, Text, literal, select
from sqlalchemy.dialects.postgresql import insert

from app.core.bounds import Day, Key, Line
from app.core.db import WriteSession
from app.core.events import publish
from app.customers.fact_files import FactFile, FactRow, Refusal, said_by
from app.customers.occurring import TOO_LATE, is_too_late
from app.interactions.events import InteractionsRecorded
from app.interactions.models import interaction
from app.interactions.schemas import Duration, InteractionDirection, InteractionKind, InteractionMatter, Minutes
from app.interactions.service import WRITE
from app.interactions.staging import interaction_import_row


class _FileRow(FactRow):
    """A row of the file. What a cell may be is what a recorded interaction may be."""

    kind: InteractionKind
    direction: InteractionDirection | None = None
    outcome: Key | None = None
    duration_seconds: Duration | None = None
    subject: Line | None = None
    minutes: Minutes | None = None
    matter: InteractionMatter | None = None
    next_step: Line | None = None
    next_step_due_on: Day | None = None


def _refuse(row: _FileRow, now: datetime) -> Refusal:
    if row.next_step_due_on is not None and row.next_step is None:
        return "next_step", "next_step is missing: something is due"
    return ("occurred_at", TOO_LATE) if is_too_late(row.occurred_at, now) else None


async def _write(session: WriteSession, rows: Select[Any], written_by: str) -> int:
    given, said = rows.subquery("given"), said_by(_FileRow)
    written = await session.all(
        insert(interaction)
        .from_select(
            ["customer_id", *said, "written_by"],
            select(given.c.customer_id, *(given.c[name] for name in said), literal(written_by, Text)),
        )
        .on_conflict_do_nothing()
        .returning(interaction.c.customer_id)
    )
    if written:
        await publish(session, InteractionsRecorded(sorted({row[0] for row in written})))
    return len(written)


KIND = FactFile(
    name="interactions",
    row=_FileRow,
    staging=interaction_import_row,
    facts=interaction,
    permission=WRITE,
    refuse=_refuse,
    write=_write,
    numbers={"duration_seconds": "this is no whole number of seconds"},
)
