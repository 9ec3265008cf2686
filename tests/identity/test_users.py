import asyncio
from typing import Any

import httpx
import pytest

from tests.identity.people import PASSWORD, LogIn, MakePerson, MakeRole, MakeUnit

HOSTILE = ["a\x00b", "\x1b[31m", "x" * 201, "", "   "]


def new_user(**changes: Any) -> dict[str, Any]:
    return {"username": "li.wei", "name": "Li Wei", "password": PASSWORD, **changes}


async def test_a_user_is_made_read_changed_and_deactivated(admin: httpx.AsyncClient, log_in: LogIn) -> None:
    made = await admin.post("/v1/users", json=new_user(email="Li@Example.COM", roles=["sales"]))
    assert made.status_code == 201
    user = made.json()
    assert user["email"] == "Li@example.com"
    assert user["roles"] == ["sales"]
    assert "password" not in made.text
    path = f"/v1/users/{user['id']}"
    assert (await admin.get(path)).json() == user
    changed = await admin.patch(path, json={"name": "Li Wei-Ming", "email": None, "roles": ["sales", "analyst"]})
    assert changed.json() == {
        **user,
        "name": "Li Wei-Ming",
        "email": None,
        "roles": ["analyst", "sales"],
        "version": 2,
        "updated_at": changed.json()["updated_at"],
    }
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get(path)).json()["active"] is False
    assert (await log_in("li.wei")).status_code == 401


async def test_a_patch_that_changes_nothing_makes_no_new_version(admin: httpx.AsyncClient) -> None:
    user = (await admin.post("/v1/users", json=new_user(roles=["sales", "service"]))).json()
    same = await admin.patch(f"/v1/users/{user['id']}", json={"name": "Li Wei", "roles": ["service", "sales"]})
    assert same.json() == user


async def test_a_stale_etag_is_refused(admin: httpx.AsyncClient) -> None:
    made = await admin.post("/v1/users", json=new_user())
    path, seen = f"/v1/users/{made.json()['id']}", {"If-Match": made.headers["etag"]}
    first = await admin.patch(path, json={"name": "First"}, headers=seen)
    assert first.headers["etag"] == '"2"'
    stale = await admin.patch(path, json={"name": "Second"}, headers=seen)
    assert stale.status_code == 412
    assert (await admin.delete(path, headers=seen)).status_code == 412
    assert (await admin.get(path)).json()["name"] == "First"


async def test_a_username_is_taken_whatever_its_case(admin: httpx.AsyncClient) -> None:
    assert (await admin.post("/v1/users", json=new_user(username="Li.Wei"))).json()["username"] == "li.wei"
    assert (await admin.post("/v1/users", json=new_user(username="LI.WEI"))).status_code == 409


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("username", value) for value in [*HOSTILE, "has space", "-dash", "a"]),
        *(("name", value) for value in [*HOSTILE, None, 7]),
        *(("email", value) for value in [*HOSTILE, "nobody", "a@b", "a@b.c\n", "x" * 300 + "@example.com"]),
        *(("password", value) for value in ["short", "p" * 201, "with\x00nul....", None]),
        *(("unit_id", value) for value in ["x", 7, "00000000-0000-0000-0000-000000000000"]),
        *(("roles", value) for value in [["nobody"], ["A"], "sales", ["sales"] * 21, [None]]),
        ("surprise", 1),
        ("active", False),
    ],
    ids=str,
)
async def test_a_field_that_is_wrong_is_named(admin: httpx.AsyncClient, field: str, value: Any) -> None:
    answer = await admin.post("/v1/users", json=new_user(**{field: value}))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith(f"/body/{field}")


