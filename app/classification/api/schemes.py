"""Routes of schemes: documents, class counts, breakpoints."""

from typing import Annotated, Any

from fastapi import Depends, Path

from app.classification import queries, schemes
from app.classification.engine import Scheme
from app.classification.schemas.schemes import BreakpointsOut, SchemeList, SchemeOut
from app.core.bounds import Key
from app.core.http.routes import ReadSession, router
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(tag="Classification")

CanReadSchemes = Annotated[Actor, Depends(Requires("schemes:read"))]
SchemeKey = Annotated[Key, Path(description="scheme key, such as abc")]


@routes.get("/schemes", response_model=SchemeList)
async def list_schemes(actor: CanReadSchemes, session: ReadSession) -> object:
    """The published schemes and their documents."""
    return {"items": [_scheme(each) for each in (await schemes.published(session)).schemes]}


@routes.get("/schemes/{key}", response_model=SchemeOut)
async def read_scheme(actor: CanReadSchemes, session: ReadSession, key: SchemeKey) -> object:
    """One scheme and its document."""
    return _scheme(await schemes.get(session, key))


def _scheme(each: Scheme) -> dict[str, Any]:
    return {
        "key": each.key,
        "title": each.title,
        "version": each.version,
        "document": each.document,
        "classes": each.document.class_names,
    }


@routes.get("/schemes/{key}/breakpoints", response_model=BreakpointsOut)
async def read_breakpoints(actor: CanReadSchemes, session: ReadSession, key: SchemeKey) -> object:
    """The breakpoints in force: what the population decided, and as of when."""
    await schemes.get(session, key)
    return await queries.current_breakpoints(session, key)
