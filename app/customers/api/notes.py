"""Routes of notes."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Response

from app.core.http.etag import IfMatch, expected_version
from app.core.http.etag import tag as etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.customers import notes
from app.customers.schemas import NoteIn, NoteOut, NotePage
from app.identity.access import Reads, Requires
from app.identity.actor import Actor

routes = router(prefix="/customers/{customer_id}/notes", tag="Notes")

CanReadNotes = Annotated[Actor, Depends(Reads(notes.READ, "note"))]
CanWriteNotes = Annotated[Actor, Depends(Requires(notes.WRITE))]
CustomerId = Annotated[UUID, Path(description="customer id")]
NoteId = Annotated[UUID, Path(description="note id")]


@routes.get("", response_model=NotePage)
async def list_notes(actor: CanReadNotes, session: ReadSession, customer_id: CustomerId, page: Paging) -> object:
    """A customer's notes, the latest first."""
    return await notes.page(session, actor, customer_id, page)


@routes.post("", status_code=201, response_model=NoteOut)
async def add_note(
    actor: CanWriteNotes, session: WriteSession, customer_id: CustomerId, body: NoteIn, response: Response
) -> object:
    """Write a note about a customer."""
    note = await notes.add(session, actor, customer_id, body.text)
    etag(response, note["version"])
    response.headers["location"] = f"/v1/customers/{customer_id}/notes/{note['id']}"
    return note


@routes.get("/{note_id}", response_model=NoteOut)
async def read_note(
    actor: CanReadNotes, session: ReadSession, customer_id: CustomerId, note_id: NoteId, response: Response
) -> object:
    """One note."""
    note = await notes.read(session, actor, customer_id, note_id)
    etag(response, note["version"])
    return note


@routes.patch("/{note_id}", response_model=NoteOut)
async def correct_note(
    actor: CanWriteNotes,
    session: WriteSession,
    customer_id: CustomerId,
    note_id: NoteId,
    body: NoteIn,
    response: Response,
    if_match: IfMatch = None,
) -> object:
    """Put other words in the place of a note's."""
    expected = expected_version(if_match)
    note = await notes.correct(session, actor, customer_id, note_id, body.text, expected=expected)
    etag(response, note["version"])
    return note


@routes.delete("/{note_id}", status_code=204)
async def delete_note(
    actor: CanWriteNotes,
    session: WriteSession,
    customer_id: CustomerId,
    note_id: NoteId,
    if_match: IfMatch = None,
) -> None:
    """Delete a note."""
    await notes.remove(session, actor, customer_id, note_id, expected=expected_version(if_match))
