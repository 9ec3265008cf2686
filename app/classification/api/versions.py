"""Routes of versions: drafts, publishing, returning to what was in force before."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Response

from app.classification import recalculations, versions
from app.classification.schemas.recalculations import RecalculationOut
from app.classification.schemas.simulations import VersionNumber
from app.classification.schemas.versions import PublishIn, VersionIn, VersionOut, VersionPage
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
CanPublish = Annotated[Actor, Depends(Requires("schemes:publish"))]
SchemeKey = Annotated[Key, Path(description="scheme key, such as abc")]
Version = Annotated[VersionNumber, Path(description="number of a version, whatever its status")]


@routes.get("/schemes/{key}/versions", response_model=VersionPage)
async def list_versions(actor: CanReadSchemes, session: ReadSession, key: SchemeKey, page: Paging) -> object:
    """The versions of a scheme, the latest first."""
    return await versions.page(session, key, page)


@routes.post("/schemes/{key}/versions", status_code=201, response_model=VersionOut)
async def create_version(
    actor: CanWriteSchemes, session: WriteSession, response: Response, key: SchemeKey, body: VersionIn
) -> object:
    """The next version, as a draft: nothing changes until it is published."""
    version = await versions.create(session, actor, key, body.document, body.note)
    return await _tagged(session, response, key, version)


@routes.get("/schemes/{key}/versions/{n}", response_model=VersionOut)
async def read_version(
    actor: CanReadSchemes, session: ReadSession, response: Response, key: SchemeKey, n: Version
) -> object:
    """One version and its document."""
    return await _tagged(session, response, key, n)


@routes.put("/schemes/{key}/versions/{n}", response_model=VersionOut)
async def change_version(
    actor: CanWriteSchemes,
    session: WriteSession,
    response: Response,
    key: SchemeKey,
    n: Version,
    body: VersionIn,
    if_match: etag.IfMatch = None,
) -> object:
    """Another document for a draft; what was published once stays as it is."""
    expected = etag.expected_version(if_match)
    await versions.change(session, actor, key, n, body.document, body.note, expected=expected)
    return await _tagged(session, response, key, n)


async def _tagged(session: Session, response: Response, key: str, version: int) -> object:
    shown = await versions.shown(session, key, version)
    etag.tag(response, shown["edits"])
    return shown


@routes.delete("/schemes/{key}/versions/{n}", status_code=204)
async def delete_version(
    actor: CanWriteSchemes, session: WriteSession, key: SchemeKey, n: Version, if_match: etag.IfMatch = None
) -> None:
    """Delete a draft and its simulations."""
    await versions.remove(session, actor, key, n, expected=etag.expected_version(if_match))


@routes.post("/schemes/{key}/versions/{n}/publish", status_code=202, response_model=RecalculationOut)
async def publish_version(
    actor: CanPublish,
    session: WriteSession,
    response: Response,
    key: SchemeKey,
    n: Version,
    body: PublishIn,
    if_match: etag.IfMatch = None,
) -> object:
    """Put a version in force for everybody, in the background; a retired one returns and undoes what came after it.

    Its breakpoints are computed while the version before decides; both come into force in one moment, then classes
    follow in chunks. It can be cancelled until that moment.
    """
    expected = etag.expected_version(if_match)
    recalculation_id: UUID = await versions.publish(
        session, actor, key, n, refit=body.refit, movement=body.movement, expected=expected
    )
    response.headers["location"] = f"/v1/recalculations/{recalculation_id}"
    return await recalculations.one(session, recalculation_id)
