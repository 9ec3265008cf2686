"""Routes that change the customer record. Reading and finding customers is `directory`'s."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Response

from app.core.bounds import Key, Line
from app.core.http.etag import IfMatch, expected_version
from app.core.http.etag import tag as etag
from app.core.http.routes import WriteSession, router
from app.customers import document, service
from app.customers.schemas import BatchIn, BatchOut, CustomerIn, CustomerOut, CustomerPatch, IdentityIn
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(prefix="/customers", tag="Customers")

CanWriteCustomers = Annotated[Actor, Depends(Requires("customers:write"))]
CanDeleteCustomers = Annotated[Actor, Depends(Requires("customers:delete"))]
CustomerId = Annotated[UUID, Path(description="customer id")]


async def _shown(session: WriteSession, actor: Actor, customer_id: UUID, *, status: int = 200) -> Response:
    content, version = await document.one(session, actor, customer_id, service.WRITE)
    response = Response(content, status, media_type="application/json")
    etag(response, version)
    if status == 201:
        response.headers["location"] = f"/v1/customers/{customer_id}"
    return response


@routes.post("", status_code=201, response_model=CustomerOut)
async def create_customer(actor: CanWriteCustomers, session: WriteSession, body: CustomerIn) -> Response:
    """Create a customer. Without owner and unit it belongs to you."""
    customer_id = await service.create(session, actor, body)
    return await _shown(session, actor, customer_id, status=201)


@routes.post("/batch", response_model=BatchOut)
async def upsert_customers(actor: CanWriteCustomers, session: WriteSession, body: BatchIn) -> object:
    """Create or change up to 500 customers, each found by its identities; all or nothing."""
    return {"items": await service.upsert_batch(session, actor, body.customers)}


@routes.patch("/{customer_id}", response_model=CustomerOut)
async def change_customer(
    actor: CanWriteCustomers,
    session: WriteSession,
    customer_id: CustomerId,
    body: CustomerPatch,
    if_match: IfMatch = None,
) -> Response:
    """Change the fields that the body names."""
    await service.change(session, actor, customer_id, body, expected=expected_version(if_match))
    return await _shown(session, actor, customer_id)


@routes.delete("/{customer_id}", status_code=204)
async def delete_customer(
    actor: CanDeleteCustomers, session: WriteSession, customer_id: CustomerId, if_match: IfMatch = None
) -> None:
    """Delete a customer and everything that belongs to it."""
    await service.remove(session, actor, customer_id, expected=expected_version(if_match))


@routes.post("/{customer_id}/identities", status_code=201, response_model=CustomerOut)
async def add_identity(
    actor: CanWriteCustomers, session: WriteSession, customer_id: CustomerId, body: IdentityIn
) -> Response:
    """Give the customer another identity."""
    await service.add_identity(session, actor, customer_id, body)
    return await _shown(session, actor, customer_id, status=201)


@routes.delete("/{customer_id}/identities", status_code=204)
async def remove_identity(
    actor: CanWriteCustomers,
    session: WriteSession,
    customer_id: CustomerId,
    kind: Annotated[Key, Query()],
    value: Annotated[Line, Query()],
) -> None:
    """Take an identity from the customer."""
    await service.remove_identity(session, actor, customer_id, kind, value)
