"""Routes of recalculations."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Response

from app.classification import recalculations
from app.classification.schemas.recalculations import RecalculationIn, RecalculationOut, RecalculationPage
from app.core import clock
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(tag="Classification")

CanReadRecalculations = Annotated[Actor, Depends(Requires("recalculations:read"))]
CanRecalculate = Annotated[Actor, Depends(Requires("recalculations:write"))]


@routes.post("/recalculations", status_code=202, response_model=RecalculationOut)
async def recalculate(
    actor: CanRecalculate, session: WriteSession, response: Response, body: RecalculationIn
) -> object:
    """Recalculate everybody in the background, from the facts."""
    recalculation_id = await recalculations.request(
        session, actor, keys=body.schemes, as_of=clock.as_of(body.as_of), refit=body.refit
    )
    response.headers["location"] = f"/v1/recalculations/{recalculation_id}"
    return await recalculations.one(session, recalculation_id)


@routes.get("/recalculations", response_model=RecalculationPage)
async def list_recalculations(actor: CanReadRecalculations, session: ReadSession, page: Paging) -> object:
    """Recalculations, the latest first."""
    return await recalculations.page_of(session, page)


@routes.get("/recalculations/{recalculation_id}", response_model=RecalculationOut)
async def read_recalculation(actor: CanReadRecalculations, session: ReadSession, recalculation_id: UUID) -> object:
    """A recalculation and how far it is."""
    return await recalculations.one(session, recalculation_id)


@routes.post("/recalculations/{recalculation_id}/cancel", response_model=RecalculationOut)
async def cancel_recalculation(actor: CanRecalculate, session: WriteSession, recalculation_id: UUID) -> object:
    """Stop before the next chunk; what is done stays done."""
    await recalculations.cancel(session, actor, recalculation_id)
    return await recalculations.one(session, recalculation_id)
