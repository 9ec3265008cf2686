"""One worker at a time looks after all webhooks: each has a few connections of its own and waits for no other."""

import asyncio
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from uuid import UUID

import httpx
import structlog

from app.core.db import Connection, Database
from app.core.jobs import JobContext
from app.webhooks import deliveries, keys, sending

log = structlog.get_logger(__name__)

PER_ENDPOINT = 4
WHILE_FAILING = 1
POLL = 1.0
WATCHED = 55.0
PATIENCE = 5.0
"""Seconds after which whoever dispatches already has seen what this job was enqueued for."""
_LOCK = 0x5354_5241_5441_0101


async def dispatch(context: JobContext) -> None:
    """Take and send until nothing is due."""
    await _dispatch(context, seconds=0, patience=PATIENCE)


async def watch(context: JobContext) -> None:
    """Take and send what there is, each second, until the next run takes over."""
    if await deliveries.is_anything_open(context.database):
        await _dispatch(context, seconds=WATCHED, patience=0)


async def _dispatch(context: JobContext, *, seconds: float, patience: float) -> None:
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(context.database.connection())
        if not await _take_over(connection, context.stopping, patience=patience):
            return
        stack.push_async_callback(connection.execute, "SELECT pg_advisory_unlock($1)", _LOCK)
        await keys.lock_open_ones(context.database)
        client = await stack.enter_async_context(sending.new_client())
        await Dispatcher(context.database, client).run(context.stopping, seconds)


async def _take_over(connection: Connection, stopping: asyncio.Event, *, patience: float) -> bool:
    until = time.monotonic() + patience
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        if time.monotonic() >= until or stopping.is_set():
            return False
        await asyncio.sleep(0.2)
    return True


class Dispatcher:
    """What is under way to each endpoint."""

    def __init__(self, database: Database, client: httpx.AsyncClient) -> None:
        self._database = database
        self._client = client
        self._under_way: dict[UUID, set[asyncio.Task[None]]] = defaultdict(set)

    async def run(self, stopping: asyncio.Event, seconds: float) -> None:
        """Until the time is over and nothing is left, or the worker stops; what is under way is waited for."""
        until = time.monotonic() + seconds
        try:
            while not stopping.is_set():
                progressed = bool(await deliveries.fan_out(self._database)) | bool(await self._start())
                tasks = self._tasks()
                if seconds and time.monotonic() >= until:
                    break
                if not (progressed or tasks or seconds):
                    break
                if tasks:
                    await asyncio.wait(tasks, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
                elif not progressed:
                    await asyncio.sleep(POLL)
        finally:
            await asyncio.gather(*self._tasks())

    def _tasks(self) -> set[asyncio.Task[None]]:
        return set().union(*self._under_way.values())

    async def _start(self) -> int:
        """Begin what is due, as far as each endpoint has room."""
        started = 0
        for row in await deliveries.due(self._database):
            under_way = self._under_way[row["id"]]
            room = (WHILE_FAILING if row["failing_since"] else PER_ENDPOINT) - len(under_way)
            if room <= 0:
                continue
            for attempt in await deliveries.claim(self._database, row, room):
                task = asyncio.create_task(self._carry_out(attempt))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                started += 1
        return started

    async def _carry_out(self, attempt: deliveries.Attempt) -> None:
        """One delivery; what goes wrong with it here is made good when its lease is over, and stops no other."""
        try:
            await deliveries.carry_out(self._database, self._client, attempt)
        except Exception as error:
            log.error("webhook.attempt_lost", delivery_id=str(attempt.delivery["id"]), exc_info=error)
