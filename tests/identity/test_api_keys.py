from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import time_machine

from tests.identity.people import MakePerson, MakeRole, MakeUnit


def new_key(**changes: Any) -> dict[str, Any]:
    return {"name": "Web shop", "permissions": {"users:read": "all"}, **changes}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def test_a_key_is_shown_once_and_works_until_revoked(admin: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    issued = await admin.post("/v1/api-keys", json=new_key())
    assert issued.status_code == 201
    assert issued.headers["cache-control"] == "no-store"
    key, path = issued.json()["key"], f"/v1/api-keys/{issued.json()['id']}"
    shown = await admin.get(path)
    assert key not in shown.text
    assert "key_hash" not in shown.text
    for headers in (bearer(key), {"x-api-key": key}):
        assert (await client.get("/v1/users", headers=headers)).status_code == 200
    assert (await client.get("/v1/roles", headers=bearer(key))).status_code == 403
    assert (await admin.get(path)).json()["last_used_at"] is not None
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.delete(path)).status_code == 204
    assert (await client.get("/v1/users", headers=bearer(key))).status_code == 401
    assert (await admin.get(path)).json()["revoked_at"] is not None


async def test_a_key_knows_what_it_may_do(admin: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    issued = (await admin.post("/v1/api-keys", json=new_key())).json()
    me = (await client.get("/v1/me", headers=bearer(issued["key"]))).json()
    assert me == {
        "id": issued["id"],
        "kind": "api_key",
        "name": "Web shop",
        "username": None,
        "roles": [],
        "permissions": {"users:read": "all"},
        "units": [],
        "on_behalf_of": None,
    }
    assert (await client.post("/v1/auth/logout", headers=bearer(issued["key"]))).status_code == 409


async def test_a_key_expires(admin: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=30)
    issued = (await admin.post("/v1/api-keys", json=new_key(expires_at=expires_at.isoformat()))).json()
    assert (await client.get("/v1/users", headers=bearer(issued["key"]))).status_code == 200
    with time_machine.travel(expires_at + timedelta(seconds=1)):
        assert (await client.get("/v1/users", headers=bearer(issued["key"]))).status_code == 401


async def test_another_secret_behind_a_known_prefix_is_refused(
    admin: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    key = (await admin.post("/v1/api-keys", json=new_key())).json()["key"]
    for wrong in (key[:-1], key + "A", key.rsplit("_", 1)[0] + "_A", key.upper()):
        assert (await client.get("/v1/users", headers=bearer(wrong))).status_code == 401


async def test_last_use_is_noted_once_a_minute(admin: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    issued = (await admin.post("/v1/api-keys", json=new_key())).json()
    path, headers = f"/v1/api-keys/{issued['id']}", bearer(issued["key"])
    await client.get("/v1/users", headers=headers)
    first = (await admin.get(path)).json()["last_used_at"]
    await client.get("/v1/users", headers=headers)
    assert (await admin.get(path)).json()["last_used_at"] == first
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=61)):
        await client.get("/v1/users", headers=headers)
    assert (await admin.get(path)).json()["last_used_at"] > first


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"permissions": {"nobody:declared": "all"}}, "/body/permissions/nobody:declared"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/body/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59+00:00"}, "/body/expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "/body/expires_at"),
        ({"expires_at": "2030-01-01T00:00:00"}, "/body/expires_at"),
        ({"unit_id": "00000000-0000-0000-0000-000000000000"}, "/body/unit_id"),
        ({"name": "a\x00b"}, "/body/name"),
        ({"prefix": "x"}, "/body/prefix"),
    ],
)
async def test_a_key_that_is_wrong_is_refused(admin: httpx.AsyncClient, changes: dict[str, Any], pointer: str) -> None:
    answer = await admin.post("/v1/api-keys", json=new_key(**changes))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("permissions", "where", "status"),
    [
        ({"users:read": "subtree"}, "here", 201),
        ({"users:read": "unit"}, "below", 201),
        ({"users:read": "own"}, None, 201),
        ({"users:read": "all"}, "here", 403),
        ({"users:read": "unit"}, "elsewhere", 403),
        ({"roles:read": "own"}, "here", 403),
        ({"*": "all"}, "here", 403),
    ],
)
async def test_nobody_makes_a_key_that_reaches_further_than_themselves(
    make_person: MakePerson,
    make_unit: MakeUnit,
    make_role: MakeRole,
    permissions: dict[str, str],
    where: str | None,
    status: int,
) -> None:
    here = await make_unit("Here")
    units = {"here": here, "below": await make_unit("Below", here), "elsewhere": await make_unit("Elsewhere")}
    role = await make_role({"api_keys:write": "subtree", "users:read": "subtree"})
    person = await make_person(role, unit_id=here)
    body = new_key(permissions=permissions, unit_id=units[where] if where else None)
    assert (await person.ask("POST", "/v1/api-keys", json=body)).status_code == status


