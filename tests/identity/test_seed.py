import asyncio

import httpx
import pytest
from sqlalchemy import func, select

from app.core.db import Database
from app.identity.models import org_unit, role, user_account
from app.identity.presets import PRESET_ROLES
from app.identity.seed import WeakPassword, seed
from tests.identity.people import LogIn


async def seeded(database: Database, admin_password: str | None = None) -> str | None:
    async with database.transaction() as session:
        return await seed(session, admin_password=admin_password)


async def without_users(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("DELETE FROM user_role; DELETE FROM auth_session; DELETE FROM user_account")


async def role_row(database: Database, key: str) -> dict[str, object]:
    row = await database.reading().first(select(role).where(role.c.key == key))
    assert row is not None
    return dict(row)


async def test_seeding_again_changes_nothing(database: Database, log_in: LogIn) -> None:
    before = await role_row(database, "sales")
    assert await seeded(database, "an entirely new password") is None
    assert await role_row(database, "sales") == before
    assert await database.reading().scalar(select(func.count()).select_from(org_unit)) == 1
    assert (await log_in("admin", "an entirely new password")).status_code == 401


async def test_the_first_administrator_gets_a_random_password_that_works(database: Database, log_in: LogIn) -> None:
    await without_users(database)
    password = await seeded(database)
    assert password is not None
    assert len(password) >= 16
    assert (await log_in("admin", password)).status_code == 200


async def test_of_two_processes_that_start_at_once_one_makes_the_administrator(database: Database) -> None:
    await without_users(database)
    passwords = await asyncio.gather(seeded(database), seeded(database))
    assert sorted(password is None for password in passwords) == [False, True]
    assert await database.reading().scalar(select(func.count()).select_from(user_account)) == 1


async def test_a_weak_first_password_is_refused(database: Database) -> None:
    await without_users(database)
    with pytest.raises(WeakPassword):
        await seeded(database, "short")


async def test_what_an_administrator_decided_stays_and_what_is_new_in_a_preset_is_added(
    admin: httpx.AsyncClient, database: Database
) -> None:
    preset = next(each for each in PRESET_ROLES if each.key == "sales").permissions
    seeded = await role_row(database, "sales")
    decided = {**preset, "customers:read": "unit", "users:read": "own"}
    del decided["customers:write"]
    await admin.patch(f"/v1/roles/{seeded['id']}", json={"title": "Our sales", "permissions": decided})
    # As it was before a release that brought notes and gave classes a narrower scope.
    async with database.connection() as connection:
        await connection.execute(
            """
            UPDATE role SET permissions = permissions - 'notes:read' || '{"classes:read": "all"}',
                            seeded = seeded - 'notes:read' || '{"classes:read": "all"}'
            WHERE key = 'sales'
            """
        )
    await seeded_again(database)
    sales = await role_row(database, "sales")
    assert sales["title"] == "Our sales"
    assert sales["permissions"] == decided
    assert (sales["seeded"], sales["version"]) == (preset, 3)
    await seeded_again(database)
    assert await role_row(database, "sales") == sales


async def seeded_again(database: Database) -> None:
    assert await seeded(database) is None


async def test_a_preset_that_nobody_edited_is_brought_up_to_date(database: Database) -> None:
    async with database.connection() as connection:
        old = """'{"users:read": "own"}'"""
        await connection.execute(f"UPDATE role SET permissions = {old}, seeded = {old} WHERE key = 'service'")
    await seeded_again(database)
    service = await role_row(database, "service")
    preset = next(each for each in PRESET_ROLES if each.key == "service")
    assert service["permissions"] == preset.permissions
    assert service["version"] == 2


async def test_a_role_of_which_nobody_knows_what_it_was_seeded_with_stays_as_it_was_edited(
    admin: httpx.AsyncClient, database: Database
) -> None:
    edited = await role_row(database, "sales")
    await admin.patch(f"/v1/roles/{edited['id']}", json={"permissions": {"customers:read": "own"}})
    async with database.connection() as connection:
        await connection.execute("UPDATE role SET seeded = NULL")
    await seeded_again(database)
    assert (await role_row(database, "sales"))["permissions"] == {"customers:read": "own"}
