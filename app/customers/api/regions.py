"""Routes of the tree of regions."""

from typing import Annotated

from fastapi import Depends, Path, Query

from app.core.bounds import Printable
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, router
from app.customers.regions import tree
from app.customers.regions.schemas import Level, RegionDetail, RegionPage
from app.customers.schemas import Region
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(prefix="/regions", tag="Regions")

CanReadCustomers = Annotated[Actor, Depends(Requires("customers:read"))]


@routes.get("", response_model=RegionPage)
async def list_regions(
    actor: CanReadCustomers,
    session: ReadSession,
    page: Paging,
    parent: Annotated[Region | None, Query(description="only those right below this one")] = None,
    level: Annotated[Level | None, Query(description="only those of this level")] = None,
    q: Annotated[
        str | None, Query(min_length=1, max_length=100, description="part of the name, English or Chinese"), Printable
    ] = None,
) -> object:
    """Countries, and China's provinces, cities and counties, by code."""
    return await tree.page(session, page, parent=parent, level=level, q=q)


@routes.get("/{region_code}", response_model=RegionDetail)
async def read_region(
    actor: CanReadCustomers,
    session: ReadSession,
    region_code: Annotated[Region, Path(description="such as CN-44-01")],
) -> object:
    """One region, with those that it lies in."""
    return await tree.read(session, region_code)
