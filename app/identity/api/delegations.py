"""/v1/delegations"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession
from app.core.http.routes import router as make_router
from app.identity import delegations
from app.identity.access import Requires
from app.identity.actor import Actor
from app.identity.dated import DelegationIn, DelegationList, DelegationOut

router: APIRouter = make_router(prefix="/delegations", tag="Access")

CanReadDelegations = Annotated[Actor, Depends(Requires("delegations:read"))]
CanWriteDelegations = Annotated[Actor, Depends(Requires("delegations:write"))]


@router.get("", response_model=DelegationList)
async def list_delegations(actor: CanReadDelegations, session: ReadSession, page: Paging) -> Any:
    """Who stands in for whom: for me, for those whom I may see, and me for others; the latest made first."""
    return await delegations.page_of(session, actor, page)


@router.post("", status_code=201, response_model=DelegationOut)
async def create_delegation(actor: CanWriteDelegations, body: DelegationIn, session: WriteSession) -> Any:
    """Let somebody stand in for me while I am absent, or for somebody whose rights I hold.

    The delegate sends `X-On-Behalf-Of: <id of the absent user>` with each request that is made for the absent one.
    """
    return dict(await delegations.create(session, actor, body))


@router.get("/{delegation_id}", response_model=DelegationOut)
async def read_delegation(delegation_id: UUID, actor: CanReadDelegations, session: ReadSession) -> Any:
    """One delegation."""
    return dict(await delegations.read(session, actor, delegation_id))


@router.delete("/{delegation_id}", status_code=204)
async def delete_delegation(delegation_id: UUID, actor: CanWriteDelegations, session: WriteSession) -> None:
    """End a delegation, at once."""
    await delegations.remove(session, actor, delegation_id)
