"""A worker that is a process of its own can be watched: whether it lives, and what became of its jobs."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
import pytest

from app.core import jobs
from app.core.db import Database
from app.core.monitoring.endpoint import endpoint
from app.core.settings import get_settings

WORKER = [sys.executable, "-c", "from app.cli import main; main()", "worker"]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def working(url: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STRATA_")}
    own = {"STRATA_DATABASE_URL": url, "STRATA_WORKER_PORT": str(port), "STRATA_LOG_LEVEL": "ERROR"}
    process = subprocess.Popen(WORKER, env=kept | own)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def until(client: httpx.AsyncClient, path: str, wanted: str) -> str:
    """The answer, once it holds what is wanted."""
    text = ""
    for _ in range(600):
        try:
            text = (await client.get(path)).text
        except httpx.TransportError:
            text = "nobody answers"
        if wanted in text:
            return text
        await asyncio.sleep(0.1)
    pytest.fail(f"in a minute {path} never held {wanted!r}; the last answer:\n{text}")


@pytest.mark.slow
async def test_a_worker_says_that_it_lives_and_what_became_of_its_jobs(url: str) -> None:
    database = await Database.connect(url, get_settings())
    async with database.transaction() as session:
        await jobs.enqueue(session, "jobs.forget", {})
    await database.close()
    port = free_port()
    watcher = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5)
    with working(url, port) as process:
        async with watcher as client:
            await _watch(client)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


async def _watch(client: httpx.AsyncClient) -> None:
    await until(client, "/healthz", '{"status":"alive"}')
    counted = await until(client, "/metrics", 'strata_job_seconds_count{name="jobs.forget",outcome="done"} 1.0')
    assert "strata_events_total" in counted, "it is the registry of the API"
    assert (await client.get("/nothing")).status_code == 404
    assert (await client.post("/healthz")).status_code == 405
    assert (await client.head("/healthz")).status_code == 200


async def test_who_sends_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.monitoring.endpoint.PATIENCE", 0.1)
    port = free_port()
    async with endpoint("127.0.0.1", port, alive=lambda: True):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()


async def test_a_worker_that_has_ended_is_not_alive() -> None:
    port, lives = free_port(), True
    async with endpoint("127.0.0.1", port, alive=lambda: lives), httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
        lives = False
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 503
