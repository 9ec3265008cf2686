"""The audit trail, filtered: as a page, or as a file, which is audited itself."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from app.core import audit, csv, ndjson
from app.core.audit import audit_event
from app.core.bounds import FileFormat
from app.core.db import ReadSession, Record
from app.core.errors import Forbidden
from app.core.http.paging import Page
from app.identity.actor import Actor, Scope

READ = "audit:read"

_e = audit_event.c
_SKEW = timedelta(minutes=10)
_LATEST_AT_MOST = 0xFFFFFFFFFFFF
COLUMNS = tuple(column.name for column in audit_event.columns)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


WRITTEN: dict[str, Any] = {"at": lambda at: at.isoformat(), "before": _json, "after": _json}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which events: all of these hold; None asks for nothing."""

    actor: UUID | None
    action: str | None
    resource: str | None
    resource_id: str | None
    since: datetime | None
    until: datetime | None

    @property
    def given(self) -> dict[str, Any]:
        """What was asked for, as JSON can say it."""
        return {name: str(value) for name, value in asdict(self).items() if value is not None}


async def page_of(session: ReadSession, actor: Actor, page: Page, asked: Asked) -> dict[str, Any]:
    """A page of the trail, the latest first. Raises `Forbidden`."""
    return await page.latest_first(session, _events(actor, asked), scope=asked.given)


async def file_of(
    session: ReadSession, actor: Actor, asked: Asked, kind: FileFormat, request_id: str | None
) -> AsyncIterator[str]:
    """The trail as a file, the oldest first; that somebody took it stands in it. Raises `Forbidden`."""
    events = _events(actor, asked).order_by(_e.id)
    what = {"format": kind, **asked.given}
    await audit.record_reading(session, actor, "audit.exported", "audit", "trail", what=what, request_id=request_id)

    async def after(row: Record | None, limit: int) -> list[Record]:
        rest = events if row is None else events.where(_e.id > row["id"])
        return await session.all(rest.limit(limit))

    if kind is FileFormat.CSV:
        return csv.file_of(COLUMNS, after, WRITTEN)
    return ndjson.file_of(COLUMNS, after)


def _events(actor: Actor, asked: Asked) -> Select[Any]:
    if actor.scope(READ) is not Scope.ALL:
        raise Forbidden(f"The audit trail is everybody's: it needs {READ} with the scope all")
    equal: Mapping[Any, Any] = {
        _e.actor_id: asked.actor,
        _e.action: asked.action,
        _e.resource: asked.resource,
        _e.resource_id: asked.resource_id,
    }
    found = select(audit_event).where(*(column == value for column, value in equal.items() if value is not None))
    if asked.since is not None:
        # No event is older than its id: what lies before need not be looked at.
        found = found.where(_e.at >= asked.since, _e.id >= _oldest_id(asked.since - _SKEW))
    if asked.until is not None:
        found = found.where(_e.at < asked.until)
    return found


def _oldest_id(instant: datetime) -> UUID:
    return UUID(int=min(max(int(instant.timestamp() * 1000), 0), _LATEST_AT_MOST) << 80)
