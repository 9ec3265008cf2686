"""The background process: runs jobs and schedules on connections of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app import features
from app.core.db import Database
from app.core.invalidation import Listener
from app.core.monitoring.endpoint import endpoint
from app.core.settings import Settings
from app.core.tracing import exporting
from app.core.workers import Worker

STOP_SECONDS = 15


@asynccontextmanager
async def background_worker(url: str, settings: Settings, *, enabled: bool = True) -> AsyncIterator[Callable[[], bool]]:
    """Run a worker for the length of the block; at its end what runs is left at its next checkpoint.

    Gives what tells whether it still works.
    """
    if not enabled:
        yield lambda: False
        return
    size = settings.job_concurrency * 2 + settings.recalculation_lanes + 4
    database = await Database.connect(url, settings, size=size, statement_timeout=0, application="strata-worker")
    worker = Worker(
        database,
        features.JOBS,
        features.SCHEDULES,
        concurrency=settings.job_concurrency,
        longest=settings.job_longest,
        dead_letters=features.DEAD_LETTERS,
        lanes=features.LANES,
    )
    task = asyncio.create_task(worker.run())
    try:
        yield lambda: not task.done()
    finally:
        worker.stop()
        _, late = await asyncio.wait([task], timeout=STOP_SECONDS)
        for each in late:
            each.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await database.close()


async def run(url: str, settings: Settings, stopping: asyncio.Event) -> None:
    """The worker as a process of its own, until `stopping` is set."""
    features.install()
    listener = Listener(url)
    with exporting(settings):
        await listener.start()
        async with (
            background_worker(url, settings) as alive,
            endpoint(settings.worker_host, settings.worker_port, alive=alive),
        ):
            await stopping.wait()
        await listener.stop()