@pytest.mark.parametrize("content", [rb'{"name": "\ud800"}', rb'{"\ud800": 1}', b"[", b"null", b'{"name": 1e999}'])
async def test_a_body_that_is_none_is_refused(admin: httpx.AsyncClient, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await admin.post("/v1/users", content=content, headers=headers)
    assert answer.status_code == 422


@pytest.mark.parametrize("field", ["name", "password", "roles", "active"])
async def test_what_a_user_must_have_cannot_be_emptied(admin: httpx.AsyncClient, field: str) -> None:
    user = (await admin.post("/v1/users", json=new_user())).json()
    assert (await admin.patch(f"/v1/users/{user['id']}", json={field: None})).status_code == 422


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        ("own", {"reader"}),
        ("unit", {"reader", "colleague"}),
        ("subtree", {"reader", "colleague", "below"}),
        ("all", {"reader", "colleague", "below", "elsewhere", "nowhere"}),
    ],
)
async def test_one_sees_the_users_that_the_scope_reaches(
    make_person: MakePerson, make_unit: MakeUnit, make_role: MakeRole, scope: str, seen: set[str]
) -> None:
    here = await make_unit("Here")
    below = await make_unit("Below", here)
    elsewhere = await make_unit("Elsewhere")
    reader = await make_person(await make_role({"users:read": scope}), unit_id=here)
    people = {
        "reader": reader,
        "colleague": await make_person(unit_id=here),
        "below": await make_person(unit_id=below),
        "elsewhere": await make_person(unit_id=elsewhere),
        "nowhere": await make_person(),
    }
    listed = {user["id"] for user in (await reader.ask("GET", "/v1/users")).json()["items"]}
    for name, person in people.items():
        assert (person.id in listed) is (name in seen)
        read = await reader.ask("GET", f"/v1/users/{person.id}")
        assert read.status_code == (200 if name in seen else 404)


async def test_users_are_listed_page_by_page_and_filtered(
    admin: httpx.AsyncClient, make_person: MakePerson, make_unit: MakeUnit
) -> None:
    unit_id = await make_unit("Here")
    people = [await make_person("sales", unit_id=unit_id) for _ in range(3)]
    await admin.delete(f"/v1/users/{people[2].id}")
    names: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": "2", "unit_id": unit_id, **({"cursor": cursor} if cursor else {})}
        page = (await admin.get("/v1/users", params=query)).json()
        names += [user["username"] for user in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
        foreign = await admin.get("/v1/users", params={"limit": 2, "cursor": cursor})
        assert foreign.status_code == 422
    assert names == sorted(person.username for person in people)
    active = (await admin.get("/v1/users", params={"role": "sales", "active": True})).json()["items"]
    assert {user["id"] for user in active} == {people[0].id, people[1].id}


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 201}, {"limit": 2**70}, {"cursor": "x"}, {"role": "\x00"}, {"unit_id": "x"}]
)
async def test_a_query_that_is_wrong_is_refused(admin: httpx.AsyncClient, query: dict[str, Any]) -> None:
    assert (await admin.get("/v1/users", params=query)).status_code == 422


async def test_without_the_permission_nothing_is_done(make_person: MakePerson) -> None:
    person = await make_person()
    for method, path, body in [
        ("GET", "/v1/users", None),
        ("GET", f"/v1/users/{person.id}", None),
        ("POST", "/v1/users", new_user()),
        ("PATCH", f"/v1/users/{person.id}", {"roles": ["admin"]}),
        ("DELETE", f"/v1/users/{person.id}", None),
    ]:
        answer = await person.ask(method, path, json=body)
        assert answer.status_code == 403


async def test_a_manager_makes_users_below_but_never_above_herself(
    make_person: MakePerson, make_unit: MakeUnit
) -> None:
    here = await make_unit("Here")
    below, elsewhere = await make_unit("Below", here), await make_unit("Elsewhere")
    manager = await make_person("department_manager", unit_id=here)
    scenarios: list[tuple[dict[str, Any], int]] = [
        ({"unit_id": below, "roles": ["sales"]}, 201),
        ({"unit_id": here, "roles": ["department_manager"]}, 201),
        ({"unit_id": below, "roles": ["admin"]}, 403),
        ({"unit_id": below, "roles": ["executive"]}, 403),
        ({"unit_id": elsewhere, "roles": []}, 403),
        ({"unit_id": None, "roles": []}, 403),
    ]
    for number, (body, status) in enumerate(scenarios):
        answer = await manager.ask("POST", "/v1/users", json=new_user(username=f"new{number}", **body))
        assert answer.status_code == status, body


