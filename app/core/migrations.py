"""The schema's revision: move to it, compare with it, refuse to serve on another."""

import io
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.core.db import driver_url

FOLDER = Path(__file__).resolve().parents[2] / "migrations"


def _config(url: str | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    if url is not None:
        config.attributes["url"] = driver_url(url).replace("postgresql://", "postgresql+asyncpg://", 1)
    return config


@cache
def head() -> str:
    """The revision this code was written for; read from the scripts once."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


async def current(connection: asyncpg.Connection) -> str | None:
    """The database's revision; None on an empty one."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate forward. Blocking: alembic runs its own event loop."""
    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Migrate back; for tests and development."""
    command.downgrade(_config(url), revision)


def check(url: str) -> None:
    """Raises when the models differ from the migrations."""
    command.check(_config(url))


def sql() -> str:
    """All migrations as SQL, for a linter to read."""
    out = io.StringIO()
    config = _config()
    config.output_buffer = out
    with redirect_stdout(io.StringIO()):
        command.upgrade(config, "head", sql=True)
    return out.getvalue()
