"""/v1/api-keys"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from app.core.http import etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession
from app.core.http.routes import router as make_router
from app.identity import api_keys, queries
from app.identity.access import Requires
from app.identity.actor import Actor
from app.identity.schemas import ApiKeyIn, ApiKeyIssued, ApiKeyList, ApiKeyOut, ApiKeyRotationIn

router: APIRouter = make_router(prefix="/api-keys", tag="Access")

CanReadApiKeys = Annotated[Actor, Depends(Requires("api_keys:read"))]
CanWriteApiKeys = Annotated[Actor, Depends(Requires("api_keys:write"))]


@router.get("", response_model=ApiKeyList)
async def list_api_keys(actor: CanReadApiKeys, session: ReadSession, page: Paging) -> Any:
    """The API keys I may see, the newest first; revoked ones stay in the list."""
    return await page.latest_first(session, queries.api_keys_within(actor, "api_keys:read"))


@router.post("", status_code=201, response_model=ApiKeyIssued)
async def create_api_key(actor: CanWriteApiKeys, body: ApiKeyIn, session: WriteSession, response: Response) -> Any:
    """Make an API key of permissions that I hold myself. Only this answer shows it."""
    response.headers["cache-control"] = "no-store"
    issued = await api_keys.create(session, actor, body)
    etag.tag(response, issued["version"])
    return issued


@router.get("/{api_key_id}", response_model=ApiKeyOut)
async def read_api_key(api_key_id: UUID, actor: CanReadApiKeys, session: ReadSession, response: Response) -> Any:
    """One API key, without its secret."""
    row = await api_keys.read(session, actor, api_key_id)
    etag.tag(response, row["version"])
    return dict(row)


@router.delete("/{api_key_id}", status_code=204)
async def revoke_api_key(api_key_id: UUID, actor: CanWriteApiKeys, session: WriteSession) -> None:
    """Revoke an API key; it stops working at once."""
    await api_keys.revoke(session, actor, api_key_id)


@router.post("/{api_key_id}/rotate", response_model=ApiKeyIssued)
async def rotate_api_key(
    api_key_id: UUID, actor: CanWriteApiKeys, body: ApiKeyRotationIn, session: WriteSession, response: Response
) -> Any:
    """Replace an API key's secret; the old one works for some hours more. Only this answer shows the new one."""
    response.headers["cache-control"] = "no-store"
    issued = await api_keys.rotate(session, actor, api_key_id, body)
    etag.tag(response, issued["version"])
    return issued
