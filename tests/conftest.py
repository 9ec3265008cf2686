"""One PostgreSQL a run, migrated and seeded once; every test gets a clone of that database and an app on it."""

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from app import features
from app.core import clock, logging, migrations
from app.core.db import Database
from app.core.embedded import EmbeddedPostgres
from app.core.jobs import FINISHED, job
from app.core.settings import get_settings
from app.core.workers import Worker
from app.identity import tokens
from app.main import create_app

SECRET = "a secret that only the tests know, long enough"
ADMIN_PASSWORD = "correct-horse-battery"
TEMPLATE = "strata_template"
CASES = "cases"
"""Of a test: how many requests it made up, told when all have ended."""
_URL = "STRATA_TEST_SERVER"
_MEMORY, _ENOUGH = "/dev/shm", 4 * 1024**3
_UNFINISHED = select(func.count()).select_from(job).where(job.c.status.notin_(FINISHED))
_server: EmbeddedPostgres | None = None
_folder: str | None = None


def pytest_configure(config: pytest.Config) -> None:
    """The controller starts the server before its workers; they inherit its address."""
    global _server, _folder
    logging.configure(os.environ.get("STRATA_LOG_LEVEL", "CRITICAL"), pretty=False)
    os.environ.setdefault("STRATA_SECRET_KEY", SECRET)
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    _folder = tempfile.mkdtemp(prefix="strata-tests-", dir=_in_memory())
    Path(_folder).chmod(0o755)  # as root, PostgreSQL runs as somebody else
    fast = {"fsync": "off", "full_page_writes": "off", "max_connections": "300", "synchronous_commit": "off"}
    _server = EmbeddedPostgres(Path(_folder) / "data", settings=fast)
    os.environ[_URL] = _server.start()
    asyncio.run(_statement(os.environ[_URL], f"CREATE DATABASE {TEMPLATE}"))
    template = url_of(TEMPLATE)
    migrations.upgrade(template)
    asyncio.run(_seed(template))


def _in_memory() -> str | None:
    """A folder kept in memory if the machine has one of a fair size: a database is cloned there ten times as fast."""
    return _MEMORY if Path(_MEMORY).is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH else None


def pytest_unconfigure(config: pytest.Config) -> None:
    if _server is not None and _folder is not None:
        _server.stop()
        shutil.rmtree(_folder, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = terminalreporter.stats.get("passed", [])
    cases = sum(value for each in passed for name, value in each.user_properties if name == CASES)
    if cases:
        terminalreporter.write_line(f"{cases:,} requests were made up from the API document")


async def _seed(url: str) -> None:
    features.install()
    database = await Database.connect(url, get_settings())
    async with database.transaction() as session:
        await features.seed(session, admin_password=ADMIN_PASSWORD)
    await database.close()


async def _statement(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def url_of(name: str) -> str:
    """The address of another database on the run's server."""
    base, _, options = os.environ[_URL].partition("?")
    return f"{base.rsplit('/', 1)[0]}/{name}?{options}"


@pytest.fixture(autouse=True)
def _fresh_settings() -> Iterator[None]:
    yield
    get_settings.cache_clear()


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> Callable[[date], None]:
    """Moves the business clock to six in the evening of a day; from there it goes on.

    The hour is not the machine's, so that a test means the same at whatever hour it runs.
    """
    evening, started = timedelta(hours=18), clock.now()

    def move(day: date) -> None:
        monkeypatch.setenv("STRATA_TODAY", day.isoformat())
        get_settings.cache_clear()
        monkeypatch.setattr(clock, "business_now", lambda: clock.start_of_day(day) + evening + (clock.now() - started))

    return move


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets settings by their names: `setting(currency="GBP")`."""

    def put(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"STRATA_{name.upper()}", str(value))
        get_settings.cache_clear()

    return put


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A fresh database of the test's own, migrated and seeded."""
    name = f"t_{uuid.uuid4().hex}"
    await _statement(os.environ[_URL], f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    yield url_of(name)
    await _statement(os.environ[_URL], f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def app(url: str) -> AsyncIterator[FastAPI]:
    """The application on the test's database, without a worker (see `run_jobs`)."""
    application = create_app(url=url, secret=SECRET)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
def database(app: FastAPI) -> Database:
    """The application's own pool."""
    found: Database = app.state.database
    return found


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who is not logged in."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://strata.test") as made:
        yield made


ActAs = Callable[[str], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def act_as(app: FastAPI, database: Database) -> AsyncIterator[ActAs]:
    """A client logged in as a user, without the cost of checking a password."""
    clients: list[httpx.AsyncClient] = []

    async def enter(username: str) -> httpx.AsyncClient:
        async with database.connection() as connection:
            user_id = await connection.fetchval("SELECT id FROM user_account WHERE username = $1", username)
            session_id = await connection.fetchval(
                "INSERT INTO auth_session (user_id, expires_at) VALUES ($1, $2) RETURNING id",
                user_id,
                clock.now() + timedelta(days=1),
            )
        token = tokens.issue_access_token(
            SECRET, user_id=user_id, session_id=session_id, lifetime=timedelta(minutes=15)
        )
        made = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://strata.test",
            headers={"Authorization": f"Bearer {token}"},
        )
        clients.append(made)
        return made

    yield enter
    for each in clients:
        await each.aclose()


@pytest.fixture
async def admin(act_as: ActAs) -> httpx.AsyncClient:
    """The administrator."""
    return await act_as("admin")


MakeUser = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
def make_user(database: Database, act_as: ActAs) -> MakeUser:
    """A logged-in client with a role of exactly these permissions: `make_user({"customers:read": "own"})`."""

    async def make(permissions: dict[str, str], *, unit_id: Any = None) -> httpx.AsyncClient:
        name = f"u{uuid.uuid4().hex[:12]}"
        async with database.transaction() as session:
            unit = unit_id or await session.connection.fetchval("SELECT id FROM org_unit ORDER BY id LIMIT 1")
            user = await session.connection.fetchval(
                "INSERT INTO user_account (username, name, password_hash, unit_id)"
                " VALUES ($1, $1, 'none', $2) RETURNING id",
                name,
                unit,
            )
            role = await session.connection.fetchval(
                "INSERT INTO role (key, title, permissions) VALUES ($1, $1, $2) RETURNING id", name, permissions
            )
            await session.connection.execute("INSERT INTO user_role (user_id, role_id) VALUES ($1, $2)", user, role)
        made = await act_as(name)
        made.headers["X-Test-User"] = str(user)
        return made

    return make


RunJobs = Callable[[], Awaitable[None]]


@pytest.fixture
async def run_jobs(url: str, app: FastAPI) -> AsyncIterator[RunJobs]:
    """Run what is queued, and what that queues, until nothing is left."""
    settings = get_settings()
    database = await Database.connect(url, settings, size=16, statement_timeout=0)

    async def run() -> None:
        while await database.reading().scalar(_UNFINISHED):
            await Worker(database, features.JOBS, [], concurrency=2, dead_letters=features.DEAD_LETTERS).drain()

    yield run
    await database.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the Online Retail file, where the machine has it."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("STRATA_SHARED_DATA", default))
    if not (folder / "online_retail" / "online_retail.csv.gz").exists():
        pytest.skip("the Online Retail file is not on this machine (see STRATA_SHARED_DATA)")
    return folder
