"""Events in an order in which none ever appears behind a place that was given out.

An event is stored before its transaction commits, and transactions commit in another order than they began. So events
are read by the number of their transaction, and only those of numbers below every transaction that is still under way:
whatever commits later stands further on (decision 012).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    any_,
    func,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import Tuple

from app.core import outbox
from app.core.db import ReadSession, Record, WriteSession
from app.core.outbox import outbox_event
from app.core.pagination import InvalidCursor
from app.webhooks.models import webhook
from app.webhooks.rules import like_patterns

SCANNED = 5000
"""How many events one reading looks at, whether they are wanted or not."""


class Position(NamedTuple):
    """The place of an event: its transaction, and its id within that."""

    transaction_id: int
    event_id: UUID


START = Position(-(2**62), UUID(int=0))
"""Before every event: those that came with a restored database have negative numbers."""

_place = tuple_(outbox_event.c.transaction_id, outbox_event.c.id)
_backwards = (outbox_event.c.transaction_id.desc(), outbox_event.c.id.desc())


@dataclass(frozen=True, slots=True)
class Reading:
    """Events after a place, the place to go on from, and whether there may be more behind it already."""

    events: list[Record]
    end: Position
    more: bool


async def read(session: ReadSession, after: Position, patterns: Iterable[str], *, limit: int) -> Reading:
    """Wanted events after a place, oldest first; of unwanted ones it passes over `SCANNED` at a time.

    Raises `InvalidCursor` for a place that this server cannot have given out.
    """
    scanned = await session.first(_end_of_scan(after))
    if scanned is None:
        if await session.scalar(select(literal(after.transaction_id, BigInteger) >= outbox.next_number())):
            raise InvalidCursor
        return Reading([], after, more=False)
    end = Position(scanned["transaction_id"], scanned["id"])
    wanted = select(outbox_event).where(_place > at(after), _place <= at(end))
    if (names := like_patterns(patterns)) is not None:
        wanted = wanted.where(outbox_event.c.name.like(any_(literal(names, ARRAY(Text)))))
    wanted = wanted.order_by(outbox_event.c.transaction_id, outbox_event.c.id).limit(limit + 1)
    rows = await session.all(wanted)
    if len(rows) > limit:
        last = rows[limit - 1]
        return Reading(rows[:limit], Position(last["transaction_id"], last["id"]), more=True)
    return Reading(rows, end, more=scanned["events"] == SCANNED)


async def latest(session: ReadSession) -> Position:
    """The place behind everything that can be read now."""
    row = await session.first(
        select(outbox_event.c.transaction_id, outbox_event.c.id).where(settled()).order_by(*_backwards).limit(1)
    )
    return START if row is None else Position(row["transaction_id"], row["id"])


def settled() -> ColumnElement[bool]:
    """Events of transactions below every one that is under way: nothing comes before them any more."""
    return outbox_event.c.transaction_id < outbox.oldest_number()


def to_come() -> ColumnElement[bool]:
    """Events of transactions that this server has not had yet: they are another server's."""
    return outbox_event.c.transaction_id >= outbox.next_number()


async def adopt(session: WriteSession) -> None:
    """In a database that was restored from another server's, have each webhook go on from its place.

    To be called before the first event is announced here; changes nothing where all events are this server's own.
    """
    if moved := await outbox.adopt(session):
        place = webhook.c.after_transaction_id
        await session.execute(update(webhook).where(place > START.transaction_id).values({place: place - moved}))


def at(position: Position) -> Tuple:
    """The place in a statement."""
    return tuple_(literal(position.transaction_id, BigInteger), literal(position.event_id, UuidType))


def _end_of_scan(after: Position) -> Select[Any]:
    """The last of the next `SCANNED` events, and how many they are."""
    columns = (outbox_event.c.transaction_id, outbox_event.c.id)
    window = select(*columns).where(_place > at(after), settled()).order_by(*columns).limit(SCANNED).subquery()
    return (
        select(window.c.transaction_id, window.c.id, func.count().over().label("events"))
        .order_by(window.c.transaction_id.desc(), window.c.id.desc())
        .limit(1)
    )
