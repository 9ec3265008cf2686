"""/v1/events"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from app.core.http.paging import Paging
from app.core.http.routes import ReadSession
from app.core.http.routes import router as make_router
from app.identity.access import Requires
from app.identity.actor import Actor
from app.webhooks import feed, shown
from app.webhooks.access import everywhere
from app.webhooks.schemas import EventFeed, EventPattern

events: APIRouter = make_router(prefix="/events", tag="Platform")
routers = [events]

CanReadEvents = Annotated[Actor, Depends(Requires("events:read"))]
Types = Annotated[list[EventPattern], Query(max_length=50, description="only these; all when left out")]


@events.get("", response_model=EventFeed)
async def read_events(actor: CanReadEvents, session: ReadSession, page: Paging, types: Types = []) -> Any:  # noqa: B006
    """What happened, oldest first; with the last cursor, what happened since. No event is left out or comes twice."""
    everywhere(actor, "events:read")
    scope = sorted(types)
    after = page.after(scope)
    start = feed.START if after is None else feed.Position(after[0], UUID(after[1]))
    found = await feed.read(session, start, types, limit=page.limit)
    cursor = None if found.end == feed.START else page.signer.sign(found.end, [page.route, scope])
    return {"items": [shown.event(row) for row in found.events], "next_cursor": cursor, "more": found.more}
