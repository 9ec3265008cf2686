"""The secrets of webhooks as the database keeps them: under lock."""

from sqlalchemy import select, update

from app.core import lockbox
from app.core.db import Database
from app.webhooks.models import webhook
from app.webhooks.rules import SECRET_PREFIX

_PURPOSE = "webhook"
_w = webhook.c


def lock(secret: str) -> str:
    """The secret as it is kept."""
    return lockbox.lock(secret, purpose=_PURPOSE)


def open_(kept: str) -> str:
    """The secret as it signs; one that is not under lock yet, too. Raises `lockbox.Unreadable`."""
    return kept if kept.startswith(SECRET_PREFIX) else lockbox.open_(kept, purpose=_PURPOSE)


async def lock_open_ones(database: Database) -> None:
    """Lock the secrets that an earlier version kept as they are."""
    plain = select(_w.id, _w.secret, _w.previous_secret).where(
        _w.secret.startswith(SECRET_PREFIX, autoescape=True)
        | _w.previous_secret.startswith(SECRET_PREFIX, autoescape=True)
    )
    if not await database.reading().first(plain.limit(1)):
        return
    async with database.transaction() as session:
        for row in await session.all(plain.with_for_update()):
            kept = {name: row[name] and lock(open_(row[name])) for name in ("secret", "previous_secret")}
            await session.execute(update(webhook).where(_w.id == row["id"]).values(**kept))
