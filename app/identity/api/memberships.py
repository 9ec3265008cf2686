"""/v1/users/{user_id}/memberships"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from app.core.http import etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession
from app.core.http.routes import router as make_router
from app.identity import memberships
from app.identity.access import Requires
from app.identity.actor import Actor
from app.identity.dated import MembershipIn, MembershipList, MembershipOut, MembershipPatch

router: APIRouter = make_router(prefix="/users/{user_id}/memberships", tag="Access")

CanReadUsers = Annotated[Actor, Depends(Requires("users:read"))]
CanWriteUsers = Annotated[Actor, Depends(Requires("users:write"))]


@router.get("", response_model=MembershipList)
async def list_memberships(user_id: UUID, actor: CanReadUsers, session: ReadSession, page: Paging) -> Any:
    """A user's further units, past and to come, the latest made first; the home unit is the user's own `unit_id`."""
    return await memberships.page_of(session, actor, user_id, page)


@router.post("", status_code=201, response_model=MembershipOut)
async def create_membership(
    user_id: UUID, actor: CanWriteUsers, body: MembershipIn, session: WriteSession, response: Response
) -> Any:
    """Put a user into one more unit for some days; what the user sees follows from day to day."""
    row = await memberships.create(session, actor, user_id, body)
    etag.tag(response, row["version"])
    return dict(row)


@router.get("/{membership_id}", response_model=MembershipOut)
async def read_membership(
    user_id: UUID, membership_id: UUID, actor: CanReadUsers, session: ReadSession, response: Response
) -> Any:
    """One membership."""
    row = await memberships.read(session, actor, user_id, membership_id)
    etag.tag(response, row["version"])
    return dict(row)


@router.patch("/{membership_id}", response_model=MembershipOut)
async def update_membership(
    user_id: UUID,
    membership_id: UUID,
    actor: CanWriteUsers,
    body: MembershipPatch,
    session: WriteSession,
    response: Response,
    if_match: etag.IfMatch = None,
) -> Any:
    """Let a membership end on another day."""
    expected = etag.expected_version(if_match)
    row = await memberships.change(session, actor, user_id, membership_id, body, expected=expected)
    etag.tag(response, row["version"])
    return dict(row)


@router.delete("/{membership_id}", status_code=204)
async def delete_membership(
    user_id: UUID, membership_id: UUID, actor: CanWriteUsers, session: WriteSession, if_match: etag.IfMatch = None
) -> None:
    """Take a membership back; one that was rather ends than goes away: change its last day."""
    expected = etag.expected_version(if_match)
    await memberships.remove(session, actor, user_id, membership_id, expected=expected)
