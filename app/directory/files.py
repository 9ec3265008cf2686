"""Files of customers that a job makes: asked for, followed, cancelled, fetched while they last, withdrawn.

A file is its asker's alone, and made with the asker's rights of that moment. Whoever may see less by now does not
get it, and nobody gets it once somebody in it was deleted.
"""

import zlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Uuid as UuidType
from sqlalchemy import any_, delete, func, literal, or_, select, update

from app.classification import segments
from app.core import audit, clock, work
from app.core.bounds import FileFormat
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from app.core.http.paging import Page
from app.core.jobs import JobContext
from app.customers.document import READ_CONTACT
from app.directory.models import export, export_piece
from app.directory.queries import condition_of, known_class
from app.directory.schemas import ExportIn
from app.identity.actor import Actor, Scope, as_kept, from_kept

READ = "customers:read"
JOB = "exports.run"
KEPT = timedelta(hours=24)
_SHOWN = [column for column in export.columns if column.name != "actor"]


class Gone(Problem):
    status = 410
    type = "export-expired"
    title = "This file is no longer kept; ask for a new one"


class File(NamedTuple):
    """A file on its way to who asked for it."""

    name: str
    format: FileFormat
    content: AsyncIterator[str]


# ---- asked for, followed, cancelled ----------------------------------------------------------------------------------


async def request(session: WriteSession, actor: Actor, body: ExportIn) -> UUID:
    """Ask for a file. Raises `Invalid` and `Forbidden` for what may not be asked, naming the field."""
    await check(session, actor, body)
    export_id = await work.queue(
        session,
        export,
        JOB,
        format=body.format,
        asked=body.model_dump(mode="json", by_alias=True, exclude_none=True),
        actor=as_kept(actor),
    )
    kind, name = _described(body)
    after = {"format": body.format, "kind": kind, "name": name}
    audit.record(session, actor, "export.requested", "export", export_id, after=after)
    return export_id


async def check(session: ReadSession, actor: Actor, body: ExportIn) -> None:
    """Raises `Invalid` and `Forbidden` for what may not be asked."""
    if sum(part is not None for part in (body.where, body.class_, body.segment)) > 1:
        raise Invalid.at("/body", "ask for one of where, class and segment, or for none of them: everybody you see")
    if body.where is not None:
        await condition_of(session, actor, body.where)
    if body.class_ is not None:
        await known_class(session, body.class_, "/body/class")
    if body.segment is not None:
        try:
            await segments.check_exists(session, body.segment)
        except NotFound as error:
            raise Invalid.at("/body/segment", f"there is no segment {body.segment}") from error


async def one(session: ReadSession, export_id: UUID, principal: str) -> dict[str, Any]:
    """A file and how far it is. Raises `NotFound` for another's."""
    return _progress(await _own(session, export_id, principal))


async def page_of(session: ReadSession, page: Page, principal: str) -> dict[str, Any]:
    """A page of what this principal asked for, the latest first."""
    return await page.latest_first(session, select(*_SHOWN).where(export.c.requested_by == principal), _progress)


async def cancel(session: WriteSession, actor: Actor, export_id: UUID) -> None:
    """Stop before the next piece. Raises `NotFound` for another's, and `Conflict` when it has ended."""
    await _own(session, export_id, session.principal)
    await work.cancel(session, actor, export, export_id)


async def _own(session: ReadSession, export_id: UUID, principal: str) -> Record:
    row = await session.first(select(export).where(export.c.id == export_id, export.c.requested_by == principal))
    if row is None:
        raise NotFound("There is no such export among your own")
    return row


def _described(asked: ExportIn) -> tuple[str, str | None]:
    if asked.class_ is not None:
        return "class", asked.class_
    if asked.segment is not None:
        return "segment", asked.segment
    return ("everybody" if asked.where is None else "search"), None


def _progress(row: Record) -> dict[str, Any]:
    kind, name = _described(ExportIn.model_validate(row["asked"]))
    return {**work.progress(row, row["processed"], row["total"]), "kind": kind, "name": name}


# ---- fetched ---------------------------------------------------------------------------------------------------------


async def fetch(session: ReadSession, actor: Actor, export_id: UUID, principal: str, request_id: str | None) -> File:
    """The file; that it was taken is written down first.

    Raises `NotFound` for another's, `Conflict` before it is complete, `Gone` when it has expired or was withdrawn,
    `Forbidden` when the actor may see less by now than the file shows.
    """
    row = await _own(session, export_id, principal)
    if row["expires_at"] is not None and row["expires_at"] <= clock.now():
        raise Gone
    if row["status"] != "completed":
        raise Conflict("The file is not complete: follow its status")
    if not still_reaches(from_kept(row["actor"]), actor):
        raise Forbidden("You may see less by now than this file shows; ask for a new one")
    what = {
        "format": row["format"],
        "rows": row["processed"],
        "customers": actor.scope(READ),
        "contact": actor.scope(READ_CONTACT),
    }
    await audit.record_reading(
        session, actor, "customers.exported", "export", export_id, what=what, request_id=request_id
    )
    name = f"customers-{row['created_at']:%Y%m%d-%H%M%S}"
    return File(name, FileFormat(row["format"]), _content(session, export_id, row["pieces"]))


async def _content(session: ReadSession, export_id: UUID, pieces: int) -> AsyncIterator[str]:
    p = export_piece.c
    for position in range(pieces):
        data = await session.scalar(select(p.data).where(p.export_id == export_id, p.position == position))
        if data is None:  # withdrawn while it is sent: what is broken off is not taken for the whole
            raise ConnectionAbortedError("the file was withdrawn")
        yield zlib.decompress(data).decode()


def still_reaches(then: Actor, now: Actor) -> bool:
    """Whether an actor may still see all that it saw."""
    if then.owner_id != now.owner_id:
        return False  # it was made on behalf of somebody else
    for permission in (READ, READ_CONTACT):
        before, after = then.scope(permission), now.scope(permission)
        if before is None or after is Scope.ALL:
            continue
        if after is None or before is Scope.ALL or not _units(then, before) <= _units(now, after):
            return False
    return True


def _units(actor: Actor, scope: Scope) -> set[UUID]:
    return set({Scope.UNIT: actor.unit_ids, Scope.SUBTREE: actor.subtree_ids}.get(scope, ()))


# ---- withdrawn and forgotten -----------------------------------------------------------------------------------------


async def withdraw(session: WriteSession, customer_id: UUID) -> None:
    """Withdraw every file that the customer is in, and stop those that are being made."""
    p = export_piece.c
    holding = (
        select(p.export_id)
        .where(p.first_customer_id <= customer_id, p.last_customer_id >= customer_id)
        .where(literal(customer_id, UuidType) == any_(p.customer_ids))
        .distinct()
    )
    ids = [row["export_id"] for row in await session.all(holding)]
    for export_id in ids:
        await work.end(session, export, export_id, "failed", error="Somebody in it is gone; ask for a new file")
        await session.execute(
            update(export)
            .where(export.c.id == export_id)
            .values(expires_at=func.least(export.c.expires_at, func.now()))
        )
        await session.execute(delete(export_piece).where(p.export_id == export_id))


async def forget_expired(context: JobContext) -> None:
    """Delete the files that have expired, and what was made of those that came to nothing."""
    e = export.c
    come_to_nothing = e.finished_at < clock.now() - KEPT
    ended = ~work.under_way(export)
    async with context.database.transaction() as session:
        await session.execute(delete(export).where(ended, or_(e.expires_at <= clock.now(), come_to_nothing)))
