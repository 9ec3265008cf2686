"""SELECTs over imports; whatever is asked starts from what the actor may see."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, false, select, true

from app.core import clock
from app.core.db import ReadSession, Record
from app.core.errors import NotFound
from app.core.http.paging import Page
from app.identity.actor import Actor, Scope
from app.imports.models import import_error, imports

READING = 0.3  # the part of an import's time that reading takes
MEASURABLE = 0.02

_shown = select(
    imports.c.id,
    imports.c.kind,
    imports.c.file_name,
    imports.c.dry_run,
    imports.c.status,
    imports.c.phase,
    imports.c.size,
    imports.c.bytes_read,
    imports.c.rows_read,
    imports.c.accepted,
    imports.c.rejected,
    imports.c.skipped,
    imports.c.total,
    imports.c.customers_created,
    imports.c.changed,
    imports.c.error,
    imports.c.created_at,
    imports.c.started_at,
    imports.c.finished_at,
)


def visible_to(actor: Actor, permission: str = "imports:read") -> ColumnElement[bool]:
    """Everyone sees their own imports; who may see all rows sees everybody's."""
    scope = actor.scope(permission)
    if scope is None or (actor.id is None and scope is not Scope.ALL):
        return false()
    return true() if scope is Scope.ALL else imports.c.requested_by == actor.id


async def get_import(session: ReadSession, actor: Actor, import_id: UUID, permission: str = "imports:read") -> Record:
    """One import; raises `NotFound` for what the actor may not see."""
    row = await session.first(_shown.where(imports.c.id == import_id, visible_to(actor, permission)))
    if row is None:
        raise NotFound
    return row


async def list_imports(session: ReadSession, actor: Actor, page: Page) -> list[Record]:
    """The newest first."""
    query = _shown.where(visible_to(actor)).order_by(imports.c.id.desc()).limit(page.limit + 1)
    if (after := page.after()) is not None:
        query = query.where(imports.c.id < UUID(after[0]))
    return await session.all(query)


async def list_errors(session: ReadSession, import_id: UUID, page: Page) -> list[Record]:
    """The bad rows in the file's order."""
    query = (
        select(import_error.c.line, import_error.c.field, import_error.c.reason)
        .where(import_error.c.import_id == import_id)
        .order_by(import_error.c.line)
        .limit(page.limit + 1)
    )
    if (after := page.after()) is not None:
        query = query.where(import_error.c.line > int(after[0]))
    return await session.all(query)


def progress(row: Record) -> dict[str, Any]:
    """The import's row with what follows from it. `total` and `eta` are estimates until the file is read."""
    shown = dict(row)
    shown["processed"] = row["accepted"] + row["rejected"] + row["skipped"]
    if row["total"] is None and row["bytes_read"]:
        shown["total"] = row["rows_read"] * row["size"] // row["bytes_read"]
    shown["eta"] = _eta(row, shown["processed"])
    return shown


def _eta(row: Record, processed: int) -> datetime | None:
    if row["status"] != "running" or not row["size"]:
        return None
    read = row["bytes_read"] / row["size"]
    merged = processed / row["total"] if row["total"] else 0.0
    done: float = READING * read + (1 - READING) * merged
    if done < MEASURABLE:
        return None
    now = clock.now()
    elapsed: timedelta = now - row["started_at"]
    return now + elapsed * ((1 - done) / done)
