"""One application for all tests of a module, where they only read or each has rows of its own."""

import asyncio
import json
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID

import asyncpg
import pytest
from fastapi import FastAPI

from app import features
from app.core import clock
from app.core.db import Database, metadata
from app.core.http.server import server
from app.core.jobs import FINISHED
from app.core.settings import get_settings
from app.core.workers import Worker
from app.identity import passwords, tokens
from app.main import create_app
from tests.conftest import SECRET, TEMPLATE, url_of


@dataclass(frozen=True, slots=True)
class Answer:
    """What the application sent back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Service:
    """The application, called as a server calls it: with bytes, whatever they are."""

    app: FastAPI
    url: str
    database: Database
    unit_id: UUID
    tokens: dict[str, str] = field(default_factory=dict)

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: str | bytes = b"",
        token: str | None = None,
        content: bytes | None = None,
        body: Any = None,
        headers: Mapping[str, str | bytes] | None = None,
    ) -> Answer:
        """One request. `path` and `query` are sent as they are; `body` is sent as JSON."""
        sent = [(b"host", b"strata.test")]
        if token is not None:
            sent.append((b"authorization", f"Bearer {token}".encode()))
        if body is not None:
            content = json.dumps(body).encode()
            sent.append((b"content-type", b"application/json"))
        for name, value in (headers or {}).items():
            sent.append((name.lower().encode(), value if isinstance(value, bytes) else value.encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),  # as uvicorn does it
            "raw_path": path.encode(),
            "query_string": query if isinstance(query, bytes) else query.encode(),
            "headers": sent,
            "client": ("192.0.2.1", 4711),
            "server": ("strata.test", 80),
            "root_path": "",
            "state": {},
        }
        return await _exchange(self.app, scope, content or b"")

    async def get(self, path: str, token: str | None = None, **query: str) -> Answer:
        return await self.send("GET", path, token=token, query="&".join(f"{n}={quote(v)}" for n, v in query.items()))

    async def user(self, permissions: dict[str, str], *, unit_id: UUID | None = None) -> tuple[UUID, str]:
        """A user with a role of exactly these permissions: its id and an access token."""
        name = f"u{uuid.uuid4().hex[:12]}"
        async with self.database.connection() as connection:
            user_id: UUID = await connection.fetchval(
                "INSERT INTO user_account (username, name, password_hash, unit_id)"
                " VALUES ($1, $1, $3, $2) RETURNING id",
                name,
                unit_id or self.unit_id,
                passwords.nobodys_hash(),
            )
            role = await connection.fetchval(
                "INSERT INTO role (key, title, permissions) VALUES ($1, $1, $2) RETURNING id", name, permissions
            )
            await connection.execute("INSERT INTO user_role (user_id, role_id) VALUES ($1, $2)", user_id, role)
        return user_id, await self.token(name)

    async def colleague(self, role: str, *, unit_id: UUID | None = None) -> tuple[UUID, str]:
        """A user with a role that is there already, such as a preset one: its id and name."""
        user_id, _ = await self.user({}, unit_id=unit_id)
        await self.fetch(
            "UPDATE user_role SET role_id = r.id FROM role r WHERE user_id = $1 AND r.key = $2", user_id, role
        )
        return user_id, await self.value("SELECT username FROM user_account WHERE id = $1", user_id)

    async def token(self, username: str, lifetime: timedelta = timedelta(minutes=15)) -> str:
        """An access token of a new session."""
        async with self.database.connection() as connection:
            user_id = await connection.fetchval("SELECT id FROM user_account WHERE username = $1", username)
            session_id = await connection.fetchval(
                "INSERT INTO auth_session (user_id, expires_at) VALUES ($1, $2) RETURNING id",
                user_id,
                clock.now() + timedelta(days=1),
            )
        return tokens.issue_access_token(SECRET, user_id=user_id, session_id=session_id, lifetime=lifetime)

    async def digest(self, *, but: Iterable[str] = ()) -> str:
        """A fingerprint of every row of every table."""
        await self.app.state.readings.flush()  # what was read before is no change of what comes now
        parts = " UNION ALL ".join(
            f"SELECT '{name}', count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM \"{name}\" t"
            for name in sorted(set(metadata.tables) - set(but))
        )
        return str(await self.fetch(f"{parts} ORDER BY 1"))  # branches run in parallel arrive in any order

    async def run_jobs(self) -> None:
        """Run what is queued, and what that queues."""
        worker_database = await Database.connect(self.url, get_settings(), size=16, statement_timeout=0)
        unfinished = "SELECT count(*) FROM job WHERE status <> ALL ($1)"
        while await self.value(unfinished, list(FINISHED)):
            await Worker(worker_database, features.JOBS, [], concurrency=2).drain()
        await worker_database.close()

    async def fetch(self, statement: str, *values: Any) -> list[Any]:
        async with self.database.connection() as connection:
            rows: list[Any] = await connection.fetch(statement, *values)
        return rows

    async def value(self, statement: str, *values: Any) -> Any:
        async with self.database.connection() as connection:
            return await connection.fetchval(statement, *values)


@asynccontextmanager
async def service() -> AsyncIterator[Service]:
    """A fresh database and the application on it; `tokens["admin"]` is the administrator's."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(_fresh_database())
        app = create_app(url=url, secret=SECRET)
        await stack.enter_async_context(app.router.lifespan_context(app))
        database: Database = app.state.database
        made = Service(app, url, database, uuid.uuid4())
        made.unit_id = await made.value("SELECT id FROM org_unit ORDER BY id LIMIT 1")
        made.tokens["admin"] = await made.token("admin")
        yield made


@asynccontextmanager
async def _fresh_database() -> AsyncIterator[str]:
    name = f"t_{uuid.uuid4().hex}"
    postgres = await asyncpg.connect(url_of("postgres"))
    try:
        await postgres.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        yield url_of(name)
        await postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await postgres.close()


@contextmanager
def busy_customers() -> Iterator[None]:
    """One customer may do all that customers can, as often as a test likes."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STRATA_SELF_SERVICE_PER_MINUTE", "1000")
        get_settings.cache_clear()
        yield
    get_settings.cache_clear()


@contextmanager
def sync_database() -> Iterator[str]:
    """A fresh database for a server in a thread of its own."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        yield runner.run(stack.enter_async_context(_fresh_database()))
        runner.run(stack.aclose())


@contextmanager
def listening(app: FastAPI, **limits: Any) -> Iterator[str]:
    """The application behind a real server in a thread of its own; its address."""
    running = server(app, host="127.0.0.1", port=0, **limits)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(timeout=10)


async def _exchange(app: FastAPI, scope: dict[str, Any], content: bytes) -> Answer:
    messages = [{"type": "http.request", "body": content, "more_body": False}]
    status, headers, body = 0, {}, bytearray()

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()  # nobody hangs up before the answer is there
        return messages.pop()

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            headers.update({name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]})
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, headers, bytes(body))
