"""Routes of merges."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Request, Response

from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, database_of, router
from app.customers.merging import merge, queries, undo
from app.customers.merging.schemas import MergeIn, MergeOut, MergePage
from app.identity.access import ACTOR, Requires
from app.identity.actor import Actor

routes = router(prefix="/customers/merges", tag="Merges")

CanMergeCustomers = Annotated[Actor, Depends(Requires(queries.PERMISSION))]
MergeId = Annotated[UUID, Path(description="merge id")]


@routes.get("", response_model=MergePage)
async def list_merges(actor: CanMergeCustomers, session: ReadSession, page: Paging) -> object:
    """Merges into customers whom you may merge, the latest first, undone ones among them."""
    return await queries.page(session, actor, page)


@routes.post("", status_code=201, response_model=MergeOut)
async def merge_customers(actor: CanMergeCustomers, session: WriteSession, body: MergeIn, response: Response) -> object:
    """Make one customer part of another. Whatever names the merged id answers with the survivor's from then on (307).

    Identities, purchases, interactions and all else follow; both histories are kept, classes decided anew.
    """
    merge_id = await merge.merge(session, actor, body)
    response.headers["location"] = f"/v1/customers/merges/{merge_id}"
    return await queries.read(session, actor, merge_id)


@routes.get("/{merge_id}", response_model=MergeOut)
async def read_merge(actor: CanMergeCustomers, session: ReadSession, merge_id: MergeId) -> object:
    """One merge."""
    return await queries.read(session, actor, merge_id)


@routes.post("/{merge_id}/undo", response_model=MergeOut)
async def undo_merge(actor: CanMergeCustomers, session: WriteSession, merge_id: MergeId) -> object:
    """Make two customers of one again: each with what was its own; what came since stays with the survivor."""
    await undo.undo(session, actor, merge_id)
    return await queries.read(session, actor, merge_id)


async def successor(request: Request, value: str) -> str | None:
    """Who stands for the customer of a path, as far as whoever asks may see it."""
    actor: Actor | None = request.scope.get(ACTOR)
    if actor is None:
        return None
    found = await queries.successor(database_of(request).reading(), actor, UUID(value))
    return None if found is None else str(found)
