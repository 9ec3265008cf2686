"""Routes of schemes: what they are, class counts, breakpoints. Their versions have routes of their own."""

from typing import Annotated, Literal

from fastapi import Depends, Path, Query, Response

from app.classification import catalogue, drift, schemes
from app.classification.schemas.schemes import (
    BreakpointsOut,
    BreakpointsPage,
    SchemeIn,
    SchemeOut,
    SchemePage,
    SchemePatch,
)
from app.core.bounds import Key
from app.core.db import ReadSession as Session
from app.core.http import etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(tag="Classification")

CanReadSchemes = Annotated[Actor, Depends(Requires("schemes:read"))]
CanWriteSchemes = Annotated[Actor, Depends(Requires("schemes:write"))]
SchemeKey = Annotated[Key, Path(description="scheme key, such as abc")]
Include = Annotated[Literal["retired"] | None, Query(description="`retired` lists deleted ones, too")]


@routes.get("/schemes", response_model=SchemePage)
async def list_schemes(actor: CanReadSchemes, session: ReadSession, page: Paging, include: Include = None) -> object:
    """Schemes, drafts included, the oldest first."""
    return await catalogue.page(session, page, retired=include == "retired")


@routes.post("/schemes", status_code=201, response_model=SchemeOut)
async def create_scheme(actor: CanWriteSchemes, session: WriteSession, response: Response, body: SchemeIn) -> object:
    """A new scheme with draft version 1; it classifies nobody until that is published."""
    catalogue.check_may_define(actor, catalogue.WRITE)
    await catalogue.create(
        session,
        actor,
        key=body.key,
        title=body.title,
        description=body.description,
        document=body.document,
        note=body.note,
    )
    return await _tagged(session, response, body.key)


@routes.get("/schemes/{key}", response_model=SchemeOut)
async def read_scheme(actor: CanReadSchemes, session: ReadSession, response: Response, key: SchemeKey) -> object:
    """One scheme and its document."""
    return await _tagged(session, response, key)


@routes.patch("/schemes/{key}", response_model=SchemeOut)
async def rename_scheme(
    actor: CanWriteSchemes,
    session: WriteSession,
    response: Response,
    key: SchemeKey,
    body: SchemePatch,
    if_match: etag.IfMatch = None,
) -> object:
    """Another title or description for a scheme."""
    catalogue.check_may_define(actor, catalogue.WRITE)
    said = body.model_dump(exclude_unset=True)
    await catalogue.change(session, actor, key, said, expected=etag.expected_version(if_match))
    return await _tagged(session, response, key)


async def _tagged(session: Session, response: Response, key: str) -> object:
    shown = await catalogue.read(session, key)
    etag.tag(response, catalogue.revision(shown))
    return shown


@routes.delete("/schemes/{key}", status_code=204)
async def delete_scheme(
    actor: CanWriteSchemes, session: WriteSession, key: SchemeKey, if_match: etag.IfMatch = None
) -> None:
    """Delete a scheme that no other reads. Its customers leave it in the background; its history and key stay."""
    catalogue.check_may_define(actor, catalogue.WRITE)
    await catalogue.retire(session, actor, key, expected=etag.expected_version(if_match))


@routes.get("/schemes/{key}/breakpoints", response_model=BreakpointsOut)
async def read_breakpoints(actor: CanReadSchemes, session: ReadSession, key: SchemeKey) -> object:
    """The breakpoints in force: what the population decided, as of when, and how far they moved."""
    await schemes.get(session, key)
    return await drift.in_force(session, key)


@routes.get("/schemes/{key}/breakpoints/history", response_model=BreakpointsPage)
async def list_breakpoints(actor: CanReadSchemes, session: ReadSession, key: SchemeKey, page: Paging) -> object:
    """Every fit of a scheme, the latest first, and how far each moved from the one before."""
    await catalogue.read(session, key)
    return await drift.page(session, key, page)
