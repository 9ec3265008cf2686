"""/v1/events, /v1/webhooks and their deliveries"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from app.core.http import etag
from app.core.http.etag import IfMatch
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession
from app.core.http.routes import router as make_router
from app.identity.access import Requires
from app.identity.actor import Actor
from app.webhooks import feed, queries, service, shown
from app.webhooks.access import everywhere
from app.webhooks.models import webhook_delivery
from app.webhooks.schemas import (
    DeliveryList,
    DeliveryOut,
    DeliveryStatus,
    EventFeed,
    EventPattern,
    ReplayedOut,
    WebhookIn,
    WebhookIssued,
    WebhookList,
    WebhookOut,
    WebhookPatch,
)

events: APIRouter = make_router(prefix="/events", tag="Platform")
webhooks: APIRouter = make_router(prefix="/webhooks", tag="Platform")
routers = [events, webhooks]

CanReadEvents = Annotated[Actor, Depends(Requires("events:read"))]
CanReadWebhooks = Annotated[Actor, Depends(Requires("webhooks:read"))]
CanWriteWebhooks = Annotated[Actor, Depends(Requires("webhooks:write"))]
Types = Annotated[list[EventPattern], Query(max_length=50, description="only these; all when left out")]
Status = Annotated[DeliveryStatus | None, Query(description="only those; all when left out")]


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


@webhooks.get("", response_model=WebhookList)
async def list_webhooks(actor: CanReadWebhooks, session: ReadSession, page: Paging) -> Any:
    """Where events go, the newest first; without secrets."""
    everywhere(actor, "webhooks:read")
    return await page.latest_first(session, queries.webhooks())


@webhooks.post("", status_code=201, response_model=WebhookIssued)
async def create_webhook(actor: CanWriteWebhooks, body: WebhookIn, session: WriteSession, response: Response) -> Any:
    """Have events sent to a URL from now on, signed as Standard Webhooks says. Only this answer shows the secret."""
    everywhere(actor, "webhooks:write")
    response.headers["cache-control"] = "no-store"
    issued = await service.create(session, actor, body)
    etag.tag(response, issued["version"])
    return issued


@webhooks.get("/{webhook_id}", response_model=WebhookOut)
async def read_webhook(webhook_id: UUID, actor: CanReadWebhooks, session: ReadSession, response: Response) -> Any:
    """One webhook, without its secret: whether it works, and if not, since when."""
    everywhere(actor, "webhooks:read")
    row = await queries.read(session, webhook_id)
    etag.tag(response, row["version"])
    return dict(row)


@webhooks.patch("/{webhook_id}", response_model=WebhookOut)
async def change_webhook(
    webhook_id: UUID,
    actor: CanWriteWebhooks,
    body: WebhookPatch,
    session: WriteSession,
    response: Response,
    if_match: IfMatch = None,
) -> Any:
    """Change a webhook, or resume one that was paused: it goes on with the event at which it stopped."""
    everywhere(actor, "webhooks:write")
    row = await service.change(session, actor, webhook_id, body, expected=etag.expected_version(if_match))
    etag.tag(response, row["version"])
    return dict(row)


@webhooks.delete("/{webhook_id}", status_code=204)
async def delete_webhook(webhook_id: UUID, actor: CanWriteWebhooks, session: WriteSession) -> None:
    """Delete a webhook and its deliveries; nothing more is sent."""
    everywhere(actor, "webhooks:write")
    await service.remove(session, actor, webhook_id)


@webhooks.post("/{webhook_id}/secret", status_code=201, response_model=WebhookIssued)
async def rotate_webhook_secret(
    webhook_id: UUID, actor: CanWriteWebhooks, session: WriteSession, response: Response
) -> Any:
    """Give it a new secret, which only this answer shows. For a day each message carries both signatures."""
    everywhere(actor, "webhooks:write")
    response.headers["cache-control"] = "no-store"
    issued = await service.rotate(session, actor, webhook_id)
    etag.tag(response, issued["version"])
    return issued


@webhooks.post("/{webhook_id}/test", status_code=202, response_model=DeliveryOut)
async def test_webhook(webhook_id: UUID, actor: CanWriteWebhooks, session: WriteSession) -> Any:
    """Send an event `webhook.test` to it; the delivery says what came of it."""
    everywhere(actor, "webhooks:write")
    return dict(await service.test(session, actor, webhook_id))


@webhooks.get("/{webhook_id}/deliveries", response_model=DeliveryList)
async def list_deliveries(
    webhook_id: UUID, actor: CanReadWebhooks, session: ReadSession, page: Paging, status: Status = None
) -> Any:
    """What was sent to it and what came of it, the newest first; kept for 30 days."""
    everywhere(actor, "webhooks:read")
    await queries.read(session, webhook_id)
    statement = queries.deliveries(webhook_id)
    if status is not None:
        statement = statement.where(webhook_delivery.c.status == status)
    return await page.latest_first(session, statement, scope=status)


@webhooks.post("/{webhook_id}/deliveries/replay", status_code=202, response_model=ReplayedOut)
async def replay_deliveries(webhook_id: UUID, actor: CanWriteWebhooks, session: WriteSession) -> Any:
    """Send again everything that was given up, under the same ids."""
    everywhere(actor, "webhooks:write")
    return {"replayed": await service.replay(session, actor, webhook_id)}


@webhooks.post("/{webhook_id}/deliveries/{delivery_id}/replay", status_code=202, response_model=ReplayedOut)
async def replay_delivery(webhook_id: UUID, delivery_id: UUID, actor: CanWriteWebhooks, session: WriteSession) -> Any:
    """Send one event again, under the same id, whatever became of it."""
    everywhere(actor, "webhooks:write")
    return {"replayed": await service.replay(session, actor, webhook_id, delivery_id)}
