"""Routes of addresses."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Response

from app.core.http.etag import IfMatch, expected_version
from app.core.http.etag import tag as etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.customers.addresses import ADDRESSES
from app.customers.part_schemas import AddressIn, AddressOut, AddressPage, AddressPatch
from app.identity.access import Reads, Requires
from app.identity.actor import Actor

routes = router(prefix="/customers/{customer_id}/addresses", tag="Addresses")

CanReadAddresses = Annotated[Actor, Depends(Reads(ADDRESSES.READ, "address"))]
CanWriteAddresses = Annotated[Actor, Depends(Requires(ADDRESSES.WRITE))]
CustomerId = Annotated[UUID, Path(description="customer id")]
AddressId = Annotated[UUID, Path(description="address id")]


@routes.get("", response_model=AddressPage)
async def list_addresses(
    actor: CanReadAddresses, session: ReadSession, customer_id: CustomerId, page: Paging
) -> object:
    """A customer's addresses, the latest first."""
    return await ADDRESSES.page(session, actor, customer_id, page)


@routes.post("", status_code=201, response_model=AddressOut)
async def add_address(
    actor: CanWriteAddresses, session: WriteSession, customer_id: CustomerId, body: AddressIn, response: Response
) -> object:
    """Add an address. A primary one takes the place of the primary one of its kind."""
    added = await ADDRESSES.add(session, actor, customer_id, body.model_dump())
    etag(response, added["version"])
    response.headers["location"] = f"/v1/customers/{customer_id}/addresses/{added['id']}"
    return added


@routes.get("/{address_id}", response_model=AddressOut)
async def read_address(
    actor: CanReadAddresses, session: ReadSession, customer_id: CustomerId, address_id: AddressId, response: Response
) -> object:
    """One address."""
    found = await ADDRESSES.read(session, actor, customer_id, address_id)
    etag(response, found["version"])
    return found


@routes.patch("/{address_id}", response_model=AddressOut)
async def change_address(
    actor: CanWriteAddresses,
    session: WriteSession,
    customer_id: CustomerId,
    address_id: AddressId,
    body: AddressPatch,
    response: Response,
    if_match: IfMatch = None,
) -> object:
    """Change what the body names."""
    values, expected = body.model_dump(exclude_unset=True), expected_version(if_match)
    changed = await ADDRESSES.change(session, actor, customer_id, address_id, values, expected=expected)
    etag(response, changed["version"])
    return changed


@routes.delete("/{address_id}", status_code=204)
async def remove_address(
    actor: CanWriteAddresses,
    session: WriteSession,
    customer_id: CustomerId,
    address_id: AddressId,
    if_match: IfMatch = None,
) -> None:
    """Delete an address."""
    await ADDRESSES.remove(session, actor, customer_id, address_id, expected=expected_version(if_match))
