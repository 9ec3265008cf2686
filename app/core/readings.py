"""Who read what is personal: noted in memory, written into the audit every second.

A reading that waited for its own row would take twice as long. What a killed process loses is its last second: who
asked for what kind of thing is in the log of requests all the same. A process that is stopped writes what it noted, and
one whose database is away keeps it. When too much waits, nothing more is shown: there is no reading without a record.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog

from app.core import clock
from app.core.audit import Who, audit_event
from app.core.db import Database
from app.core.errors import Unavailable

EVERY = 1.0
"""Seconds."""
MOST = 100_000
COLUMNS = ("at", "actor_kind", "actor_id", "action", "resource", "resource_id", "after", "request_id", "on_behalf_of")

log = structlog.get_logger(__name__)


class Readings:
    """What one process has shown and not yet written down."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[datetime, str, Any, str, str, str, Mapping[str, Any], str | None, Any]] = []
        self._stopping = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def note(
        self, who: Who, action: str, resource: str, resource_id: object, what: Mapping[str, Any], request_id: str | None
    ) -> None:
        """Write down soon that this was read. Raises `Unavailable` when too much waits to be written."""
        if len(self._waiting) >= MOST:
            raise Unavailable("What is read cannot be written down at present; try again in a moment")
        self._waiting.append(
            (clock.now(), who.kind, who.id, action, resource, str(resource_id), what, request_id, who.on_behalf_of)
        )

    def start(self) -> None:
        self._task = asyncio.create_task(self._write())

    async def stop(self) -> None:
        """Write what waits, then no more."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def flush(self) -> None:
        """Write what waits; it goes on waiting when it cannot be written."""
        async with self._writing:
            noted, self._waiting = self._waiting, []
            if not noted:
                return
            try:
                async with self._database.transaction() as session:
                    await session.copy(audit_event, COLUMNS, noted)
            except BaseException:
                self._waiting[:0] = noted
                raise

    async def _write(self) -> None:
        while not self._stopping.is_set():
            try:
                await asyncio.wait_for(self._stopping.wait(), EVERY)
            except TimeoutError:
                await self._try()
        await self._try()
        if self._waiting:
            log.error("readings.lost", readings=len(self._waiting))

    async def _try(self) -> None:
        try:
            await self.flush()
        except Exception as error:  # whatever it is: who gave up here would forget what everybody reads from now on
            log.warning("readings.kept", readings=len(self._waiting), error=type(error).__name__)
