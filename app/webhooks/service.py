"""Webhooks as people make and change them."""

from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, update

from app.core import audit, clock, jobs
from app.core.db import Record, WriteSession
from app.core.errors import Invalid, NotFound
from app.core.http import etag
from app.identity.actor import Actor
from app.webhooks import feed, keys, queries, rules, sending
from app.webhooks.events import WebhookTest
from app.webhooks.models import webhook, webhook_delivery
from app.webhooks.schemas import WebhookIn, WebhookPatch

DISPATCH = "webhooks.dispatch"
_NEEDED = ("url", "types", "active")


async def create(session: WriteSession, actor: Actor, body: WebhookIn) -> dict[str, Any]:
    """A new webhook, for this one time with its secret. It gets what happens from now on."""
    sending.check_url(body.url)
    place = await feed.latest(session)
    values = body.model_dump()
    secret = rules.new_secret()
    made = insert(webhook).values(
        **values, secret=keys.lock(secret), after_transaction_id=place.transaction_id, after_event_id=place.event_id
    )
    row = await session.first(made.returning(*queries.SHOWN))
    assert row is not None
    audit.record(session, actor, "webhook.created", "webhook", row["id"], after=values)
    return {**row, "secret": secret}


async def change(
    session: WriteSession, actor: Actor, webhook_id: UUID, body: WebhookPatch, *, expected: int | None
) -> Record:
    """Change what is given; whoever makes it active resumes it. Raises `NotFound`, `Invalid`, `PreconditionFailed`."""
    row = await queries.hold(session, webhook_id)
    etag.check_version(row["version"], expected)
    values = body.model_dump(exclude_unset=True)
    for name in _NEEDED:
        if name in values and values[name] is None:
            raise Invalid.at(f"/body/{name}", "Leave it out to keep it; it cannot be empty")
    if "url" in values:
        sending.check_url(values["url"])
    before, after = audit.changed(row, values)
    if values.get("active"):
        before, after = _resumed(row, before, after)
    if not after:
        return await queries.read(session, webhook_id)
    audit.record(session, actor, "webhook.changed", "webhook", webhook_id, before=before, after=after)
    await jobs.enqueue(session, DISPATCH, {})
    return await _update(session, webhook_id, **after)


def _resumed(row: Record, before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    if row["paused_at"] is None:
        return before, after
    names = ("paused_at", "paused_reason", "failing_since")
    return {**before, **{name: row[name] for name in names}}, {**after, **dict.fromkeys(names)}


async def rotate(session: WriteSession, actor: Actor, webhook_id: UUID) -> dict[str, Any]:
    """A new secret; for a day the one before signs, too. An older one ends at once."""
    row = await queries.hold(session, webhook_id)
    secret = rules.new_secret()
    until = clock.now() + rules.OVERLAP
    shown = await _update(
        session, webhook_id, secret=keys.lock(secret), previous_secret=row["secret"], previous_secret_until=until
    )
    audit.record(
        session, actor, "webhook.secret_rotated", "webhook", webhook_id, after={"previous_secret_until": until}
    )
    return {**shown, "secret": secret}


async def remove(session: WriteSession, actor: Actor, webhook_id: UUID) -> None:
    """Delete it with its deliveries. Raises `NotFound`."""
    row = await queries.hold(session, webhook_id)
    await session.execute(delete(webhook).where(webhook.c.id == webhook_id))
    before = {name: row[name] for name in ("url", "types", "description", "active")}
    audit.record(session, actor, "webhook.deleted", "webhook", webhook_id, before=before)


async def test(session: WriteSession, actor: Actor, webhook_id: UUID) -> Record:
    """Send an event of the type `webhook.test`, whatever the webhook asks for. Raises `NotFound`."""
    await queries.hold(session, webhook_id)
    made = insert(webhook_delivery).values(webhook_id=webhook_id, type=WebhookTest.name, due_at=func.now())
    row = await session.first(made.returning(webhook_delivery))
    audit.record(session, actor, "webhook.tested", "webhook", webhook_id)
    await jobs.enqueue(session, DISPATCH, {})
    return row


async def replay(session: WriteSession, actor: Actor, webhook_id: UUID, delivery_id: UUID | None = None) -> int:
    """Send one delivery again, whatever became of it; without an id all that are dead. How many; raises `NotFound`."""
    await queries.hold(session, webhook_id)
    again = update(webhook_delivery).where(webhook_delivery.c.webhook_id == webhook_id)
    if delivery_id is None:
        again = again.where(webhook_delivery.c.status == "dead")
    else:
        again = again.where(webhook_delivery.c.id == delivery_id)
    count = await session.execute(again.values(status="pending", attempts=0, due_at=func.now(), error=None))
    if delivery_id is not None and not count:
        raise NotFound
    what = {"deliveries": count, "delivery_id": delivery_id}
    audit.record(session, actor, "webhook.replayed", "webhook", webhook_id, after=what)
    await jobs.enqueue(session, DISPATCH, {})
    return count


async def _update(session: WriteSession, webhook_id: UUID, **values: Any) -> Record:
    changing = update(webhook).where(webhook.c.id == webhook_id)
    changing = changing.values(**values, version=webhook.c.version + 1, updated_at=func.now())
    return await session.first(changing.returning(*queries.SHOWN))
