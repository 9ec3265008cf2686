"""The SELECTs about webhooks and their deliveries."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, case, select

from app.core.db import ReadSession, Record
from app.core.errors import NotFound
from app.webhooks.models import webhook, webhook_delivery

STATUS = case(
    (webhook.c.paused_at.is_not(None), "paused"),
    (~webhook.c.active, "inactive"),
    (webhook.c.failing_since.is_not(None), "failing"),
    else_="active",
).label("status")
_HIDDEN = {"secret", "previous_secret", "after_transaction_id", "after_event_id"}
SHOWN = (*(column for column in webhook.c if column.name not in _HIDDEN), STATUS)


def webhooks() -> Select[Any]:
    """All webhooks, as they are shown."""
    return select(*SHOWN)


def deliveries(webhook_id: UUID) -> Select[Any]:
    """What was sent, or is to be, to one webhook."""
    return select(webhook_delivery).where(webhook_delivery.c.webhook_id == webhook_id)


async def read(session: ReadSession, webhook_id: UUID) -> Record:
    """The webhook as it is shown. Raises `NotFound`."""
    return _there(await session.first(webhooks().where(webhook.c.id == webhook_id)))


async def hold(session: ReadSession, webhook_id: UUID) -> Record:
    """The whole row, locked. Raises `NotFound`."""
    return _there(await session.first(select(webhook).where(webhook.c.id == webhook_id).with_for_update()))


def _there(row: Record | None) -> Record:
    if row is None:
        raise NotFound
    return row
