"""Routes of possible duplicates."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Response

from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, note_reading, router
from app.customers.document import READ_CONTACT
from app.customers.duplicates import deciding, queries
from app.customers.duplicates.rules import LISTED
from app.customers.duplicates.schemas import (
    DismissalIn,
    DuplicateMatches,
    DuplicateMergeIn,
    DuplicateOut,
    DuplicatePage,
    DuplicateSearchIn,
)
from app.customers.merging import queries as merges
from app.customers.merging.schemas import MergeOut
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(prefix="/customers", tag="Duplicates")

CanReadCustomers = Annotated[Actor, Depends(Requires(queries.READ))]
CanMergeCustomers = Annotated[Actor, Depends(Requires(merges.PERMISSION))]
CustomerId = Annotated[UUID, Path(description="customer id")]
DuplicateId = Annotated[UUID, Path(description="id of a pair")]
AtLeast = Annotated[int, Query(ge=LISTED, le=100, description="only pairs of this score and above")]
Dismissed = Annotated[bool, Query(description="the pairs of which somebody said that they are not the same, instead")]


def _shown(request: Request, actor: Actor, found: queries.Found) -> Response:
    """The answer, written down when it shows contact data that others see masked."""
    if found.customers and (contact := actor.scope(READ_CONTACT)) is not None:
        what = {"contact": contact, "customers": found.customers}
        note_reading(request, actor, "customers.listed", "customers", request.scope["path"], what)
    return Response(found.content, media_type="application/json")


@routes.get("/duplicates", response_model=DuplicatePage)
async def list_duplicates(
    actor: CanReadCustomers,
    session: ReadSession,
    request: Request,
    page: Paging,
    min_score: AtLeast = LISTED,
    dismissed: Dismissed = False,
) -> Response:
    """Customers who may be the same, two by two with score and reasons, the likeliest first; you see both or neither.

    What follows from contact data counts where you may read it. Whoever changed is looked at within a minute or two.
    """
    found = await queries.page_of(session, actor, page, at_least=min_score, dismissed=dismissed)
    return _shown(request, actor, found)


@routes.post("/duplicates/search", response_model=DuplicateMatches)
async def search_duplicates(
    actor: CanReadCustomers, session: ReadSession, request: Request, body: DuplicateSearchIn
) -> Response:
    """Whether a customer is known already, before it is created: who may be the same, among those you see."""
    return _shown(request, actor, await queries.search(session, actor, body))


@routes.get("/duplicates/{duplicate_id}", response_model=DuplicateOut)
async def read_duplicate(
    actor: CanReadCustomers, session: ReadSession, request: Request, duplicate_id: DuplicateId
) -> Response:
    """One pair."""
    return _shown(request, actor, await queries.one(session, actor, duplicate_id))


@routes.post("/duplicates/{duplicate_id}/dismiss", response_model=DuplicateOut)
async def dismiss_duplicate(
    actor: CanMergeCustomers, session: WriteSession, duplicate_id: DuplicateId, body: DismissalIn
) -> Response:
    """Say that the two are not the same: they are not listed again, whatever they have in common."""
    await deciding.dismiss(session, actor, duplicate_id, body)
    return Response(await deciding.decided(session, actor, duplicate_id), media_type="application/json")


@routes.post("/duplicates/{duplicate_id}/reopen", response_model=DuplicateOut)
async def reopen_duplicate(actor: CanMergeCustomers, session: WriteSession, duplicate_id: DuplicateId) -> Response:
    """Take back that the two are not the same."""
    await deciding.reopen(session, actor, duplicate_id)
    return Response(await deciding.decided(session, actor, duplicate_id), media_type="application/json")


@routes.post("/duplicates/{duplicate_id}/merge", status_code=201, response_model=MergeOut)
async def merge_duplicate(
    actor: CanMergeCustomers,
    session: WriteSession,
    response: Response,
    duplicate_id: DuplicateId,
    body: DuplicateMergeIn,
) -> object:
    """Make one customer of the two, as any merge."""
    merge_id = await deciding.merge(session, actor, duplicate_id, body)
    response.headers["location"] = f"/v1/customers/merges/{merge_id}"
    return await merges.read(session, actor, merge_id)


@routes.get("/{customer_id}/duplicates", response_model=DuplicatePage)
async def list_customer_duplicates(
    actor: CanReadCustomers,
    session: ReadSession,
    request: Request,
    page: Paging,
    customer_id: CustomerId,
    dismissed: Dismissed = False,
) -> Response:
    """Who may be the same as this customer, the likeliest first."""
    found = await queries.page_of(session, actor, page, customer_id=customer_id, dismissed=dismissed)
    return _shown(request, actor, found)
