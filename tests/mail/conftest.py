"""An installation that sends e-mail to a postbox of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app import features
from app.core.db import Database
from app.core.settings import get_settings
from app.core.workers import Worker
from tests.mail.postbox import Postbox, opened

Send = Callable[[], Awaitable[None]]


@pytest.fixture
async def box(setting: Callable[..., None]) -> AsyncIterator[Postbox]:
    """The server, open and set."""
    async with opened(Postbox()) as made:
        setting(smtp_url=f"smtp://127.0.0.1:{made.port}?tls=off", mail_from="Acme 客服 <service@acme.example>")
        yield made


@pytest.fixture
async def send(url: str, app: FastAPI) -> AsyncIterator[Send]:
    """Have the worker try everything that is queued once, whatever it waits for."""
    database = await Database.connect(url, get_settings(), size=16, statement_timeout=0)

    async def once() -> None:
        async with database.connection() as connection:
            await connection.execute("UPDATE pgqueuer SET execute_after = now() WHERE execute_after > now()")
        worker = Worker(
            database, features.JOBS, [], concurrency=4, dead_letters=features.DEAD_LETTERS, lanes=features.LANES
        )
        waiting = text("SELECT count(*) FROM pgqueuer WHERE status <> 'queued' OR execute_after <= now()")
        if not await database.reading().scalar(waiting):
            return
        running = asyncio.create_task(worker.drain())
        while True:
            if not await database.reading().scalar(waiting):
                break
            await asyncio.sleep(0.02)
        worker.stop()
        await running

    yield once
    await database.close()
