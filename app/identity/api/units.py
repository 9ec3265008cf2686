"""/v1/units"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from sqlalchemy import Uuid as UuidType
from sqlalchemy import literal
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.http import etag
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession
from app.core.http.routes import router as make_router
from app.identity import queries, units
from app.identity.access import Requires
from app.identity.actor import Actor
from app.identity.schemas import UnitIn, UnitList, UnitOut, UnitPatch

router: APIRouter = make_router(prefix="/units", tag="Access")

CanReadUnits = Annotated[Actor, Depends(Requires("units:read"))]
CanWriteUnits = Annotated[Actor, Depends(Requires("units:write"))]


@router.get("", response_model=UnitList)
async def list_units(actor: CanReadUnits, session: ReadSession, page: Paging) -> Any:
    """The units I may see: every unit after its parent."""
    tree = queries.unit_tree(actor, "units:read").limit(page.limit + 1)
    if (after := page.after()) is not None:
        position = literal([UUID(each) for each in after], ARRAY(UuidType))
        tree = tree.where(tree.selected_columns.path_ids > position)
    rows = await session.all(tree)
    shown: list[dict[str, Any]] = [dict(row) for row in rows[: page.limit]]
    return {"items": shown, "next_cursor": page.next_cursor(rows, shown[-1]["path_ids"] if shown else [])}


@router.post("", status_code=201, response_model=UnitOut)
async def create_unit(actor: CanWriteUnits, body: UnitIn, session: WriteSession, response: Response) -> Any:
    """Make a unit under another one."""
    row = await units.create(session, actor, body)
    etag.tag(response, row["version"])
    return dict(row)


@router.get("/{unit_id}", response_model=UnitOut)
async def read_unit(unit_id: UUID, actor: CanReadUnits, session: ReadSession, response: Response) -> Any:
    """One unit."""
    row = await units.read(session, actor, unit_id)
    etag.tag(response, row["version"])
    return dict(row)


@router.patch("/{unit_id}", response_model=UnitOut)
async def update_unit(
    unit_id: UUID,
    actor: CanWriteUnits,
    body: UnitPatch,
    session: WriteSession,
    response: Response,
    if_match: etag.IfMatch = None,
) -> Any:
    """Rename or move a unit; what everybody sees follows at once."""
    row = await units.change(session, actor, unit_id, body, expected=etag.expected_version(if_match))
    etag.tag(response, row["version"])
    return dict(row)


@router.delete("/{unit_id}", status_code=204)
async def delete_unit(
    unit_id: UUID, actor: CanWriteUnits, session: WriteSession, if_match: etag.IfMatch = None
) -> None:
    """Delete a unit that nothing belongs to."""
    await units.remove(session, actor, unit_id, expected=etag.expected_version(if_match))
