"""The horizon of the feed is the whole server's: the tests that run beside this one have transactions of their own."""

import asyncio

from app.core.db import Database

_IN_THE_WAY = """
SELECT count(*) FROM pg_stat_activity
WHERE datname <> current_database() AND backend_xid::text::bigint <= (SELECT max(transaction_id) FROM outbox_event)
"""


async def others_have_ended(database: Database) -> None:
    """Wait until no other database's transaction began before the latest event. Raises TimeoutError after a minute."""
    async with database.connection() as connection:
        for _ in range(3000):
            if not await connection.fetchval(_IN_THE_WAY):
                return
            await asyncio.sleep(0.02)
    raise TimeoutError
