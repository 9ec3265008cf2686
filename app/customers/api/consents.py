"""Routes of consents."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path

from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.customers import consents
from app.customers.schemas import ConsentIn, ConsentOut, ConsentPage, ConsentsOut
from app.identity.access import Reads, Requires
from app.identity.actor import Actor

routes = router(prefix="/customers/{customer_id}/consents", tag="Consents")

CanReadConsents = Annotated[Actor, Depends(Reads(consents.READ, "consent"))]
CanWriteConsents = Annotated[Actor, Depends(Requires(consents.WRITE))]
CustomerId = Annotated[UUID, Path(description="customer id")]


@routes.get("", response_model=ConsentsOut)
async def list_consents(actor: CanReadConsents, session: ReadSession, customer_id: CustomerId) -> object:
    """What stands for each channel and purpose: given or withdrawn, since when, how it is known."""
    return await consents.standing(session, actor, customer_id)


@routes.post("", status_code=201, response_model=ConsentOut)
async def record_consent(
    actor: CanWriteConsents, session: WriteSession, customer_id: CustomerId, body: ConsentIn
) -> object:
    """Record that the customer gave or withdrew consent. Nothing recorded is ever changed."""
    return await consents.record(session, actor, customer_id, body)


@routes.get("/history", response_model=ConsentPage)
async def list_consent_history(
    actor: CanReadConsents, session: ReadSession, customer_id: CustomerId, page: Paging
) -> object:
    """All that was ever recorded, the latest entry first."""
    return await consents.history(session, actor, customer_id, page)
