import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import time_machine
from sqlalchemy import func, select

from app.core.audit import audit_event
from app.core.db import Database
from app.core.jobs import JobContext
from app.identity import permissions
from app.identity.handlers import forget_ended_access
from app.identity.models import auth_session, login_attempt, refresh_token
from app.main import create_app
from tests.conftest import SECRET
from tests.identity.people import PASSWORD, LogIn, MakePerson


async def test_a_known_token_needs_no_database(admin: httpx.AsyncClient, database: Database) -> None:
    assert (await admin.get("/v1/permissions")).status_code == 200
    await database.close()
    assert (await admin.get("/v1/permissions")).status_code == 200


async def test_a_revoked_token_stops_in_every_process(url: str, make_person: MakePerson) -> None:
    person = await make_person()
    other = create_app(url=url, secret=SECRET)
    async with (
        other.router.lifespan_context(other),
        httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://strata.test") as elsewhere,
    ):
        assert (await elsewhere.get("/v1/me", headers=person.headers)).status_code == 200
        assert (await person.ask("POST", "/v1/auth/logout")).status_code == 204
        async with asyncio.timeout(5):
            while (await elsewhere.get("/v1/me", headers=person.headers)).status_code != 401:
                continue


async def test_a_token_of_another_installation_is_refused(url: str, make_person: MakePerson) -> None:
    person = await make_person()
    other = create_app(url=url, secret=SECRET[::-1])
    async with (
        other.router.lifespan_context(other),
        httpx.AsyncClient(transport=httpx.ASGITransport(other), base_url="http://strata.test") as elsewhere,
    ):
        assert (await elsewhere.get("/v1/me", headers=person.headers)).status_code == 401


async def test_every_change_is_audited_and_no_secret_is(
    admin: httpx.AsyncClient, make_person: MakePerson, log_in: LogIn, database: Database
) -> None:
    person = await make_person("sales")
    await admin.patch(f"/v1/users/{person.id}", json={"password": "another long phrase", "name": "Canary Name"})
    issued = (await admin.post("/v1/api-keys", json={"name": "Shop", "permissions": {}})).json()
    await admin.delete(f"/v1/api-keys/{issued['id']}")
    again = await log_in(person.username, "another long phrase")
    person.tokens = again.json()
    change = {"current_password": "another long phrase", "new_password": PASSWORD}
    await person.ask("POST", "/v1/me/password", json=change)
    await person.ask("POST", "/v1/auth/logout")
    rows = await database.reading().all(
        select(audit_event).where(audit_event.c.actor_kind != "system").order_by(audit_event.c.id)
    )
    assert [row["action"] for row in rows] == [
        "user.created",
        "session.opened",
        "user.changed",
        "api_key.created",
        "api_key.revoked",
        "session.opened",
        "user.password_changed",
        "session.closed",
    ]
    changed = rows[2]
    assert (changed["resource"], changed["resource_id"]) == ("user", person.id)
    assert changed["after"]["password"] == "changed"
    everything = str([dict(row) for row in rows])
    secrets = [PASSWORD, "another long phrase", issued["key"], person.tokens["refresh_token"], "argon2", "Canary Name"]
    assert [secret for secret in secrets if secret in everything] == []


async def test_what_no_longer_lets_anyone_in_is_forgotten(
    client: httpx.AsyncClient, make_person: MakePerson, log_in: LogIn, database: Database
) -> None:
    person = await make_person()
    await log_in(person.username, "wrong")
    context = JobContext(database, {}, None, asyncio.Event())

    async def counts() -> list[int]:
        tables: list[Any] = [auth_session, refresh_token, login_attempt]
        return [await database.reading().scalar(select(func.count()).select_from(table)) for table in tables]

    await forget_ended_access(context)
    sessions, tokens, attempts = await counts()
    assert (sessions > 0, tokens, attempts) == (True, 1, 2)
    with time_machine.travel(datetime.now(UTC) + timedelta(days=60)):
        await forget_ended_access(context)
    assert await counts() == [0, 0, 0]


@pytest.mark.parametrize("name", ["", "customers", "customers:", "Customers:read", "customers:read:all", "*"])
def test_a_permission_is_a_resource_and_an_action(name: str) -> None:
    with pytest.raises(ValueError, match="resource:action"):
        permissions.declare(name)
