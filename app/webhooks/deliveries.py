"""What is to be sent to a webhook, and what came of it."""

import json
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import Uuid as UuidType
from sqlalchemy import and_, any_, exists, func, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.core import audit, clock, events
from app.core.db import Database, Record, WriteSession
from app.core.lockbox import Unreadable
from app.core.outbox import outbox_event
from app.core.settings import get_settings
from app.identity.actor import SYSTEM
from app.webhooks import feed, keys, rules, sending, shown
from app.webhooks.events import WebhookPaused
from app.webhooks.models import webhook, webhook_delivery
from app.webhooks.sending import Outcome

FANNED = 500
MARGIN = timedelta(seconds=20)
"""Past the time that an endpoint has for its answer: then an attempt of which nothing was heard is made again."""
JITTER = 0.1
_OPEN = and_(webhook.c.active, webhook.c.paused_at.is_(None))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery that this worker has taken on, with everything that it takes to send it."""

    webhook: Record
    delivery: Record
    event: Record | None

    @property
    def message_id(self) -> str:
        """The same with every attempt, and at every webhook that gets the event."""
        return str(self.delivery["event_id"] or self.delivery["id"])


async def is_anything_open(database: Database) -> bool:
    """Whether there is a webhook to look after."""
    return bool(await database.reading().scalar(select(exists().where(_OPEN))))


async def fan_out(database: Database) -> int:
    """Take what is new from the outbox for every open webhook; how many events were passed or taken."""
    newest = await feed.latest(database.reading())
    place = tuple_(webhook.c.after_transaction_id, webhook.c.after_event_id)
    behind = await database.reading().all(select(webhook.c.id).where(_OPEN, place < feed.at(newest)))
    return sum([await _fan_out_to(database, row["id"]) for row in behind])


async def _fan_out_to(database: Database, webhook_id: UUID) -> int:
    async with database.transaction() as session:
        row = await session.first(
            select(webhook).where(webhook.c.id == webhook_id, _OPEN).with_for_update(skip_locked=True)
        )
        if row is None:
            return 0
        after = feed.Position(row["after_transaction_id"], row["after_event_id"])
        found = await feed.read(session, after, row["types"], limit=FANNED)
        now = clock.now()
        records = [(webhook_id, event["id"], event["name"], now) for event in found.events]
        await session.copy(webhook_delivery, ["webhook_id", "event_id", "type", "due_at"], records)
        moved = update(webhook).where(webhook.c.id == webhook_id)
        await session.execute(
            moved.values(after_transaction_id=found.end.transaction_id, after_event_id=found.end.event_id)
        )
        return max(len(records), int(found.end != after))


async def due(database: Database) -> list[Record]:
    """Open webhooks with something to send now."""
    waiting = select(webhook_delivery.c.id).where(
        webhook_delivery.c.webhook_id == webhook.c.id,
        webhook_delivery.c.status == "pending",
        webhook_delivery.c.due_at <= func.now(),
    )
    return await database.reading().all(select(webhook).where(_OPEN, waiting.exists()).order_by(webhook.c.id))


async def claim(database: Database, row: Record, room: int) -> list[Attempt]:
    """Take on some of what is due; nobody else will until the lease is over."""
    lease = timedelta(seconds=get_settings().webhook_timeout) + MARGIN
    chosen = (
        select(webhook_delivery.c.id)
        .where(
            webhook_delivery.c.webhook_id == row["id"],
            webhook_delivery.c.status == "pending",
            webhook_delivery.c.due_at <= func.now(),
        )
        .order_by(webhook_delivery.c.due_at, webhook_delivery.c.id)
        .limit(room)
        .with_for_update(skip_locked=True)
    )
    taking = update(webhook_delivery).where(
        webhook_delivery.c.webhook_id == row["id"], webhook_delivery.c.id.in_(chosen)
    )
    taking = taking.values(
        attempts=webhook_delivery.c.attempts + 1, attempted_at=func.now(), due_at=func.now() + literal(lease)
    )
    async with database.transaction() as session:
        taken = await session.all(taking.returning(webhook_delivery))
        ids = [each["event_id"] for each in taken if each["event_id"] is not None]
        stored = select(outbox_event).where(outbox_event.c.id == any_(literal(ids, ARRAY(UuidType))))
        found = {each["id"]: each for each in await session.all(stored)}
    return [Attempt(row, each, found.get(each["event_id"])) for each in taken]


async def carry_out(database: Database, client: httpx.AsyncClient, attempt: Attempt) -> None:
    """Send it, and write down what came of it."""
    if attempt.delivery["event_id"] is not None and attempt.event is None:
        outcome = Outcome(None, "the event is not kept any more")
        async with database.transaction() as session:
            await _ended(session, attempt, outcome, status="dead", due_at=None)
        return
    try:
        outcome = await sending.send(client, attempt.webhook["url"], **message(attempt))
    except Unreadable:
        outcome = Outcome(None, "the secret was locked with another STRATA_SECRET_KEY: rotate it")
    async with database.transaction() as session:
        await _note(session, attempt, outcome)


def message(attempt: Attempt) -> dict[str, Any]:
    """Headers and body, by Standard Webhooks 1.0; the body is the same with every attempt. Raises `Unreadable`."""
    if attempt.event is not None:
        told = shown.event(attempt.event)
    else:
        of_itself = {"webhook_id": attempt.webhook["id"]}
        told = {
            "id": attempt.delivery["id"],
            "type": attempt.delivery["type"],
            "timestamp": attempt.delivery["created_at"],
            "data": of_itself,
        }
    body = json.dumps(told, default=_plain, separators=(",", ":"), ensure_ascii=False).encode()
    now = clock.now()
    timestamp = int(now.timestamp())
    until = attempt.webhook["previous_secret_until"]
    signing = [keys.open_(attempt.webhook["secret"])]
    if until is not None and now < until:
        signing.append(keys.open_(attempt.webhook["previous_secret"]))
    headers = {
        "webhook-id": attempt.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": rules.signature(signing, message_id=attempt.message_id, timestamp=timestamp, body=body),
        "user-agent": "Strata-Webhooks/1",
    }
    return {"headers": headers, "body": body}


def _plain(value: object) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


async def _note(session: WriteSession, attempt: Attempt, outcome: Outcome) -> None:
    # The webhook's row first: whoever changes or deletes it holds it before its deliveries.
    row = await session.first(select(webhook).where(webhook.c.id == attempt.webhook["id"]).with_for_update())
    if row is None:
        return
    if outcome.is_success:
        if row["failing_since"] is not None:
            await session.execute(update(webhook).where(webhook.c.id == row["id"]).values(failing_since=None))
        await _ended(session, attempt, outcome, status="delivered", due_at=None)
        return
    await _failed(session, row, outcome)
    delay = rules.delay_after(attempt.delivery["attempts"])
    if delay is None:
        await _ended(session, attempt, outcome, status="dead", due_at=None)
        return
    spread = delay * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  only so that not all come at once
    wait = max(spread, rules.asked_to_wait(outcome.retry_after, now=clock.now()))
    await _ended(session, attempt, outcome, status="pending", due_at=clock.now() + wait)


async def _failed(session: WriteSession, row: Record, outcome: Outcome) -> None:
    """Since when it fails; whoever fails for too long is paused, which is announced."""
    now = clock.now()
    since = row["failing_since"] or now
    values: dict[str, Any] = {"failing_since": since}
    reason = rules.reason_to_pause(outcome.status, failing_since=since, now=now)
    if reason is not None and row["paused_at"] is None:
        values |= {"paused_at": now, "paused_reason": reason, "version": webhook.c.version + 1, "updated_at": now}
        audit.record(session, SYSTEM, "webhook.paused", "webhook", row["id"], after={"reason": reason})
        await events.publish(session, WebhookPaused(row["id"], reason))
    await session.execute(update(webhook).where(webhook.c.id == row["id"]).values(**values))


async def _ended(session: WriteSession, attempt: Attempt, outcome: Outcome, *, status: str, due_at: Any) -> None:
    """The attempt is over, unless the delivery was replayed meanwhile: then that is what counts."""
    mine = update(webhook_delivery).where(
        webhook_delivery.c.webhook_id == attempt.webhook["id"],
        webhook_delivery.c.id == attempt.delivery["id"],
        webhook_delivery.c.attempts == attempt.delivery["attempts"],
        webhook_delivery.c.status == "pending",
    )
    await session.execute(
        mine.values(status=status, due_at=due_at, response_status=outcome.status, error=outcome.error)
    )
