"""Notes: what people want remembered of a customer, in their own words."""

from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update

from app.core import audit
from app.core.db import ReadSession, WriteSession
from app.core.errors import NotFound
from app.core.http.etag import check_version
from app.core.http.paging import Page
from app.customers.document import check_visible
from app.customers.models import customer_note
from app.customers.queries import held
from app.identity.actor import Actor
from app.identity.scopes import scope_params

READ = "notes:read"
WRITE = "notes:write"
_PERSONAL = frozenset({"text"})
_n = customer_note.c


async def page(session: ReadSession, actor: Actor, customer_id: UUID, page: Page) -> dict[str, Any]:
    """The customer's notes, the latest first. Raises `NotFound`."""
    await check_visible(session, actor, customer_id, READ)
    return await page.latest_first(session, select(customer_note).where(_n.customer_id == customer_id))


async def read(session: ReadSession, actor: Actor, customer_id: UUID, note_id: UUID) -> dict[str, Any]:
    """One note. Raises `NotFound`."""
    await check_visible(session, actor, customer_id, READ)
    return await _found(session, customer_id, note_id)


async def add(session: WriteSession, actor: Actor, customer_id: UUID, text: str) -> dict[str, Any]:
    """Write a note. Raises `NotFound`."""
    await _hold(session, actor, customer_id)
    by = session.principal
    values = {"customer_id": customer_id, "text": text, "created_by": by, "updated_by": by}
    row = await session.first(insert(customer_note).values(**values).returning(customer_note))
    assert row is not None
    _write_down(session, actor, "note.added", row["id"], after={"customer_id": customer_id, "text": text})
    return dict(row)


async def correct(
    session: WriteSession, actor: Actor, customer_id: UUID, note_id: UUID, text: str, *, expected: int | None
) -> dict[str, Any]:
    """Put other words in its place. Raises `NotFound`, and `PreconditionFailed` when it has changed."""
    before = await _held(session, actor, customer_id, note_id, expected)
    if before["text"] == text:
        return before
    row = await session.first(
        update(customer_note)
        .where(_n.customer_id == customer_id, _n.id == note_id)
        .values(text=text, version=_n.version + 1, updated_at=func.now(), updated_by=session.principal)
        .returning(customer_note)
    )
    assert row is not None
    _write_down(session, actor, "note.corrected", note_id, before={"text": before["text"]}, after={"text": text})
    return dict(row)


async def remove(
    session: WriteSession, actor: Actor, customer_id: UUID, note_id: UUID, *, expected: int | None
) -> None:
    """Delete the note. Raises `NotFound`, and `PreconditionFailed` when it has changed."""
    await _held(session, actor, customer_id, note_id, expected)
    await session.execute(delete(customer_note).where(_n.customer_id == customer_id, _n.id == note_id))
    _write_down(session, actor, "note.deleted", note_id, before={"customer_id": customer_id})


async def _hold(session: WriteSession, actor: Actor, customer_id: UUID) -> None:
    if await session.first(held(actor, WRITE), {"customer_id": customer_id, **scope_params(actor)}) is None:
        raise NotFound("There is no such customer among those you may change")


async def _held(
    session: WriteSession, actor: Actor, customer_id: UUID, note_id: UUID, expected: int | None
) -> dict[str, Any]:
    """The note, nobody else changing it: whoever does holds its customer first."""
    await _hold(session, actor, customer_id)
    row = await _found(session, customer_id, note_id)
    check_version(row["version"], expected)
    return row


async def _found(session: ReadSession, customer_id: UUID, note_id: UUID) -> dict[str, Any]:
    row = await session.first(select(customer_note).where(_n.customer_id == customer_id, _n.id == note_id))
    if row is None:
        raise NotFound("The customer has no such note")
    return dict(row)


def _write_down(session: WriteSession, actor: Actor, action: str, note_id: UUID, **states: dict[str, Any]) -> None:
    audit.record(
        session,
        actor,
        action,
        "note",
        note_id,
        before=states.get("before"),
        after=states.get("after"),
        personal=_PERSONAL,
    )
