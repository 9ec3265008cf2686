"""/v1/roles and /v1/permissions"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from sqlalchemy import select

from app.core.http import etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession
from app.core.http.routes import router as make_router
from app.identity import roles
from app.identity.access import Requires
from app.identity.actor import Actor
from app.identity.models import role
from app.identity.permissions import known_permissions
from app.identity.schemas import PermissionList, RoleIn, RoleList, RoleOut, RolePatch

router: APIRouter = make_router(prefix="/roles", tag="Access")
permissions_router: APIRouter = make_router(prefix="/permissions", tag="Access")

CanReadRoles = Annotated[Actor, Depends(Requires("roles:read"))]
CanWriteRoles = Annotated[Actor, Depends(Requires("roles:write"))]


@permissions_router.get("", response_model=PermissionList)
async def list_permissions(_: CanReadRoles) -> Any:
    """Every permission that a role or an API key can hold."""
    return {"items": sorted(known_permissions())}


@router.get("", response_model=RoleList)
async def list_roles(_: CanReadRoles, session: ReadSession, page: Paging) -> Any:
    """All roles, by key."""
    found = select(role).order_by(role.c.key).limit(page.limit + 1)
    if (after := page.after()) is not None:
        found = found.where(role.c.key > after[0])
    rows = await session.all(found)
    shown: list[dict[str, Any]] = [dict(row) for row in rows[: page.limit]]
    return {"items": shown, "next_cursor": page.next_cursor(rows, [shown[-1]["key"]] if shown else [])}


@router.post("", status_code=201, response_model=RoleOut)
async def create_role(actor: CanWriteRoles, body: RoleIn, session: WriteSession, response: Response) -> Any:
    """Make a role of permissions that I hold myself."""
    row = await roles.create(session, actor, body)
    etag.tag(response, row["version"])
    return dict(row)


@router.get("/{role_id}", response_model=RoleOut)
async def read_role(role_id: UUID, _: CanReadRoles, session: ReadSession, response: Response) -> Any:
    """One role."""
    row = await roles.read(session, role_id)
    etag.tag(response, row["version"])
    return dict(row)


@router.patch("/{role_id}", response_model=RoleOut)
async def update_role(
    role_id: UUID,
    actor: CanWriteRoles,
    body: RolePatch,
    session: WriteSession,
    response: Response,
    if_match: etag.IfMatch = None,
) -> Any:
    """Change a role; its holders have the new permissions at once."""
    row = await roles.change(session, actor, role_id, body, expected=etag.expected_version(if_match))
    etag.tag(response, row["version"])
    return dict(row)


@router.delete("/{role_id}", status_code=204)
async def delete_role(
    role_id: UUID, actor: CanWriteRoles, session: WriteSession, if_match: etag.IfMatch = None
) -> None:
    """Delete a role that nobody holds."""
    await roles.remove(session, actor, role_id, expected=etag.expected_version(if_match))
