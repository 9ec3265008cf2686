"""Who is let in as which customer, by whom, and until when."""

import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.core import clock
from app.core.db import Database
from app.identity.presets import PRESET_ROLES
from tests.conftest import ActAs, MakeUser
from tests.self_service.letting_in import account, let_in, merged, record

PASSWORD = "three blue lanterns"
CUSTOMER = next(preset.permissions for preset in PRESET_ROLES if preset.key == "customer")


async def actions(database: Database, customer_id: str) -> list[str]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT action FROM audit_event WHERE resource = 'customer' AND resource_id = $1 ORDER BY id", customer_id
        )
    return [row["action"] for row in rows]


async def test_who_is_invited_sets_a_password_once_and_comes_in(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, database: Database
) -> None:
    customer_id = await record(admin, name="Mei Chen", email="mei@example.com")
    opened = await account(admin, customer_id, username="Mei.Chen", days=3)
    assert opened["username"] == "mei.chen"
    assert opened["active"] is True
    login = {"username": "mei.chen", "password": PASSWORD}
    assert (await client.post("/v1/auth/token", data=login)).status_code == 401
    body = {"token": opened["invitation"], "password": PASSWORD}
    assert (await client.post("/v1/auth/invitations", json=body)).status_code == 204
    token = (await client.post("/v1/auth/token", data=login)).json()["access_token"]
    mine = await client.get("/v1/my/profile", headers={"Authorization": f"Bearer {token}"})
    assert (mine.json()["id"], mine.json()["email"]) == (customer_id, "mei@example.com")
    again = await client.post("/v1/auth/invitations", json=body)
    assert (again.status_code, again.json()["type"]) == (410, "urn:strata:problem:bad-invitation")
    assert await actions(database, customer_id) == ["customer.created", "customer.account_opened"]


async def test_an_invitation_that_is_altered_or_late_opens_nothing(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = [await account(admin, await record(admin), days=1) for _ in range(2)]
    token = first["invitation"]
    spoilt = [token[:-3] + "AAA", token[:20], "A" * 54, second["invitation"][:22] + token[22:], "A"]
    for each in spoilt:
        answer = await client.post("/v1/auth/invitations", json={"token": each, "password": PASSWORD})
        assert answer.status_code == 410, each
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(days=1))
    answer = await client.post("/v1/auth/invitations", json={"token": token, "password": PASSWORD})
    assert answer.status_code == 410


