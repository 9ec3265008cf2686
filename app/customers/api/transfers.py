"""Routes by which customers change hands."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Response

from app.core.http.etag import IfMatch, expected_version
from app.core.http.etag import tag as etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.customers import document, transfers
from app.customers.schemas import CustomerOut, TransferIn, TransferPage
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(prefix="/customers", tag="Customers")

CanReadCustomers = Annotated[Actor, Depends(Requires("customers:read"))]
CanTransferCustomers = Annotated[Actor, Depends(Requires(transfers.TRANSFER))]
CustomerId = Annotated[UUID, Path(description="customer id")]


@routes.post("/{customer_id}/transfer", response_model=CustomerOut)
async def transfer_customer(
    actor: CanTransferCustomers,
    session: WriteSession,
    customer_id: CustomerId,
    body: TransferIn,
    if_match: IfMatch = None,
) -> Response:
    """Put a customer into the hands of another owner, another unit, or both; who had it stays in its history."""
    to = body.model_dump(exclude_unset=True)
    await transfers.transfer(session, actor, customer_id, to, expected=expected_version(if_match))
    content, version = await document.one(session, actor, customer_id, transfers.TRANSFER)
    response = Response(content, media_type="application/json")
    etag(response, version)
    return response


@routes.get("/{customer_id}/transfers", response_model=TransferPage)
async def list_customer_transfers(
    actor: CanReadCustomers, session: ReadSession, customer_id: CustomerId, page: Paging
) -> object:
    """In whose hands a customer was, the latest change first."""
    return await transfers.page_of(session, actor, customer_id, page)
