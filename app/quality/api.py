"""Routes of the data-quality report."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from app.core.bounds import Line
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, note_reading, router
from app.customers.document import READ_CONTACT
from app.customers.schemas import CustomerPage
from app.identity.access import Requires
from app.identity.actor import Actor
from app.quality import queries
from app.quality.rules import Finding
from app.quality.schemas import QualityGroupPage, QualityReport

routes = router(prefix="/data-quality", tag="Data quality")

CanReadCustomers = Annotated[Actor, Depends(Requires(queries.READ))]
Source = Annotated[Line | None, Query(description="only of this source; `-` for customers without")]
Owner = Annotated[UUID | Literal["-"] | None, Query(description="only of this owner; `-` for customers without")]


@routes.get("", response_model=QualityReport)
async def read_data_quality(actor: CanReadCustomers, session: ReadSession) -> object:
    """What is missing, invalid, stale or in conflict among the customers you see.

    What follows from contact data is found where you may read it, and compared with such data only.
    """
    return await queries.report(session, actor)


@routes.get("/groups", response_model=QualityGroupPage)
async def list_data_quality_groups(
    actor: CanReadCustomers,
    session: ReadSession,
    page: Paging,
    by: Annotated[queries.By, Query(description="what the customers are grouped by")] = "source",
) -> object:
    """The report by source or by owner."""
    return await queries.page_of_groups(session, actor, page, by)


@routes.get("/customers", response_model=CustomerPage)
async def list_data_quality_customers(
    actor: CanReadCustomers,
    session: ReadSession,
    request: Request,
    page: Paging,
    finding: Annotated[Finding, Query(description="what is wrong with them")],
    source: Source = None,
    owner: Owner = None,
) -> Response:
    """The customers behind a count of the report, among those you see."""
    found = await queries.page_of_customers(session, actor, page, finding, source=source, owner=owner)
    if found.customers and (contact := actor.scope(READ_CONTACT)) is not None:
        what = {"contact": contact, "customers": found.customers}
        note_reading(request, actor, "customers.listed", "customers", request.scope["path"], what)
    return Response(found.content, media_type="application/json")


routers = [routes]
