"""Routes of simulations: a version for the whole base, without writing it."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Response

from app.classification import movers, simulations
from app.classification.movers import Movers
from app.classification.schemas.simulations import (
    ClassOrNone,
    SimulatedMoverPage,
    SimulationIn,
    SimulationOut,
    SimulationPage,
    VersionNumber,
)
from app.core import clock
from app.core.bounds import Key
from app.core.http.files import CsvResponse, csv_file
from app.core.http.paging import Paging
from app.core.http.routes import REQUEST_ID, ReadSession, WriteSession, router
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(tag="Classification")

CanReadSimulations = Annotated[Actor, Depends(Requires(simulations.READ))]
CanSimulate = Annotated[Actor, Depends(Requires(simulations.WRITE))]
SchemeKey = Annotated[Key, Path(description="scheme key, such as abc")]
Version = Annotated[VersionNumber, Path(description="number of a version, whatever its status")]
FromClass = Annotated[ClassOrNone | None, Query(description="the class now; `-` is none")]
ToClass = Annotated[ClassOrNone | None, Query(description="the class then; `-` is none")]
Sample = Annotated[int | None, Query(ge=1, le=1000, description="so many, drawn the same way each time; no pages")]


@routes.post("/schemes/{key}/versions/{n}/simulations", status_code=202, response_model=SimulationOut)
async def simulate_version(
    actor: CanSimulate, session: WriteSession, response: Response, key: SchemeKey, n: Version, body: SimulationIn
) -> object:
    """Compute a version for the whole base in the background; no class and no history is written.

    Whatever its status, a version can be simulated. What the document decides, from the stored metrics and before its
    rules of movement, is compared with the classes that stand, or with another version's decisions. Schemes that read
    this one's classes are not decided anew. Kept for 30 days.
    """
    simulation_id = await simulations.request(
        session, actor, key, n, against=body.against, as_of=clock.as_of(body.as_of), refit=body.refit
    )
    response.headers["location"] = f"/v1/simulations/{simulation_id}"
    return await simulations.one(session, actor, simulation_id, simulations.WRITE)


@routes.get("/simulations", response_model=SimulationPage)
async def list_simulations(
    actor: CanReadSimulations,
    session: ReadSession,
    page: Paging,
    scheme: Annotated[Key | None, Query(description="scheme key")] = None,
) -> object:
    """Simulations, the latest first."""
    return await simulations.page_of(session, page, scheme)


@routes.get("/simulations/{simulation_id}", response_model=SimulationOut)
async def read_simulation(actor: CanReadSimulations, session: ReadSession, simulation_id: UUID) -> object:
    """A simulation, how far it is and what it came to: classes now and then, the movement matrix, the workload."""
    return await simulations.one(session, actor, simulation_id)


@routes.post("/simulations/{simulation_id}/cancel", response_model=SimulationOut)
async def cancel_simulation(actor: CanSimulate, session: WriteSession, simulation_id: UUID) -> object:
    """Stop before the next chunk; nothing is kept of what was found."""
    await simulations.cancel(session, actor, simulation_id)
    return await simulations.one(session, actor, simulation_id, simulations.WRITE)


@routes.get("/simulations/{simulation_id}/customers", response_model=SimulatedMoverPage)
async def list_simulation_movers(
    actor: CanReadSimulations,
    session: ReadSession,
    simulation_id: UUID,
    page: Paging,
    from_class: FromClass = None,
    to_class: ToClass = None,
    sample: Sample = None,
) -> object:
    """The customers who move, among those you may see: in pages by their classes, or a sample."""
    await movers.check_completed(session, simulation_id)
    asked = Movers(simulation_id, from_class, to_class)
    if sample is not None:
        return await movers.sample(session, actor, asked, sample)
    return await movers.page_of(session, actor, asked, page)


@routes.get("/simulations/{simulation_id}/export", response_model=str, response_class=CsvResponse)
async def export_simulation_movers(
    actor: CanReadSimulations,
    session: ReadSession,
    request: Request,
    simulation_id: UUID,
    from_class: FromClass = None,
    to_class: ToClass = None,
) -> object:
    """All customers who move, among those you may see, as CSV."""
    await movers.check_completed(session, simulation_id)
    asked = Movers(simulation_id, from_class, to_class)
    rows = await movers.file_of(session, actor, asked, request.scope.get(REQUEST_ID))
    return csv_file(f"simulation-{simulation_id}", rows)
