from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.identity.people import MakePerson, MakeRole

PRESETS = {
    "admin",
    "executive",
    "department_manager",
    "team_lead",
    "sales",
    "service",
    "marketing",
    "analyst",
    "customer",
}


def new_role(**changes: Any) -> dict[str, Any]:
    return {"key": "auditor", "title": "Auditor", "permissions": {"users:read": "subtree"}, **changes}


async def role_id(admin: httpx.AsyncClient, key: str) -> str:
    roles = (await admin.get("/v1/roles")).json()["items"]
    return next(str(role["id"]) for role in roles if role["key"] == key)


async def test_a_company_starts_with_the_preset_roles(admin: httpx.AsyncClient) -> None:
    roles = (await admin.get("/v1/roles")).json()["items"]
    assert {role["key"] for role in roles if role["preset"]} == PRESETS
    assert [role["key"] for role in roles] == sorted(role["key"] for role in roles)


async def test_a_role_is_made_read_changed_and_deleted(admin: httpx.AsyncClient) -> None:
    made = await admin.post("/v1/roles", json=new_role())
    assert made.status_code == 201
    role = made.json()
    assert role["preset"] is False
    path, seen = f"/v1/roles/{role['id']}", {"If-Match": made.headers["etag"]}
    changed = await admin.patch(path, json={"permissions": {"users:read": "all"}}, headers=seen)
    assert changed.json()["permissions"] == {"users:read": "all"}
    assert (await admin.patch(path, json={"title": "Other"}, headers=seen)).status_code == 412
    assert (await admin.get(path)).json() == changed.json()
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"permissions": {"nobody:declared": "all"}}, "/body/permissions/nobody:declared"),
        ({"permissions": {"a/b~": "all"}}, "/body/permissions/a~1b~0"),
        ({"permissions": {"users:read": "everything"}}, "/body/permissions/users:read"),
        ({"permissions": {"*": "unit"}}, "/body/permissions/*"),
        ({"permissions": {str(number): "own" for number in range(201)}}, "/body/permissions"),
        ({"permissions": ["users:read"]}, "/body/permissions"),
        ({"key": "Has Space"}, "/body/key"),
        ({"title": ""}, "/body/title"),
        ({"preset": True}, "/body/preset"),
    ],
)
async def test_a_role_that_is_wrong_is_refused(admin: httpx.AsyncClient, changes: dict[str, Any], pointer: str) -> None:
    answer = await admin.post("/v1/roles", json=new_role(**changes))
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_a_key_is_taken_once(admin: httpx.AsyncClient) -> None:
    assert (await admin.post("/v1/roles", json=new_role(key="sales"))).status_code == 409


async def test_a_role_in_use_cannot_be_deleted(admin: httpx.AsyncClient, make_person: MakePerson) -> None:
    role = (await admin.post("/v1/roles", json=new_role())).json()
    person = await make_person("auditor")
    assert (await admin.delete(f"/v1/roles/{role['id']}")).status_code == 409
    await admin.patch(f"/v1/users/{person.id}", json={"roles": []})
    assert (await admin.delete(f"/v1/roles/{role['id']}")).status_code == 204


async def test_a_preset_can_be_edited_but_not_deleted(admin: httpx.AsyncClient) -> None:
    path = f"/v1/roles/{await role_id(admin, 'sales')}"
    assert (await admin.patch(path, json={"permissions": {}})).json()["permissions"] == {}
    assert (await admin.delete(path)).status_code == 409


async def test_the_administrator_keeps_every_permission(admin: httpx.AsyncClient) -> None:
    path = f"/v1/roles/{await role_id(admin, 'admin')}"
    assert (await admin.patch(path, json={"permissions": {}})).status_code == 409
    assert (await admin.patch(path, json={"title": "Owner"})).json()["title"] == "Owner"


async def test_a_changed_role_counts_at_once_for_whoever_holds_it(
    admin: httpx.AsyncClient, make_person: MakePerson
) -> None:
    role = (await admin.post("/v1/roles", json=new_role())).json()
    person = await make_person("auditor")
    assert (await person.ask("GET", "/v1/users")).status_code == 200
    await admin.patch(f"/v1/roles/{role['id']}", json={"permissions": {}})
    assert (await person.ask("GET", "/v1/users")).status_code == 403


@pytest.mark.parametrize(
    ("held", "given", "status"),
    [
        ({"roles:write": "all"}, {"users:read": "own"}, 403),
        ({"roles:write": "all"}, {"*": "all"}, 403),
        ({"roles:write": "all", "users:read": "subtree"}, {"users:read": "unit"}, 403),
        ({"roles:write": "all", "users:read": "all"}, {"users:read": "subtree"}, 201),
        ({"roles:write": "unit", "users:read": "all"}, {"users:read": "own"}, 403),
        ({"users:read": "all"}, {"users:read": "own"}, 403),
    ],
)
async def test_nobody_puts_more_into_a_role_than_they_hold(
    make_person: MakePerson, make_role: MakeRole, held: dict[str, str], given: dict[str, str], status: int
) -> None:
    person = await make_person(await make_role(held))
    answer = await person.ask("POST", "/v1/roles", json=new_role(permissions=given))
    assert answer.status_code == status


async def test_a_role_with_more_rights_than_ones_own_cannot_be_touched(
    admin: httpx.AsyncClient, make_person: MakePerson, make_role: MakeRole
) -> None:
    person = await make_person(await make_role({"roles:write": "all", "roles:read": "all"}))
    path = f"/v1/roles/{await role_id(admin, 'executive')}"
    assert (await person.ask("PATCH", path, json={"permissions": {}})).status_code == 403
    assert (await person.ask("DELETE", path)).status_code == 403


async def test_a_role_keeps_permissions_of_a_package_that_is_not_installed(
    admin: httpx.AsyncClient, database: Database
) -> None:
    role = (await admin.post("/v1/roles", json=new_role())).json()
    async with database.connection() as connection:
        await connection.execute("""UPDATE role SET permissions = '{"gone:read": "all"}' WHERE key = 'auditor'""")
    path = f"/v1/roles/{role['id']}"
    kept = await admin.patch(path, json={"permissions": {"gone:read": "unit", "users:read": "all"}})
    assert kept.json()["permissions"] == {"gone:read": "unit", "users:read": "all"}
    added = await admin.patch(path, json={"permissions": {"gone:read": "unit", "gone:write": "all"}})
    assert added.status_code == 422