async def test_one_sees_and_revokes_the_keys_that_the_scope_reaches(
    admin: httpx.AsyncClient, make_person: MakePerson, make_unit: MakeUnit, make_role: MakeRole
) -> None:
    here = await make_unit("Here")
    reach = {"api_keys:read": "unit", "api_keys:write": "unit", "users:read": "unit"}
    person = await make_person(await make_role(reach), unit_id=here)
    of_unit = (await admin.post("/v1/api-keys", json=new_key(unit_id=here))).json()["id"]
    of_company = (await admin.post("/v1/api-keys", json=new_key())).json()["id"]
    own = (await person.ask("POST", "/v1/api-keys", json=new_key(permissions={}))).json()["id"]
    listed = (await person.ask("GET", "/v1/api-keys", params={"limit": 200})).json()["items"]
    assert [key["id"] for key in listed] == [own, of_unit]
    assert (await person.ask("GET", f"/v1/api-keys/{of_company}")).status_code == 404
    assert (await person.ask("DELETE", f"/v1/api-keys/{of_company}")).status_code == 404
    assert (await person.ask("DELETE", f"/v1/api-keys/{of_unit}")).status_code == 204


async def test_keys_are_listed_page_by_page(admin: httpx.AsyncClient) -> None:
    made = [(await admin.post("/v1/api-keys", json=new_key())).json()["id"] for _ in range(3)]
    first = (await admin.get("/v1/api-keys", params={"limit": 2})).json()
    second = (await admin.get("/v1/api-keys", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [key["id"] for key in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None


async def test_the_key_is_not_kept_for_idempotency(admin: httpx.AsyncClient) -> None:
    again = {"Idempotency-Key": "web-shop"}
    assert (await admin.post("/v1/api-keys", json=new_key(), headers=again)).status_code == 201
    assert (await admin.post("/v1/api-keys", json=new_key(), headers=again)).status_code == 409
    (issued,) = (await admin.get("/v1/api-keys")).json()["items"]
    rotate, once = f"/v1/api-keys/{issued['id']}/rotate", {"Idempotency-Key": "rotated"}
    assert (await admin.post(rotate, json={}, headers=once)).status_code == 200
    assert (await admin.post(rotate, json={}, headers=once)).status_code == 409
    assert (await admin.get(f"/v1/api-keys/{issued['id']}")).json()["version"] == 2


async def test_a_rotated_key_leaves_the_old_one_its_grace(admin: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    issued = (await admin.post("/v1/api-keys", json=new_key())).json()
    path, old = f"/v1/api-keys/{issued['id']}", issued["key"]
    rotated = await admin.post(f"{path}/rotate", json={"grace_hours": 2})
    assert rotated.status_code == 200
    assert rotated.headers["cache-control"] == "no-store"
    new = rotated.json()["key"]
    assert new != old
    assert rotated.json()["prefix"] == issued["prefix"]
    assert "hash" not in rotated.text
    for key in (old, new):
        assert (await client.get("/v1/users", headers=bearer(key))).status_code == 200
        assert (await client.get("/v1/me", headers=bearer(key))).json()["id"] == issued["id"]
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=2, seconds=1)):
        assert (await client.get("/v1/users", headers=bearer(old))).status_code == 401
        assert (await client.get("/v1/users", headers=bearer(new))).status_code == 200
    third = (await admin.post(f"{path}/rotate", json={"grace_hours": 168})).json()["key"]
    assert [(await client.get("/v1/users", headers=bearer(key))).status_code for key in (old, new, third)] == [
        401,
        200,
        200,
    ]
    fourth = (await admin.post(f"{path}/rotate", json={"grace_hours": 0})).json()["key"]
    assert [(await client.get("/v1/users", headers=bearer(key))).status_code for key in (new, third, fourth)] == [
        401,
        401,
        200,
    ]
    assert (await admin.delete(path)).status_code == 204
    assert (await client.get("/v1/users", headers=bearer(fourth))).status_code == 401
    assert (await admin.post(f"{path}/rotate", json={})).status_code == 409


async def test_a_grace_is_a_week_at_most(admin: httpx.AsyncClient) -> None:
    issued = (await admin.post("/v1/api-keys", json=new_key())).json()
    for hours in (-1, 169, "a day"):
        answer = await admin.post(f"/v1/api-keys/{issued['id']}/rotate", json={"grace_hours": hours})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/body/grace_hours"


async def test_the_grace_does_not_outlive_the_key(admin: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    issued = (await admin.post("/v1/api-keys", json=new_key(expires_at=expires_at.isoformat()))).json()
    assert (await admin.post(f"/v1/api-keys/{issued['id']}/rotate", json={"grace_hours": 9})).status_code == 200
    with time_machine.travel(expires_at + timedelta(seconds=1)):
        assert (await client.get("/v1/users", headers=bearer(issued["key"]))).status_code == 401


async def test_whoever_rotates_a_key_has_it_in_hand_and_must_hold_what_it_may(
    admin: httpx.AsyncClient, make_person: MakePerson, make_unit: MakeUnit, make_role: MakeRole
) -> None:
    here = await make_unit("Here")
    person = await make_person(await make_role({"api_keys:write": "unit", "users:read": "unit"}), unit_id=here)
    for permissions, unit_id, status in [
        ({"users:read": "unit"}, here, 200),
        ({"users:read": "all"}, here, 403),
        ({"users:read": "own"}, None, 404),
    ]:
        issued = (await admin.post("/v1/api-keys", json=new_key(permissions=permissions, unit_id=unit_id))).json()
        answer = await person.ask("POST", f"/v1/api-keys/{issued['id']}/rotate", json={})
        assert answer.status_code == status
