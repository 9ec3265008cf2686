"""The bench's database: an embedded server, a generated template kept between runs, and a clone to measure on."""

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Any

import asyncpg

from app import features
from app.core import migrations
from app.core.db import Database
from app.core.settings import get_settings
from tests.bench import data
from tests.bench.data import Size
from tests.bench.report import say

RUN = "bench_run"
ADMIN_PASSWORD = "correct-horse-battery"
_GENEROUS = """
SET work_mem = '256MB'; SET maintenance_work_mem = '512MB'; SET synchronous_commit = off;
SET session_replication_role = replica
"""
_CONSTRAINTS = """
SELECT conrelid::regclass::text AS table_name, quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition,
       contype = 'f' AS foreign_key
FROM pg_constraint
WHERE contype IN ('p', 'u') AND conrelid = ANY($1::regclass[])
   OR contype = 'f' AND (conrelid = ANY($1::regclass[]) OR confrelid = ANY($1::regclass[]))
ORDER BY contype
"""
_INDEXES = """
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i
WHERE i.indrelid = ANY($1::regclass[]) AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""


def database_url(server_url: str, name: str) -> str:
    """The address of another database on the server."""
    base, _, options = server_url.partition("?")
    return f"{base.rsplit('/', 1)[0]}/{name}?{options}"


def fresh_run(server_url: str, size: Size) -> str:
    """A clone of the generated database, made first when it is not there or of another version; its URL."""
    mark, template = _mark(size), f"bench_{size.name}"
    if asyncio.run(_comment(server_url, template)) != mark:
        _generate(server_url, size, template)
        asyncio.run(_execute(server_url, f"COMMENT ON DATABASE {template} IS '{mark}'"))
    asyncio.run(
        _execute(
            server_url,
            f"DROP DATABASE IF EXISTS {RUN} WITH (FORCE)",
            f"CREATE DATABASE {RUN} TEMPLATE {template} STRATEGY FILE_COPY",
        )
    )
    return database_url(server_url, RUN)


def drop_run(server_url: str) -> None:
    """Give the clone's room back."""
    asyncio.run(_execute(server_url, f"DROP DATABASE IF EXISTS {RUN} WITH (FORCE)"))


def _mark(size: Size) -> str:
    """What the template is made from: another schema or other data make it anew."""
    digest = hashlib.sha256(repr(size).encode())
    for path in (Path(data.__file__), *sorted((migrations.FOLDER / "versions").glob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


async def _comment(server_url: str, template: str) -> str | None:
    connection = await asyncpg.connect(server_url)
    try:
        found: str | None = await connection.fetchval(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1", template
        )
        return found
    finally:
        await connection.close()


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _generate(server_url: str, size: Size, template: str) -> None:
    say(f"Generating {size.customers:,} customers and {size.purchases:,} purchases, once")
    url = database_url(server_url, template)
    asyncio.run(_execute(server_url, f"DROP DATABASE IF EXISTS {template} WITH (FORCE)", f"CREATE DATABASE {template}"))
    migrations.upgrade(url)
    asyncio.run(_seed(url))
    asyncio.run(_fill(url, size))


async def _seed(url: str) -> None:
    features.install()
    database = await Database.connect(url, get_settings(), size=2)
    async with database.transaction() as session:
        await features.seed(session, admin_password=ADMIN_PASSWORD)
    await database.close()


async def _fill(url: str, size: Size) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_GENEROUS)
        restore = await _without_indexes(connection, data.LOADED)
        await connection.execute(data.FUNCTIONS)
        for name, statement in data.STEPS:
            await _step(connection, name, data.filled(statement, size))
        started = time.perf_counter()
        for statement in restore:
            await connection.execute(statement)
        say(f"  indexes {time.perf_counter() - started:.1f} s")
        for statement in data.DONE:
            await _step(connection, statement.lower(), statement)
    finally:
        await connection.close()


async def _step(connection: Any, name: str, statement: str) -> None:
    started = time.perf_counter()
    await connection.execute(statement)
    say(f"  {name} {time.perf_counter() - started:.1f} s")


async def _without_indexes(connection: Any, tables: list[str]) -> list[str]:
    """Take the tables' keys, foreign keys and indexes away; the statements that make them again."""
    constraints = await connection.fetch(_CONSTRAINTS, tables)
    indexes = await connection.fetch(_INDEXES, tables)
    for row in sorted(constraints, key=lambda row: not row["foreign_key"]):
        await connection.execute(f"ALTER TABLE {row['table_name']} DROP CONSTRAINT {row['name']}")
    for row in indexes:
        await connection.execute(f"DROP INDEX {row['name']}")
    restore = [
        f"ALTER TABLE {row['table_name']} ADD CONSTRAINT {row['name']} {row['definition']}"
        for row in sorted(constraints, key=lambda row: bool(row["foreign_key"]))
    ]
    keys = sum(not row["foreign_key"] for row in constraints)
    return [*restore[:keys], *(row["definition"] for row in indexes), *restore[keys:]]
