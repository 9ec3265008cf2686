"""Caches that are dropped the moment their truth changes, in every process.

The writer sends NOTIFY with its commit; every process listens on one connection of its own. While that
connection is down nothing is cached at all, so a revoked token never outlives its revocation.
"""

import asyncio
from typing import Any, Generic, TypeVar

import asyncpg
import structlog
from sqlalchemy import func, select

from app.core.db import WriteSession, driver_url

CHANNEL = "strata_changed"
log = structlog.get_logger(__name__)


async def announce(session: WriteSession, topic: str) -> None:
    """Tell every process, at commit, that what it cached of this topic is no longer true."""
    await session.execute(select(func.pg_notify(CHANNEL, topic)))
    session.after_commit.append(lambda: _drop(topic))


_caches: dict[str, list["Cache[Any]"]] = {}
_listening = False


def _drop(topic: str) -> None:
    for cache in _caches.get(topic, []):
        cache.clear()


Value = TypeVar("Value")


class Cache(Generic[Value]):
    """What one process remembers of a topic, bounded; empty whenever the process cannot hear of changes."""

    def __init__(self, topic: str, *, size: int = 10_000) -> None:
        self._values: dict[Any, Value] = {}
        self._size = size
        self.generation = 0
        _caches.setdefault(topic, []).append(self)

    def get(self, key: Any) -> Value | None:
        return self._values.get(key)

    def put(self, key: Any, value: Value, *, generation: int) -> None:
        """Remember, unless something changed since `generation` was read (before the value was loaded)."""
        if not _listening or generation != self.generation:
            return
        if len(self._values) >= self._size:
            self._values.pop(next(iter(self._values)))
        self._values[key] = value

    def clear(self) -> None:
        self.generation += 1
        self._values.clear()


class Listener:
    """Hears the changes of other processes for as long as this one runs."""

    def __init__(self, url: str) -> None:
        self._url = driver_url(url)
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._listen())
        await asyncio.wait_for(self._ready.wait(), timeout=10)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        delay = 0.1
        while True:
            try:
                await self._hear()
                delay = 0.1
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                log.warning("invalidation.away", error=type(error).__name__)
            finally:
                self._deaf()
            await asyncio.sleep(delay)
            delay = min(delay * 2, 2.0)

    async def _hear(self) -> None:
        connection = await asyncpg.connect(self._url, timeout=5, server_settings={"application_name": "strata-listen"})
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, lambda _c, _p, _ch, topic: _drop(str(topic)))
            global _listening
            _listening = True
            self._ready.set()
            while not lost.is_set():
                try:
                    await asyncio.wait_for(lost.wait(), timeout=5)
                except TimeoutError:
                    # A silent network would let a dead connection look alive.
                    await connection.execute("SELECT 1", timeout=2)
        finally:
            connection.terminate()

    @staticmethod
    def _deaf() -> None:
        global _listening
        _listening = False
        for caches in _caches.values():
            for cache in caches:
                cache.clear()
