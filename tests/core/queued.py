"""Jobs put into the queue, and how they stand."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.core.db import Database
from app.core.jobs import enqueue


async def put(database: Database, name: str, payload: dict[str, Any] | None = None) -> UUID:
    async with database.transaction(correlation_id="c-1") as session:
        return await enqueue(session, name, payload or {})


async def state(database: Database, job_id: UUID) -> tuple[str, int, str | None]:
    row: Any = await database.reading().first(
        text("SELECT status, starts, error FROM job WHERE id = :id"), {"id": job_id}
    )
    return row["status"], row["starts"], row["error"]
