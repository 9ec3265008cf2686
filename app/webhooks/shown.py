"""How an event is told, to whoever pulls it and to whoever is called."""

from typing import Any

from app.core.db import Record


def event(row: Record) -> dict[str, Any]:
    """A row of the outbox as others see it."""
    return {"id": row["id"], "type": row["name"], "timestamp": row["at"], "data": row["payload"]}
