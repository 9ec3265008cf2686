"""References of a file lead to whoever stands for the customer when its rows are written."""

import asyncio
from uuid import UUID

import httpx
import pytest

from app.core.db import Database
from app.customers import references, service
from app.customers.merging import merge
from app.customers.merging.schemas import MergeIn
from app.identity.actor import SYSTEM
from app.imports.kinds import Batch, Layout, Options
from tests.customers.customers import create, external

PERMISSION = "purchases:write"


@pytest.mark.parametrize("what", ["merged", "deleted", "deleted, and created again"])
async def test_who_is_gone_while_the_file_waits_is_looked_up_again(
    admin: httpx.AsyncClient, database: Database, what: str
) -> None:
    one, two = await create(admin), await create(admin, identities=[external("B")])
    survivor_id, merged_id = UUID(one["id"]), UUID(two["id"])
    options = Options(create_customers=what.endswith("again"), currency=None, time_zone=None)
    batch = Batch(merged_id, 1, 0, 1, Layout(0, {}, []), options, SYSTEM, False, frozenset())

    async def settled() -> references.Settled:
        async with database.transaction(principal="system") as session:
            return await references.settle(session, batch, PERMISSION, {"B"})

    async with database.transaction(principal="system") as session:
        if what == "merged":
            await merge.merge(session, SYSTEM, MergeIn(survivor_id=survivor_id, merged_id=merged_id))
        else:
            await service.remove(session, SYSTEM, merged_id, expected=None)
        await session.flush()
        waiting = asyncio.create_task(settled())
        await asyncio.sleep(0.3)
        assert not waiting.done()
    found = await waiting
    if what == "merged":
        assert (found.known, found.created) == ({"B": survivor_id}, 0)
    elif what == "deleted":
        assert (found.known, found.unknown) == ({}, {"B"})
    else:
        assert (found.created, found.known["B"] != merged_id, found.unknown) == (1, True, set())
