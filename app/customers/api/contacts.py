"""Routes of contacts."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Response

from app.core.http.etag import IfMatch, expected_version
from app.core.http.etag import tag as etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.customers.part_schemas import ContactIn, ContactOut, ContactPage, ContactPatch
from app.customers.people import CONTACTS
from app.identity.access import Reads, Requires
from app.identity.actor import Actor

routes = router(prefix="/customers/{customer_id}/contacts", tag="Contacts")

CanReadContacts = Annotated[Actor, Depends(Reads(CONTACTS.READ, "contact"))]
CanWriteContacts = Annotated[Actor, Depends(Requires(CONTACTS.WRITE))]
CustomerId = Annotated[UUID, Path(description="customer id, a company's above all")]
ContactId = Annotated[UUID, Path(description="contact id")]


@routes.get("", response_model=ContactPage)
async def list_contacts(actor: CanReadContacts, session: ReadSession, customer_id: CustomerId, page: Paging) -> object:
    """A customer's contacts, the latest first."""
    return await CONTACTS.page(session, actor, customer_id, page)


@routes.post("", status_code=201, response_model=ContactOut)
async def add_contact(
    actor: CanWriteContacts, session: WriteSession, customer_id: CustomerId, body: ContactIn, response: Response
) -> object:
    """Say whom one speaks with at a customer. A primary contact takes the place of the one before."""
    added = await CONTACTS.add(session, actor, customer_id, body.model_dump())
    etag(response, added["version"])
    response.headers["location"] = f"/v1/customers/{customer_id}/contacts/{added['id']}"
    return added


@routes.get("/{contact_id}", response_model=ContactOut)
async def read_contact(
    actor: CanReadContacts, session: ReadSession, customer_id: CustomerId, contact_id: ContactId, response: Response
) -> object:
    """One contact."""
    found = await CONTACTS.read(session, actor, customer_id, contact_id)
    etag(response, found["version"])
    return found


@routes.patch("/{contact_id}", response_model=ContactOut)
async def change_contact(
    actor: CanWriteContacts,
    session: WriteSession,
    customer_id: CustomerId,
    contact_id: ContactId,
    body: ContactPatch,
    response: Response,
    if_match: IfMatch = None,
) -> object:
    """Change what the body names."""
    values, expected = body.model_dump(exclude_unset=True), expected_version(if_match)
    changed = await CONTACTS.change(session, actor, customer_id, contact_id, values, expected=expected)
    etag(response, changed["version"])
    return changed


@routes.delete("/{contact_id}", status_code=204)
async def remove_contact(
    actor: CanWriteContacts,
    session: WriteSession,
    customer_id: CustomerId,
    contact_id: ContactId,
    if_match: IfMatch = None,
) -> None:
    """Take a contact away, as if there had never been one; `until` says when one ended."""
    await CONTACTS.remove(session, actor, customer_id, contact_id, expected=expected_version(if_match))