async def test_who_lost_the_invitation_gets_another(admin: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    customer_id = await record(admin)
    path = f"/v1/customers/{customer_id}/account"
    assert (await admin.post(f"{path}/invitations", json={})).status_code == 404
    opened = await account(admin, customer_id)
    answer = await admin.post(f"{path}/invitations", json={"days": 2})
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    body = {"token": answer.json()["invitation"], "password": PASSWORD}
    assert (await client.post("/v1/auth/invitations", json=body)).status_code == 204
    body = {"token": opened["invitation"], "password": PASSWORD}
    assert (await client.post("/v1/auth/invitations", json=body)).status_code == 410, "the first works still"
    await admin.delete(f"/v1/users/{opened['user_id']}")
    assert (await admin.post(f"{path}/invitations", json={})).status_code == 422


async def test_a_customer_has_one_account_and_an_account_one_customer(
    admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    first, second = await record(admin), await record(admin)
    opened = await account(admin, first)
    again = await admin.post(f"/v1/customers/{first}/account", json={})
    assert (again.status_code, again.json()["type"]) == (409, "urn:strata:problem:has-account")
    of_first = await admin.post(f"/v1/customers/{second}/account", json={"user_id": opened["user_id"]})
    assert (of_first.status_code, of_first.json()["type"]) == (409, "urn:strata:problem:account-of-another")
    both = {"user_id": opened["user_id"], "username": "mei"}
    assert (await admin.post(f"/v1/customers/{second}/account", json=both)).status_code == 422


@pytest.mark.parametrize(
    ("permissions", "status"),
    [({}, 201), (dict(CUSTOMER), 201), ({"customers:read": "own"}, 409), ({**CUSTOMER, "users:read": "own"}, 409)],
)
async def test_a_user_who_is_there_becomes_an_account_unless_it_is_of_staff(
    admin: httpx.AsyncClient, make_user: MakeUser, permissions: dict[str, Any], status: int
) -> None:
    somebody = await make_user(permissions)
    customer_id = await record(admin)
    body = {"user_id": somebody.headers["X-Test-User"]}
    answer = await admin.post(f"/v1/customers/{customer_id}/account", json=body)
    assert answer.status_code == status, answer.text
    mine = await somebody.get("/v1/my/profile")
    if permissions == dict(CUSTOMER):
        assert answer.json()["invitation"] is None
        assert mine.json()["id"] == customer_id
    else:
        assert mine.status_code == 403


async def test_whoever_has_no_customer_is_told_so(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    for each in (admin, await make_user(dict(CUSTOMER))):
        answer = await each.get("/v1/my/profile")
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:strata:problem:no-customer")
    key = (await admin.post("/v1/api-keys", json={"name": "x", "permissions": CUSTOMER})).json()["key"]
    answer = await admin.get("/v1/my/profile", headers={"Authorization": f"Bearer {key}"})
    assert answer.json()["type"] == "urn:strata:problem:no-customer"


async def test_only_whom_one_reaches_one_lets_in(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    unit = (await admin.post("/v1/units", json={"name": "East"})).json()["id"]
    scope = {"customer_accounts:read": "unit", "customer_accounts:write": "unit"}
    clerk = await make_user(scope, unit_id=unit)
    mine, foreign = await record(admin, unit_id=unit), await record(admin)
    assert (await clerk.post(f"/v1/customers/{mine}/account", json={})).status_code == 201
    assert (await clerk.get(f"/v1/customers/{mine}/account")).status_code == 200
    for method, path in [("POST", ""), ("GET", ""), ("DELETE", ""), ("POST", "/invitations")]:
        body: dict[str, Any] | None = {} if method == "POST" else None
        answer = await clerk.request(method, f"/v1/customers/{foreign}/account{path}", json=body)
        assert answer.status_code == 404
    user_id = (await admin.get("/v1/users")).json()["items"][0]["id"]
    taken = await clerk.post(f"/v1/customers/{await record(admin, unit_id=unit)}/account", json={"user_id": user_id})
    assert taken.status_code == 404, "a user was taken by somebody who may not change users"


# ---- what ends it ----------------------------------------------------------------------------------------------------


async def test_a_closed_or_deactivated_account_is_out_at_once(
    admin: httpx.AsyncClient, act_as: ActAs, database: Database
) -> None:
    closed, deactivated = [await let_in(admin, act_as) for _ in range(2)]
    for each in (closed, deactivated):
        assert (await each.client.get("/v1/my/profile")).status_code == 200
    assert (await admin.delete(f"/v1/customers/{closed.id}/account")).status_code == 204
    assert (await admin.delete(f"/v1/users/{deactivated.user_id}")).status_code == 204
    for each in (closed, deactivated):
        assert (await each.client.get("/v1/my/profile")).status_code == 401
    assert (await admin.get(f"/v1/customers/{closed.id}/account")).status_code == 404
    assert (await admin.get(f"/v1/customers/{deactivated.id}/account")).json()["active"] is False
    assert (await account(admin, closed.id))["user_id"] != closed.user_id
    assert "customer.account_closed" in await actions(database, closed.id)


@pytest.mark.parametrize("how", ["erased", "deleted"])
async def test_of_who_is_gone_the_account_tells_nothing(
    admin: httpx.AsyncClient, act_as: ActAs, database: Database, how: str
) -> None:
    canary = uuid.uuid4().hex
    me = await let_in(admin, act_as, name=f"Mei {canary}", email=f"{canary}@example.com")
    await admin.patch(f"/v1/users/{me.user_id}", json={"name": f"Chen {canary}"})
    path = f"/v1/customers/{me.id}"
    gone = await (admin.post(f"{path}/erasure") if how == "erased" else admin.delete(path))
    assert gone.status_code in (200, 204), gone.text
    assert (await me.client.get("/v1/my/profile")).status_code == 401
    async with database.connection() as connection:
        left = await connection.fetchval(
            "SELECT count(*) FROM user_account u WHERE u::text LIKE '%' || $1 || '%'", canary
        )
        links = await connection.fetchval(
            "SELECT count(*) FROM customer_account WHERE user_id = $1", uuid.UUID(me.user_id)
        )
    assert (left, links) == (0, 0)


async def test_of_two_who_are_one_the_first_account_stands_until_they_part(
    admin: httpx.AsyncClient, act_as: ActAs
) -> None:
    survivor, other = [await let_in(admin, act_as) for _ in range(2)]
    merge_id = await merged(admin, survivor.id, other.id)
    assert (await survivor.client.get("/v1/my/profile")).json()["id"] == survivor.id
    aside = await other.client.get("/v1/my/profile")
    assert (aside.status_code, aside.json()["type"]) == (403, "urn:strata:problem:account-set-aside")
    assert (await admin.get(f"/v1/customers/{survivor.id}/account")).json()["user_id"] == survivor.user_id
    undone = await admin.post(f"/v1/customers/merges/{merge_id}/undo")
    assert undone.status_code == 200, undone.text
    for each in (survivor, other):
        assert (await each.client.get("/v1/my/profile")).json()["id"] == each.id


async def test_the_account_of_who_was_merged_follows_and_goes_with_the_person(
    admin: httpx.AsyncClient, act_as: ActAs
) -> None:
    other, survivor_id = await let_in(admin, act_as), await record(admin, name="Mei Chen again")
    later = await let_in(admin, act_as)
    await merged(admin, survivor_id, other.id)
    await merged(admin, survivor_id, later.id)
    assert (await other.client.get("/v1/my/profile")).json()["name"] == "Mei Chen again"
    assert (await later.client.get("/v1/my/profile")).status_code == 403
    assert (await admin.post(f"/v1/customers/{survivor_id}/erasure")).status_code == 200
    for each in (other, later):
        assert (await each.client.get("/v1/my/profile")).status_code == 401
    assert (await admin.get(f"/v1/customers/{survivor_id}/account")).status_code == 404


# ---- what it may do --------------------------------------------------------------------------------------------------


async def test_whatever_roles_it_is_given_an_account_of_a_customer_uses_self_service_only(
    admin: httpx.AsyncClient, act_as: ActAs
) -> None:
    me = await let_in(admin, act_as)
    given = await admin.patch(f"/v1/users/{me.user_id}", json={"roles": ["customer", "admin", "sales"]})
    assert given.status_code == 200, given.text
    assert set((await me.client.get("/v1/me")).json()["permissions"]) == set(CUSTOMER)
    for path in ("/v1/customers", f"/v1/customers/{me.id}", "/v1/users", "/v1/schemes", "/v1/audit", "/v1/events"):
        assert (await me.client.get(path)).status_code == 403, path
    assert (await me.client.get("/v1/my/profile")).status_code == 200
    only = await admin.patch(f"/v1/users/{(await admin.get('/v1/me')).json()['id']}", json={"active": False})
    assert only.status_code == 409, "a customer counts as the last administrator"


async def test_a_customer_stands_in_for_nobody_and_nobody_for_a_customer(
    admin: httpx.AsyncClient, act_as: ActAs, database: Database
) -> None:
    me = await let_in(admin, act_as)
    admin_id = (await admin.get("/v1/me")).json()["id"]
    body = {"delegate_id": me.user_id, "ends_on": "2100-01-01"}
    assert (await admin.post("/v1/delegations", json={**body, "ends_on": "2027-06-01"})).status_code == 422
    async with database.connection() as connection:
        for absent, delegate in ((admin_id, me.user_id), (me.user_id, admin_id)):
            await connection.execute(
                "INSERT INTO delegation (absent_id, delegate_id, during, created_by)"
                " VALUES ($1, $2, '[2020-01-01,2100-01-01)', $1)",
                uuid.UUID(absent),
                uuid.UUID(delegate),
            )
    for who, absent in ((me.client, admin_id), (admin, me.user_id)):
        answer = await who.get("/v1/me", headers={"X-On-Behalf-Of": absent})
        assert answer.status_code == 403, answer.text
