"""The schema's revision: move to it, compare with it, refuse to serve on another.

Alembic is imported by the functions that migrate: most starts find the schema up to date, and its import,
with the template engine that it brings, would be a tenth of theirs.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from app.core.db import driver_url

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).resolve().parents[2] / "migrations"
LOCK_TIMEOUT = "5s"
"""How long a migration waits for a lock, and so everybody who comes after it."""
APPLICATION = "strata-migrate"
"""By which PostgreSQL knows the connection of a migration."""


def _config(url: str | None = None) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    if url is not None:
        config.attributes["url"] = driver_url(url).replace("postgresql://", "postgresql+asyncpg://", 1)
    return config


@cache
def head() -> str:
    """The revision this code was written for: the one that no other script follows."""
    scripts = "".join(path.read_text("utf-8") for path in (FOLDER / "versions").glob("*.py"))
    revisions: list[tuple[str, str]] = re.findall(r"^(revision|down_revision) = ['\"](.+)['\"]$", scripts, re.MULTILINE)
    followed = {name for what, name in revisions if what == "down_revision"}
    (last,) = {name for _, name in revisions} - followed
    return last


async def current(connection: asyncpg.Connection) -> str | None:
    """The database's revision; None on an empty one."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate forward. Blocking: alembic runs its own event loop."""
    from alembic import command

    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Migrate back; for tests and development."""
    from alembic import command

    command.downgrade(_config(url), revision)


def check(url: str) -> None:
    """Raises when the models differ from the migrations."""
    from alembic import command

    command.check(_config(url))


@contextmanager
def concurrently(*made: str) -> Iterator[None]:
    """In a migration: outside of its transaction, to create and drop indexes CONCURRENTLY; `made` are those it creates.

    Such a statement waits for all transactions under way while nobody waits for it: the limit of locks would only break
    it off. Whatever broke it off has left an index that is not valid: it is dropped first, to be made again.
    """
    from alembic import op

    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for index in made:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")
        yield
        op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")


def sql() -> str:
    """All migrations as SQL, for a linter to read."""
    from alembic import command

    out = io.StringIO()
    config = _config()
    config.output_buffer = out
    with redirect_stdout(io.StringIO()):
        command.upgrade(config, "head", sql=True)
    return out.getvalue()
