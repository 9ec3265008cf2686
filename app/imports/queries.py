"""SELECTs over imports; whatever is asked starts from what the actor may see."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, false, select, true

from app.core import work
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
    return true() if scope is Scope.ALL else imports.c.requested_by == actor.owner_id


async def get_import(session: ReadSession, actor: Actor, import_id: UUID, permission: str = "imports:read") -> Record:
    """One import; raises `NotFound` for what the actor may not see."""
    row = await session.first(_shown.where(imports.c.id == import_id, visible_to(actor, permission)))
    if row is None:
        raise NotFound
    return row


async def page_of_imports(session: ReadSession, actor: Actor, page: Page) -> dict[str, Any]:
    """A page of imports that the actor may see, the newest first."""
    return await page.latest_first(session, _shown.where(visible_to(actor)), progress)


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
    processed, total = row["accepted"] + row["rejected"] + row["skipped"], row["total"]
    read = row["bytes_read"] / row["size"] if row["size"] else 0
    merged = processed / total if total else 0
    share = READING * read + (1 - READING) * merged
    if total is None and row["bytes_read"]:
        total = row["rows_read"] * row["size"] // row["bytes_read"]
    eta = work.expected_end(row, share if share >= MEASURABLE else 0)
    return {**row, "processed": processed, "total": total, "eta": eta}