async def test_whoever_has_more_rights_cannot_be_taken_over(make_person: MakePerson, make_unit: MakeUnit) -> None:
    here = await make_unit("Here")
    manager = await make_person("department_manager", unit_id=here)
    executive = await make_person("executive", unit_id=here)
    seller = await make_person("sales", unit_id=here)
    changes: list[dict[str, Any]] = [
        {"password": "taken over now"},
        {"roles": []},
        {"active": False},
        {"email": "me@example.com"},
    ]
    for change in changes:
        answer = await manager.ask("PATCH", f"/v1/users/{executive.id}", json=change)
        assert answer.status_code == 403
        assert answer.json()["type"].endswith("escalation")
    assert (await manager.ask("DELETE", f"/v1/users/{executive.id}")).status_code == 403
    assert (await manager.ask("PATCH", f"/v1/users/{manager.id}", json={"roles": ["admin"]})).status_code == 403
    assert (await manager.ask("PATCH", f"/v1/users/{seller.id}", json={"roles": ["service"]})).status_code == 200


async def test_moving_a_user_where_her_roles_reach_beyond_ones_own_is_refused(
    admin: httpx.AsyncClient, make_person: MakePerson, make_unit: MakeUnit, make_role: MakeRole
) -> None:
    here = await make_unit("Here")
    below = await make_unit("Below", here)
    lead = await make_role({"units:read": "unit"})
    mover = await make_person(await make_role({"users:write": "subtree", "units:read": "unit"}), unit_id=here)
    moved = await make_person(lead, unit_id=here)
    answer = await mover.ask("PATCH", f"/v1/users/{moved.id}", json={"unit_id": below})
    assert answer.status_code == 403


async def test_the_last_active_administrator_stays(admin: httpx.AsyncClient, make_person: MakePerson) -> None:
    me = (await admin.get("/v1/me")).json()["id"]
    changes: list[dict[str, Any]] = [{"active": False}, {"roles": []}]
    for change in changes:
        answer = await admin.patch(f"/v1/users/{me}", json=change)
        assert answer.status_code == 409
        assert answer.json()["type"].endswith("last-administrator")
    assert (await admin.delete(f"/v1/users/{me}")).status_code == 409
    other = await make_person("admin")
    assert (await admin.delete(f"/v1/users/{me}")).status_code == 204
    assert (await other.ask("DELETE", f"/v1/users/{other.id}")).status_code == 409


async def test_two_administrators_cannot_remove_each_other_at_once(
    admin: httpx.AsyncClient, make_person: MakePerson
) -> None:
    me = (await admin.get("/v1/me")).json()["id"]
    other = await make_person("admin")
    answers = await asyncio.gather(admin.delete(f"/v1/users/{other.id}"), other.ask("DELETE", f"/v1/users/{me}"))
    assert sorted(answer.status_code for answer in answers) in ([204, 401], [204, 409])


@pytest.mark.parametrize("change", [{"active": False}, {"password": "another long phrase"}])
async def test_a_deactivated_user_and_one_with_a_new_password_are_logged_out_at_once(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, make_person: MakePerson, change: dict[str, Any]
) -> None:
    person = await make_person()
    assert (await person.ask("GET", "/v1/me")).status_code == 200
    assert (await admin.patch(f"/v1/users/{person.id}", json=change)).status_code == 200
    assert (await person.ask("GET", "/v1/me")).status_code == 401
    body = {"refresh_token": person.tokens["refresh_token"]}
    assert (await client.post("/v1/auth/refresh", json=body)).status_code == 401


async def test_new_roles_count_at_once(admin: httpx.AsyncClient, make_person: MakePerson) -> None:
    person = await make_person()
    assert (await person.ask("GET", "/v1/roles")).status_code == 403
    await admin.patch(f"/v1/users/{person.id}", json={"roles": ["analyst"]})
    assert (await person.ask("GET", "/v1/roles")).status_code == 200


async def test_one_idempotency_key_makes_one_user(admin: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "make-li-wei"}
    answers = [await admin.post("/v1/users", json=new_user(), headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
