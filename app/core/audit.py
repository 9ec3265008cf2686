"""One row per change, in the transaction of the change: who, when, what, before and after.

What leaves as a file is written down, too: before its first row.

Personal data is never copied into the audit: a personal field that changed says only that it did.
"""

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, Table, Text, func
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import JSONB

from app.core.db import ReadSession, WriteSession, metadata

audit_event = Table(
    "audit_event",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", UuidType),
    Column("action", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("before", JSONB),
    Column("after", JSONB),
    Column("request_id", Text),
    Column("on_behalf_of", UuidType, comment="the absent user for whom the actor stood in"),
    Index("ix_audit_event_resource", "resource", "resource_id"),
    Index("ix_audit_event_actor", "actor_id", "id"),
)


class Who(Protocol):
    """Whoever acts: a user, an API key, the system."""

    @property
    def kind(self) -> str: ...
    @property
    def id(self) -> UUID | None: ...
    @property
    def on_behalf_of(self) -> UUID | None: ...


def record(
    session: WriteSession,
    who: Who,
    action: str,
    resource: str,
    resource_id: object,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    personal: frozenset[str] = frozenset(),
) -> None:
    """Write the change down. Of fields named in `personal` only whether they were set is kept."""
    session.write_behind(
        audit_event,
        actor_kind=who.kind,
        actor_id=who.id,
        action=action,
        resource=resource,
        resource_id=str(resource_id),
        before=_by_reference(before, personal),
        after=_by_reference(after, personal),
        request_id=session.correlation_id,
        on_behalf_of=who.on_behalf_of,
    )


async def record_reading(
    session: ReadSession,
    who: Who,
    action: str,
    resource: str,
    resource_id: object,
    *,
    what: Mapping[str, Any],
    request_id: str | None,
) -> None:
    """Write down what somebody is about to read, in a transaction of its own."""
    async with session.database.transaction(correlation_id=request_id) as writing:
        record(writing, who, action, resource, resource_id, after=what)


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Only the fields of `after` that differ, as they were and as they are."""
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}


def _by_reference(values: Mapping[str, Any] | None, personal: frozenset[str]) -> dict[str, Any] | None:
    if values is None:
        return None
    return {name: _reference(value) if name in personal else value for name, value in values.items()}


def _reference(value: Any) -> Any:
    # No fingerprint either: phone numbers are few enough to be found from their hashes.
    return None if value is None else {"personal": True}
