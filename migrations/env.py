"""Alembic's entry: forward in production, up and down in tests; never waits long for a lock."""

import asyncio
import time
from typing import Any

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.migrations import APPLICATION, LOCK_TIMEOUT
from app.features import metadata

_ONE_AT_A_TIME = 0x57A7B
"""Advisory lock of the database: of several processes that start at once, one migrates and the others wait."""
# pgqueuer owns its tables and alters them itself; its revision here only installs them.
FOREIGN = ("pgqueuer",)


# Indexes of custom fields are made by a job, when somebody asks for them.
ASKED_FOR = "ix_customer_custom_"


def _ours(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    if kind == "index" and (name or "").startswith(ASKED_FOR):
        return False
    return not (kind == "table" and (name or "").startswith(FOREIGN))


def _alone(connection: Connection) -> None:
    # Asked again and again, not waited for: whoever waits has a snapshot, which CREATE INDEX CONCURRENTLY waits for.
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _ONE_AT_A_TIME}):
        connection.rollback()
        time.sleep(0.2)


def _run(connection: Connection) -> None:
    _alone(connection)
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text("SET statement_timeout = 0"))
    connection.commit()
    context.configure(connection=connection, target_metadata=metadata, include_object=_ours, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


async def _online(url: str) -> None:
    engine = create_async_engine(url, connect_args={"server_settings": {"application_name": APPLICATION}})
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run)
    finally:
        await engine.dispose()  # whoever failed lets go of the lock, too


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
        context.execute("SET statement_timeout = 0")
        context.run_migrations()
else:
    asyncio.run(_online(context.config.attributes["url"]))
