"""People to act as, made over the API by the administrator."""

from itertools import count

import httpx
import pytest

from tests.identity.people import PASSWORD, LogIn, MakePerson, MakeRole, MakeUnit, Person


@pytest.fixture
def log_in(client: httpx.AsyncClient) -> LogIn:
    async def attempt(username: str, password: str = PASSWORD) -> httpx.Response:
        return await client.post("/v1/auth/token", data={"username": username, "password": password})

    return attempt


@pytest.fixture
def make_unit(admin: httpx.AsyncClient) -> MakeUnit:
    async def make(name: str, parent_id: str | None = None) -> str:
        answer = await admin.post("/v1/units", json={"name": name, "parent_id": parent_id})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    return make


@pytest.fixture
def make_role(admin: httpx.AsyncClient) -> MakeRole:
    numbers = count(1)

    async def make(permissions: dict[str, str]) -> str:
        key = f"role_{next(numbers)}"
        body = {"key": key, "title": key, "permissions": permissions}
        answer = await admin.post("/v1/roles", json=body)
        assert answer.status_code == 201, answer.text
        return key

    return make


@pytest.fixture
def make_person(client: httpx.AsyncClient, admin: httpx.AsyncClient, log_in: LogIn) -> MakePerson:
    numbers = count(1)

    async def make(*roles: str, unit_id: str | None = None) -> Person:
        username = f"person{next(numbers)}"
        body = {"username": username, "name": username, "password": PASSWORD, "roles": roles, "unit_id": unit_id}
        made = await admin.post("/v1/users", json=body)
        assert made.status_code == 201, made.text
        answer = await log_in(username)
        return Person(client, made.json()["id"], username, answer.json())

    return make
