"""Who sees few customers, and who many; that both are answered alike is shown in tests/test_collections.py."""

from collections.abc import Iterator
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest

from app.core.db import Database
from app.customers import seen
from app.identity.actor import Actor, Scope

READ = "customers:read"
MINE, OURS, BELOW, FAR = (uuid4() for _ in range(4))


def someone(scope: Scope | None, user_id: UUID | None = MINE) -> Actor:
    permissions = {} if scope is None else {READ: scope}
    return Actor("user", user_id, "x", permissions, unit_ids=(OURS,), subtree_ids=(OURS, BELOW))


@pytest.fixture(autouse=True)
def two_are_few() -> Iterator[None]:
    with patch.multiple(seen, FEW=2, KNOWN_FOR=0.0, _counts={}):
        yield


async def put(database: Database, count: int, *, owner_id: UUID | None = None, unit_id: UUID | None = None) -> None:
    async with database.transaction() as session:
        await session.connection.execute("SET LOCAL session_replication_role = replica")  # nobody else is needed
        await session.connection.executemany(
            "INSERT INTO customer (kind, name, owner_id, unit_id) VALUES ('person', 'Li Wei', $1, $2)",
            [(owner_id, unit_id)] * count,
        )


async def few(database: Database, scope: Scope | None, user_id: UUID | None = MINE) -> bool:
    return await seen.sees_few(database.reading(), someone(scope, user_id), READ)


async def test_two_are_few_and_a_third_makes_many(database: Database) -> None:
    await put(database, 5, owner_id=FAR, unit_id=FAR)
    await put(database, 1, owner_id=MINE)
    assert [await few(database, each) for each in (Scope.OWN, Scope.UNIT, Scope.SUBTREE)] == [True, True, True]
    await put(database, 1, unit_id=OURS)
    await put(database, 1, unit_id=BELOW)
    assert [await few(database, each) for each in (Scope.OWN, Scope.UNIT, Scope.SUBTREE)] == [True, True, False]
    await put(database, 2, owner_id=MINE)
    assert [await few(database, each) for each in (Scope.OWN, Scope.UNIT, Scope.SUBTREE)] == [False, False, False]


async def test_who_sees_all_or_nobody_is_not_asked_for(database: Database) -> None:
    assert not await few(database, Scope.ALL)
    assert not await few(database, None)
    assert await few(database, Scope.OWN, None)


async def test_the_answer_is_known_for_a_while(database: Database) -> None:
    with patch.object(seen, "KNOWN_FOR", 60.0):
        assert await few(database, Scope.OWN)
        await put(database, 3, owner_id=MINE)
        assert await few(database, Scope.OWN)
        assert not await few(database, Scope.UNIT)
