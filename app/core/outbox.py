"""Announced facts, kept in the transaction that made them true; webhooks and the event feed read here."""

from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    FromClause,
    Index,
    Insert,
    Table,
    Text,
    bindparam,
    cast,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import JSONB

from app.core.db import WriteSession, metadata
from app.core.ids import counting_on
from app.core.retention import Retained

AT_LEAST_KEPT = timedelta(days=30)
"""Whoever pulls the feed, or has a webhook that was paused, comes back within weeks."""

outbox_event = Table(
    "outbox_event",
    metadata,
    Column("id", UuidType, primary_key=True, server_default=func.uuidv7()),
    Column("name", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("correlation_id", Text),
    Column(
        "transaction_id",
        BigInteger,
        nullable=False,
        server_default=text("pg_current_xact_id()::text::bigint"),
        comment="of the transaction that announced it: the order in which events are read",
    ),
    Index("ix_outbox_event_transaction_id_id", "transaction_id", "id"),
)


def storing(
    name: str | ColumnElement[Any], payload: ColumnElement[Any], source: FromClause, *, when: ColumnElement[bool]
) -> Insert:
    """The statement that keeps one event for each row of `source` for which `when` holds."""
    called = literal(name, Text) if isinstance(name, str) else name
    event_id = counting_on(func.row_number().over())
    rows = select(event_id, called, payload, bindparam("correlation_id", type_=Text)).select_from(source).where(when)
    return insert(outbox_event).from_select(["id", "name", "payload", "correlation_id"], rows)


def store(session: WriteSession, name: str, payload: dict[str, Any]) -> None:
    """Keep one event, to be written just before the commit."""
    session.write_behind(outbox_event, name=name, payload=payload, correlation_id=session.correlation_id)


async def adopt(session: WriteSession) -> int:
    """Number the events of a database that was restored from another server's below all that this one will store.

    Their order stays. By how much their numbers became less; 0 where all events are this server's own, which is told
    by one look into an index. To be called before the first event is stored here.
    """
    number = outbox_event.c.transaction_id
    foreign = select(func.max(number) - oldest_number() + 1).where(number >= next_number())
    excess: int | None = await session.scalar(foreign)
    if excess is not None:
        await session.execute(update(outbox_event).values({number: number - excess}))
    return excess or 0


def oldest_number() -> ColumnElement[int]:
    """Of the oldest transaction that is under way."""
    return _number(func.pg_snapshot_xmin(func.pg_current_snapshot()))


def next_number() -> ColumnElement[int]:
    """Of the transaction that comes next on this server."""
    return _number(func.pg_snapshot_xmax(func.pg_current_snapshot()))


def _number(transaction: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(cast(transaction, Text), BigInteger)


RETAINED = [Retained("events", "Events of the feed", outbox_event, outbox_event.c.at, at_least=AT_LEAST_KEPT.days)]
