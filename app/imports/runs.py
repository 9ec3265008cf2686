"""One run of an import: its row, its checkpoints, and how it ends.

Every checkpoint names the run. When another worker has taken the import over, or it was cancelled, the
checkpoint finds nothing to write to, and its transaction is rolled back with all it did.
"""

from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from sqlalchemy import delete, func, select, update

from app.core import audit, work
from app.core.db import Database, Record, WriteSession
from app.core.events import publish
from app.core.jobs import progressed
from app.identity.actor import Actor, from_kept
from app.imports import kinds, storage
from app.imports.events import ImportCompleted
from app.imports.kinds import ImportKind, Rejection
from app.imports.models import import_error, imports
from app.imports.plan import Plan


@dataclass(slots=True)
class Run:
    """What a worker knows of the import that it runs."""

    database: Database
    id: UUID
    number: int
    run: int
    job_id: UUID | None
    kind: ImportKind
    plan: Plan
    actor: Actor
    dry_run: bool
    phase: str
    rows_read: int
    staged: int
    correlation_id: str | None

    @classmethod
    async def begin(cls, database: Database, import_id: UUID, *, correlation_id: str | None) -> Self | None:
        """Take the import over; None when it has ended, and then nothing of its file is left."""
        async with database.transaction(correlation_id=correlation_id) as session:
            row = await work.begin(session, imports, import_id, run=imports.c.run + 1)
            if row is None:
                await clean(session, import_id)
                return None
        kind = kinds.find(row["kind"])
        assert kind is not None, f"nobody imports {row['kind']}"
        return cls(
            database,
            row["id"],
            row["number"],
            row["run"],
            row["job_id"],
            kind,
            Plan.from_json(row["plan"]),
            from_kept(row["actor"]),
            row["dry_run"],
            row["phase"],
            row["rows_read"],
            row["staged"],
            correlation_id,
        )

    async def checkpoint(self, session: WriteSession, **values: Any) -> Record:
        """Write down how far the import is, in the transaction that brought it there. Raises `Cancelled`."""
        row = await work.keep(session, imports, self.id, imports.c.run == self.run, **values)
        if self.job_id is not None:
            await progressed(session, self.job_id)
        return row

    async def forgotten(self, session: WriteSession) -> frozenset[str]:
        """The marks of those whose rows are not merged (see `forgetting`)."""
        return frozenset(await session.scalar(select(imports.c.forgotten).where(imports.c.id == self.id)))

    async def reject(self, session: WriteSession, rejections: list[Rejection]) -> None:
        """Keep bad rows for the caller to see; after the checkpoint, since who has taken over has kept them, too."""
        if rejections:
            records = [(self.id, bad.line, bad.field, bad.reason) for bad in rejections]
            await session.copy(import_error, ("import_id", "line", "field", "reason"), records)

    async def start_over(self) -> None:
        """Forget what was read. What was merged stays, and changes nothing when it is merged again."""
        async with self.database.transaction() as session:
            await session.execute(delete(import_error).where(import_error.c.import_id == self.id))
            await self._empty_staging(session)
            zero = dict.fromkeys(("rows_read", "bytes_read", "staged", "accepted", "rejected", "skipped"), 0)
            await self.checkpoint(session, phase="reading", total=None, **zero)
        self.phase, self.rows_read, self.staged = "reading", 0, 0

    async def waiting(self) -> int:
        """How many rows there are in the staging table."""
        staging = self.kind.staging
        query = select(func.count()).select_from(staging).where(staging.c.import_number == self.number)
        return int(await self.database.reading().scalar(query))

    async def complete(self) -> None:
        """Everything is in: say so, and let the file go."""
        async with self.database.transaction(correlation_id=self.correlation_id) as session:
            await self.checkpoint(session, status="completed", finished_at=func.now())
            row = await self._end(session, "import.completed")
            if not self.dry_run:
                await publish(session, ImportCompleted(self.id, self.kind.name, row["accepted"], row["changed"]))

    async def fail(self, error: str) -> None:
        """The file cannot be imported: say why, and let it go."""
        async with self.database.transaction(correlation_id=self.correlation_id) as session:
            await self.checkpoint(session, status="failed", error=error, finished_at=func.now())
            await self._end(session, "import.failed")

    async def _end(self, session: WriteSession, action: str) -> Record:
        await clean(session, self.id)
        i = imports.c
        counts = (i.accepted, i.rejected, i.skipped, i.customers_created, i.changed, i.error)
        row = await session.first(select(*counts).where(i.id == self.id))
        assert row is not None
        audit.record(session, self.actor, action, "import", self.id, after=dict(row))
        return row

    async def _empty_staging(self, session: WriteSession) -> None:
        staging = self.kind.staging
        await session.execute(delete(staging).where(staging.c.import_number == self.number))


async def clean(session: WriteSession, import_id: UUID) -> None:
    """Delete the file and the staged rows of an import that has ended."""
    row = await session.first(select(imports.c.number, imports.c.kind).where(imports.c.id == import_id))
    if row is None:
        return
    await storage.forget(session, import_id)
    await session.execute(update(imports).where(imports.c.id == import_id).values(forgotten=[]))
    if (kind := kinds.find(row["kind"])) is not None:
        await session.execute(delete(kind.staging).where(kind.staging.c.import_number == row["number"]))


async def clean_if_ended(database: Database, import_id: UUID) -> None:
    """Clean up after an import that was cancelled while it ran; leave one that another worker runs."""
    async with database.transaction() as session:
        if await session.scalar(select(imports.c.id).where(imports.c.id == import_id, ~work.under_way(imports))):
            await clean(session, import_id)


async def give_up(session: WriteSession, import_id: UUID, reason: str) -> None:
    """The job of an import is dead: say so, and let the file go. What was merged stays."""
    if await work.end(session, imports, import_id, "failed", error=f"The import was given up: {reason}"):
        await clean(session, import_id)
