"""Routes of predictions."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Response

from app.classification.predictions import queries, requests
from app.classification.schemas.predictions import PredictionIn, PredictionOut, PredictionPage
from app.core import clock
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(tag="Classification")

CanReadPredictions = Annotated[Actor, Depends(Requires("predictions:read"))]
CanPredict = Annotated[Actor, Depends(Requires("predictions:write"))]


@routes.post("/predictions", status_code=202, response_model=PredictionOut)
async def predict(actor: CanPredict, session: WriteSession, response: Response, body: PredictionIn) -> object:
    """Fit BG/NBD and Gamma-Gamma in the background; what they expect of every customer becomes metrics."""
    prediction_id = await requests.request(session, actor, as_of=clock.as_of(body.as_of))
    response.headers["location"] = f"/v1/predictions/{prediction_id}"
    return await queries.one_prediction(session, prediction_id)


@routes.get("/predictions", response_model=PredictionPage)
async def list_predictions(actor: CanReadPredictions, session: ReadSession, page: Paging) -> object:
    """Predictions, the latest first."""
    return await queries.page_of_predictions(session, page)


@routes.get("/predictions/{prediction_id}", response_model=PredictionOut)
async def read_prediction(actor: CanReadPredictions, session: ReadSession, prediction_id: UUID) -> object:
    """A prediction: how far it is, the parameters it found, and whether they may be used."""
    return await queries.one_prediction(session, prediction_id)


@routes.post("/predictions/{prediction_id}/cancel", response_model=PredictionOut)
async def cancel_prediction(actor: CanPredict, session: WriteSession, prediction_id: UUID) -> object:
    """Stop at the next chunk; what is written stays until the next prediction."""
    await requests.cancel(session, actor, prediction_id)
    return await queries.one_prediction(session, prediction_id)
