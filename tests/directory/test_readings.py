"""Whoever is shown contact data that others see masked is written down: who, whose, and in which request."""

from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from app.core import readings
from app.core.db import Database
from app.core.readings import Readings
from app.main import create_app
from tests.conftest import SECRET, MakeUser
from tests.customers.customers import EMAIL, PHONE, create

READINGS = "SELECT * FROM audit_event WHERE action IN ('customer.read', 'customers.listed', 'customers.searched')"


@pytest.fixture
def noted(app: FastAPI) -> Readings:
    """What the process has shown and not written yet."""
    found: Readings = app.state.readings
    return found


async def written(database: Database, noted: Readings) -> list[Any]:
    await noted.flush()
    async with database.connection() as connection:
        rows: list[Any] = await connection.fetch(f"{READINGS} ORDER BY id")
    return rows


async def test_each_request_that_shows_contact_data_leaves_one_row(
    admin: httpx.AsyncClient, database: Database, noted: Readings, make_user: MakeUser
) -> None:
    made = [await create(admin, name=name, phone=PHONE, tags=["x"]) for name in ("one", "two")]
    ids = [each["id"] for each in made]
    reader = await make_user(
        {"customers:read": "all", "customers:read_contact": "all", "customers:write": "all", "segments:read": "all"}
    )
    path = f"/v1/customers/{ids[0]}"
    assert await written(database, noted) == []
    assert (await reader.get(path, headers={"X-Request-ID": "one-reading"})).json()["phone"] == PHONE
    (row,) = await written(database, noted)
    assert (row["actor_kind"], row["actor_id"]) == ("user", UUID(reader.headers["X-Test-User"]))
    assert (row["action"], row["resource"], row["resource_id"]) == ("customer.read", "customer", ids[0])
    assert (row["request_id"], row["before"], row["after"]) == ("one-reading", None, {"contact": "all"})
    assert (await reader.get("/v1/customers", params={"tag": "x"})).status_code == 200
    assert (await reader.post("/v1/customers/search", json={"where": {"tag": "x"}})).status_code == 200
    assert (await reader.patch(path, json={})).json()["phone"] == PHONE
    assert (await reader.get("/v1/customers", params={"tag": "nobody has it"})).status_code == 200
    rows = (await written(database, noted))[1:]
    assert sorted(row["action"] for row in rows) == ["customer.read", "customers.listed", "customers.searched"]
    for row in rows:
        assert row["actor_id"] == UUID(reader.headers["X-Test-User"])
        assert row["resource_id"] == {
            "customer.read": ids[0],
            "customers.listed": "/v1/customers",
            "customers.searched": "/v1/customers/search",
        }.get(row["action"])
        if row["resource"] == "customers":
            assert set(row["after"]["customers"]) == set(ids)
        assert PHONE not in str(row["after"])


async def test_what_is_masked_or_refused_leaves_none(
    admin: httpx.AsyncClient, database: Database, noted: Readings, make_user: MakeUser
) -> None:
    made = await create(admin, name="one", phone=PHONE, email=EMAIL)
    masked = await make_user({"customers:read": "all"})
    own = await make_user({"customers:read": "own", "customers:read_contact": "own"})
    path = f"/v1/customers/{made['id']}"
    assert (await masked.get(path)).json()["phone"] != PHONE
    assert (await masked.get("/v1/customers")).status_code == 200
    assert (await own.get(path)).status_code == 404
    assert (await own.get("/v1/customers")).json()["items"] == []
    assert await written(database, noted) == []


async def test_a_process_that_is_stopped_writes_what_it_noted(url: str) -> None:
    application = create_app(url=url, secret=SECRET)
    async with application.router.lifespan_context(application):
        noted: Readings = application.state.readings
        noted.note(_Somebody(), "customer.read", "customer", "x", {"contact": "all"}, "the-last")
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT request_id FROM audit_event WHERE action = 'customer.read'") == "the-last"
    await connection.close()


async def test_what_cannot_be_written_waits_and_when_too_much_waits_nothing_is_shown(
    admin: httpx.AsyncClient, database: Database, noted: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await create(admin, name="one", phone=PHONE)
    path = f"/v1/customers/{made['id']}"
    async with database.connection() as connection:
        await connection.execute("ALTER TABLE audit_event RENAME TO audit_away")
        assert (await admin.get(path)).status_code == 200
        with pytest.raises(asyncpg.UndefinedTableError):
            await noted.flush()
        monkeypatch.setattr(readings, "MOST", 1)
        refused = await admin.get(path)
        assert refused.status_code == 503
        assert PHONE not in refused.text
        await connection.execute("ALTER TABLE audit_away RENAME TO audit_event")
    assert len(await written(database, noted)) == 1
    assert (await admin.get(path)).status_code == 200


class _Somebody:
    kind = "user"
    id = None
    on_behalf_of = None
