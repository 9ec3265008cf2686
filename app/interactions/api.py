"""Routes of interactions."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Response

from app.core.bounds import Instant, Key
from app.core.http.etag import IfMatch, expected_version
from app.core.http.etag import tag as etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router, shows
from app.customers import document
from app.customers.fact_batches import FactBatchOut
from app.identity.access import Reads, Requires
from app.identity.actor import Actor
from app.interactions import batch, queries, service
from app.interactions.schemas import (
    InteractionBatchIn,
    InteractionIn,
    InteractionKind,
    InteractionOut,
    InteractionPage,
    InteractionPatch,
)

routes = router(tag="Interactions")

CanReadInteractions = Annotated[Actor, Depends(Reads(queries.READ, "interaction"))]
CanWriteInteractions = Annotated[Actor, Depends(Requires(service.WRITE))]
CustomerId = Annotated[UUID, Path(description="customer id")]
InteractionId = Annotated[UUID, Path(description="interaction id")]


async def _filters(
    kind: InteractionKind | None = None,
    outcome: Key | None = None,
    since: Annotated[Instant | None, Query(description="occurred at or after this instant")] = None,
    until: Annotated[Instant | None, Query(description="occurred before this instant")] = None,
) -> dict[str, Any]:
    given = {"kind": kind, "outcome": outcome, "since": since, "until": until}
    return {name: value for name, value in given.items() if value is not None}


Filters = Annotated[dict[str, Any], Depends(_filters)]


@routes.post("/customers/{customer_id}/interactions", status_code=201, response_model=InteractionOut)
async def record_interaction(
    actor: CanWriteInteractions,
    session: WriteSession,
    customer_id: CustomerId,
    body: InteractionIn,
    response: Response,
) -> object:
    """Record what was said or done with a customer."""
    made = await service.record(session, actor, customer_id, body)
    etag(response, made["version"])
    return made


@routes.get("/customers/{customer_id}/interactions", response_model=InteractionPage)
async def list_customer_interactions(
    actor: CanReadInteractions, session: ReadSession, customer_id: CustomerId, page: Paging, filters: Filters
) -> object:
    """A customer's interactions, the latest first."""
    await document.check_visible(session, actor, customer_id, queries.READ)
    return await queries.page_of_interactions(session, actor, page, filters=filters, customer_id=customer_id)


@routes.get("/interactions", response_model=InteractionPage)
async def list_interactions(
    actor: CanReadInteractions, session: ReadSession, request: Request, page: Paging, filters: Filters
) -> object:
    """Interactions across customers, the latest first."""
    found = await queries.page_of_interactions(session, actor, page, filters=filters)
    shows(request, found["items"])
    return found


@routes.post("/interactions/batch", response_model=FactBatchOut)
async def record_interactions(actor: CanWriteInteractions, session: WriteSession, body: InteractionBatchIn) -> object:
    """Record up to 1,000 interactions: the good rows are kept, the others say what is wrong with them."""
    return await batch.record_all(session, actor, body.interactions)


@routes.get("/customers/{customer_id}/interactions/{interaction_id}", response_model=InteractionOut)
async def read_interaction(
    actor: CanReadInteractions,
    session: ReadSession,
    customer_id: CustomerId,
    interaction_id: InteractionId,
    response: Response,
) -> object:
    """One interaction, as its latest version says it."""
    found = await queries.one(session, actor, customer_id, interaction_id)
    etag(response, found["version"])
    return found


@routes.patch("/customers/{customer_id}/interactions/{interaction_id}", response_model=InteractionOut)
async def correct_interaction(
    actor: CanWriteInteractions,
    session: WriteSession,
    customer_id: CustomerId,
    interaction_id: InteractionId,
    body: InteractionPatch,
    response: Response,
    if_match: IfMatch = None,
) -> object:
    """Correct the fields that the body names: a new version, beside which the earlier ones stay."""
    version = expected_version(if_match)
    corrected = await service.correct(session, actor, customer_id, interaction_id, body, expected=version)
    etag(response, corrected["version"])
    return corrected


@routes.get("/customers/{customer_id}/interactions/{interaction_id}/versions", response_model=InteractionPage)
async def list_interaction_versions(
    actor: CanReadInteractions,
    session: ReadSession,
    customer_id: CustomerId,
    interaction_id: InteractionId,
    page: Paging,
) -> object:
    """What an interaction says and what it said before it was corrected, the latest version first."""
    return await queries.page_of_versions(session, actor, customer_id, interaction_id, page)


routers = [routes]
