"""Seals what was audited, behind the writers' backs: nobody who writes an event waits for a seal.

Each seal names its events, so that an event that was committed late is only found later and never lost. Looking for it
takes no column of its own: ids are made in order of time, and no transaction makes an id older than its own beginning.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import BigInteger, DateTime, LargeBinary, any_, func, insert, literal, select, text
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.audit import audit_event
from app.core.bounds import EARLIEST
from app.core.db import Database, Record
from app.core.jobs import Interrupted, JobContext, alone
from app.governance import hashes
from app.governance.models import audit_seal

BATCH = 5_000
MARGIN = timedelta(minutes=10)
"""By how much a clock may be put back without events being passed over."""

_LOCK = 7_200_441
_SETTLED = text(
    "SELECT least(now(), min(xact_start)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
log = structlog.get_logger(__name__)
_s, _e = audit_seal.c, audit_event.c


@dataclass(frozen=True, slots=True)
class _Run:
    """From where this run looks for events: behind `looked`, for what the seals up to `sequence` do not hold."""

    sequence: int
    looked: datetime

    @property
    def since(self) -> datetime:
        return max(self.looked - MARGIN, EARLIEST)

    @property
    def lowest_id(self) -> UUID:
        """The least id that a transaction can have made since."""
        milliseconds = int(self.since.timestamp() * 1000)
        return UUID(int=max(milliseconds, 0) << 80)


async def seal(context: JobContext) -> None:
    """Put every committed event that has no seal under one."""
    async with alone(context, _LOCK):
        await seal_all(context.database, until=context.stopping.is_set)


async def seal_all(database: Database, *, until: Callable[[], bool] = lambda: False) -> int:
    """The number of events that were sealed. The caller is alone; raises `Interrupted` between two batches."""
    reading = database.reading()
    # Asked first: whatever was committed before is seen by the statements after it, the rest is not settled.
    settled = await reading.scalar(_SETTLED)
    last = await reading.first(select(_s.sequence, _s.settled, _s.hash).order_by(_s.sequence.desc()).limit(1))
    run = _Run(last["sequence"], last["settled"]) if last else _Run(0, EARLIEST)
    sealed, sequence, previous, after = 0, run.sequence, last["hash"] if last else hashes.FIRST, None
    while ids := await _unsealed(database, run, after):
        if until():
            raise Interrupted
        sequence += 1
        # Only the last batch has seen everything: until then the next run would have to look from where this one did.
        looked = settled if len(ids) < BATCH else run.looked
        previous = await _put(database, sequence, ids, looked, previous)
        sealed, after = sealed + len(ids), ids[-1]
    return sealed


async def _unsealed(database: Database, run: _Run, after: UUID | None) -> list[UUID]:
    named = select(func.unnest(_s.events).label("id")).where(_s.at >= run.since, _s.sequence <= run.sequence)
    sealed = named.subquery()
    found = (
        select(_e.id)
        .where(_e.id >= run.lowest_id if after is None else _e.id > after)
        .where(~select(sealed.c.id).where(sealed.c.id == _e.id).exists())
        .order_by(_e.id)
        .limit(BATCH)
    )
    rows: list[Record] = await database.reading().all(found)
    return [row["id"] for row in rows]


async def _put(database: Database, sequence: int, ids: list[UUID], settled: datetime, previous: bytes) -> bytes:
    events = literal(ids, ARRAY(UuidType))
    number, before = literal(sequence, BigInteger), literal(previous, LargeBinary)
    looked = literal(settled.astimezone(UTC), DateTime(timezone=True))
    content = hashes.of_events(_e.id == any_(events))
    made = select(
        number, func.now(), looked, events, before, hashes.of_seal(number, func.now(), looked, before, content)
    )
    columns = ["sequence", "at", "settled", "events", "previous", "hash"]
    async with database.transaction() as session:
        hashed: bytes = await session.scalar(insert(audit_seal).from_select(columns, made).returning(_s.hash))
    # Whoever keeps the log keeps a copy of the chain's end that nobody can change in the database.
    log.info("audit.sealed", seal=sequence, events=len(ids), hash=hashed.hex())
    return hashed
