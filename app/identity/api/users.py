"""/v1/users"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from app.core import clock
from app.core.bounds import Key
from app.core.http import etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession
from app.core.http.routes import router as make_router
from app.identity import queries, users
from app.identity.access import Requires
from app.identity.actor import Actor
from app.identity.models import user_account
from app.identity.schemas import SessionList, UserIn, UserList, UserOut, UserPatch

router: APIRouter = make_router(prefix="/users", tag="Access")

CanReadUsers = Annotated[Actor, Depends(Requires("users:read"))]
CanWriteUsers = Annotated[Actor, Depends(Requires("users:write"))]


@router.get("", response_model=UserList)
async def list_users(
    actor: CanReadUsers,
    session: ReadSession,
    page: Paging,
    active: Annotated[bool | None, Query(description="only users who can, or cannot, log in")] = None,
    unit_id: Annotated[UUID | None, Query(description="only users of this unit")] = None,
    role: Annotated[Key | None, Query(description="only users who hold the role of this key")] = None,
) -> Any:
    """The users I may see, by username."""
    shown_to = queries.users_shown(actor, "users:read", clock.business_day(clock.now()))
    found = shown_to.order_by(user_account.c.username).limit(page.limit + 1)
    if active is not None:
        found = found.where(user_account.c.active == active)
    if unit_id is not None:
        found = found.where(user_account.c.unit_id == unit_id)
    if role is not None:
        found = found.where(queries.holds_role(role))
    scope = [active, unit_id, role]
    if (after := page.after(scope)) is not None:
        found = found.where(user_account.c.username > after[0])
    rows = await session.all(found)
    shown: list[dict[str, Any]] = [dict(row) for row in rows[: page.limit]]
    return {"items": shown, "next_cursor": page.next_cursor(rows, [shown[-1]["username"]] if shown else [], scope)}


@router.post("", status_code=201, response_model=UserOut)
async def create_user(actor: CanWriteUsers, body: UserIn, session: WriteSession, response: Response) -> Any:
    """Make a user. Nobody can give roles that reach further than their own."""
    row = await users.create(session, actor, body)
    etag.tag(response, row["version"])
    return dict(row)


@router.get("/{user_id}", response_model=UserOut)
async def read_user(user_id: UUID, actor: CanReadUsers, session: ReadSession, response: Response) -> Any:
    """One user."""
    row = await users.read(session, actor, user_id)
    etag.tag(response, row["version"])
    return dict(row)


@router.patch("/{user_id}", response_model=UserOut)
async def update_user(
    user_id: UUID,
    actor: CanWriteUsers,
    body: UserPatch,
    session: WriteSession,
    response: Response,
    if_match: etag.IfMatch = None,
) -> Any:
    """Change a user. A new password, or `active: false`, ends the user's sessions."""
    row = await users.change(session, actor, user_id, body, expected=etag.expected_version(if_match))
    etag.tag(response, row["version"])
    return dict(row)


@router.delete("/{user_id}", status_code=204)
async def deactivate_user(
    user_id: UUID, actor: CanWriteUsers, session: WriteSession, if_match: etag.IfMatch = None
) -> None:
    """Deactivate a user; the account stays, because what was done with it stays."""
    await users.deactivate(session, actor, user_id, expected=etag.expected_version(if_match))


@router.get("/{user_id}/sessions", response_model=SessionList)
async def list_user_sessions(user_id: UUID, actor: CanReadUsers, session: ReadSession, page: Paging) -> Any:
    """Where a user is logged in, the latest first."""
    return await users.page_of_sessions(session, actor, user_id, page)


@router.delete("/{user_id}/sessions/{session_id}", status_code=204)
async def end_user_session(user_id: UUID, session_id: UUID, actor: CanWriteUsers, session: WriteSession) -> None:
    """Log a user out of one session; its tokens stop working at once."""
    await users.end_session(session, actor, user_id, session_id)
