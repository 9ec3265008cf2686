"""Routes of overrides: classes that a person sets."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Response

from app.classification import overrides, queries, schemes
from app.classification.schemas.overrides import (
    CustomerOverride,
    OverrideIn,
    OverrideOut,
    OverridePage,
    OverrideStatus,
    RejectionIn,
)
from app.core.bounds import Key
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router, shows
from app.customers import document
from app.identity.access import Reads, Requires
from app.identity.actor import Actor

routes = router(tag="Classification")

CanReadOverrides = Annotated[Actor, Depends(Reads("classes:read", "override"))]
CanPropose = Annotated[Actor, Depends(Requires(overrides.PROPOSE))]
CanOverride = Annotated[Actor, Depends(Requires(overrides.OVERRIDE))]
CustomerId = Annotated[UUID, Path(description="customer id")]
SchemeKey = Annotated[Key, Path(description="scheme key, such as tier")]
OVERRIDDEN = "/customers/{customer_id}/classes/{key}/override"


@routes.get(OVERRIDDEN, response_model=CustomerOverride)
async def read_override(
    actor: CanReadOverrides, session: ReadSession, customer_id: CustomerId, key: SchemeKey
) -> object:
    """The override in force, and the proposal that waits for a second person."""
    await document.check_visible(session, actor, customer_id, queries.READ)
    await schemes.get(session, key)
    return await overrides.of_customer(session, customer_id, key)


@routes.put(
    OVERRIDDEN,
    response_model=OverrideOut,
    responses={202: {"model": OverrideOut, "description": "A proposal: a second person decides"}},
)
async def put_override(
    actor: CanPropose,
    session: WriteSession,
    response: Response,
    customer_id: CustomerId,
    key: SchemeKey,
    body: OverrideIn,
) -> object:
    """Set the class by hand: in force at once with `classes:override`, else a proposal (202). It ends the former."""
    put = await overrides.put(
        session, actor, customer_id, key, name=body.name, reason=body.reason, expires_at=body.expires_at
    )
    if put["status"] == "proposed":
        response.status_code = 202
    return put


@routes.delete(OVERRIDDEN, status_code=204)
async def end_override(actor: CanPropose, session: WriteSession, customer_id: CustomerId, key: SchemeKey) -> None:
    """End the override in force (with `classes:override`), or withdraw your own proposal."""
    await overrides.remove(session, actor, customer_id, key)


@routes.post(f"{OVERRIDDEN}/approve", response_model=OverrideOut)
async def approve_override(
    actor: CanOverride, session: WriteSession, customer_id: CustomerId, key: SchemeKey
) -> object:
    """Put somebody else's proposal in force."""
    return await overrides.approve(session, actor, customer_id, key)


@routes.post(f"{OVERRIDDEN}/reject", response_model=OverrideOut)
async def reject_override(
    actor: CanOverride, session: WriteSession, customer_id: CustomerId, key: SchemeKey, body: RejectionIn
) -> object:
    """Do not follow somebody else's proposal, and say why."""
    return await overrides.reject(session, actor, customer_id, key, reason=body.reason)


@routes.get("/overrides", response_model=OverridePage)
async def list_overrides(
    actor: CanReadOverrides,
    session: ReadSession,
    request: Request,
    page: Paging,
    status: Annotated[OverrideStatus | None, Query(description="`proposed` waits for a second person")] = None,
    scheme: Annotated[Key | None, Query(description="scheme key")] = None,
    without_expiry: Annotated[bool, Query(description="only those that no date ends")] = False,
) -> object:
    """Overrides of the customers you may see, the latest first."""
    found = await overrides.page_of_overrides(
        session, actor, page, status=status, scheme=scheme, without_expiry=without_expiry
    )
    shows(request, found["items"])
    return found
