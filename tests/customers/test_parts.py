"""Addresses and contacts: several of a customer, one of them the primary."""

from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.conftest import MakeUser
from tests.customers.customers import create, pointers

ADDRESS = {"kind": "delivery", "lines": "canary lane 8", "country": "CN", "region": "CN-31"}


async def added(client: httpx.AsyncClient, path: str, **body: Any) -> Any:
    answer = await client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def paths(client: httpx.AsyncClient, **fields: Any) -> tuple[str, str]:
    path = f"/v1/customers/{(await create(client, **fields))['id']}"
    return f"{path}/addresses", f"{path}/contacts"


async def test_an_address_is_added_read_changed_and_deleted(admin: httpx.AsyncClient) -> None:
    path, _ = await paths(admin)
    first, second = await added(admin, path, **ADDRESS), await added(admin, path, **ADDRESS, city="Shanghai")
    assert first | ADDRESS | {"is_primary": False, "version": 1, "city": None} == first
    assert (await admin.get(path)).json() == {"items": [second, first], "next_cursor": None}
    one = f"{path}/{first['id']}"
    assert (await admin.get(one)).json() == first
    changed = await admin.patch(one, json={"postal_code": "200001"}, headers={"If-Match": '"1"'})
    assert (changed.headers["etag"], changed.json()["postal_code"]) == ('"2"', "200001")
    assert (await admin.patch(one, json={"postal_code": "200001"})).json() == changed.json()
    assert (await admin.patch(one, json={"city": "x"}, headers={"If-Match": '"1"'})).status_code == 412
    assert (await admin.delete(one, headers={"If-Match": '"1"'})).status_code == 412
    assert (await admin.delete(one, headers={"If-Match": '"2"'})).status_code == 204
    assert [(await admin.request(method, one)).status_code for method in ("GET", "DELETE")] == [404, 404]


async def test_the_primary_address_of_a_kind_takes_the_place_of_the_one_before(admin: httpx.AsyncClient) -> None:
    path, _ = await paths(admin)
    first = await added(admin, path, **ADDRESS, is_primary=True)
    office = await added(admin, path, **{**ADDRESS, "kind": "office"}, is_primary=True)
    second = await added(admin, path, **ADDRESS, is_primary=True)
    standing = {each["id"]: each["is_primary"] for each in (await admin.get(path)).json()["items"]}
    assert standing == {first["id"]: False, office["id"]: True, second["id"]: True}
    await admin.patch(f"{path}/{first['id']}", json={"is_primary": True})
    standing = {each["id"]: each["is_primary"] for each in (await admin.get(path)).json()["items"]}
    assert standing == {first["id"]: True, office["id"]: True, second["id"]: False}
    await admin.patch(f"{path}/{office['id']}", json={"kind": "delivery"})
    standing = {each["id"]: each["is_primary"] for each in (await admin.get(path)).json()["items"]}
    assert standing == {first["id"]: False, office["id"]: True, second["id"]: False}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"kind": "castle"}, "/body/kind"),
        ({"lines": " "}, "/body/lines"),
        ({"country": "China"}, "/body/country"),
        ({"region": "31"}, "/body/region"),
        ({"postal_code": "?"}, "/body/postal_code"),
        ({"is_primary": "yes"}, "/body/is_primary"),
        ({"lines": "a\u0000"}, "/body/lines"),
    ],
)
async def test_what_is_no_address_is_refused(admin: httpx.AsyncClient, change: dict[str, Any], pointer: str) -> None:
    path, _ = await paths(admin)
    assert pointers(await admin.post(path, json={**ADDRESS, **change})) == [pointer]


async def test_a_contact_is_a_person_in_a_role_for_a_time(admin: httpx.AsyncClient) -> None:
    person = await create(admin, name="Somebody")
    _, path = await paths(admin, kind="company")
    named = await added(admin, path, name="Purchasing desk", role="buyer", is_primary=True)
    known = await added(admin, path, person_id=person["id"], role="owner", since="2026-01-01", is_primary=True)
    assert (known["name"], named["person_id"]) == ("Somebody", None)
    listed = (await admin.get(path)).json()["items"]
    assert [(each["id"], each["is_primary"]) for each in listed] == [(known["id"], True), (named["id"], False)]
    one = f"{path}/{known['id']}"
    assert pointers(await admin.patch(one, json={"until": "2025-12-31"})) == ["/body/until"]
    ended = await admin.patch(one, json={"until": "2026-06-30", "role": None})
    assert (ended.json()["until"], ended.json()["role"]) == ("2026-06-30", None)
    assert (await admin.delete(f"/v1/customers/{person['id']}")).status_code == 204
    assert [each["id"] for each in (await admin.get(path)).json()["items"]] == [named["id"]]


async def test_a_contact_is_somebody(admin: httpx.AsyncClient) -> None:
    company = await create(admin, kind="company")
    other = await create(admin, kind="company")
    path = f"/v1/customers/{company['id']}/contacts"
    assert pointers(await admin.post(path, json={"role": "buyer"})) == ["/body/name"]
    for wrong in (company["id"], other["id"], "00000000-0000-0000-0000-000000000001"):
        assert pointers(await admin.post(path, json={"person_id": wrong})) == ["/body/person_id"]
    named = await added(admin, path, name="Desk")
    assert pointers(await admin.patch(f"{path}/{named['id']}", json={"name": None})) == ["/body/name"]


async def test_the_name_of_a_person_out_of_reach_is_not_told(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    permissions = ("customers:read", "customers:write", "contacts:read", "contacts:write")
    seller = await make_user(dict.fromkeys(permissions, "own"))
    person, mine = await create(admin, name="Hidden"), await create(seller, kind="company")
    path = f"/v1/customers/{mine['id']}/contacts"
    assert pointers(await seller.post(path, json={"person_id": person["id"]})) == ["/body/person_id"]
    await added(admin, path, person_id=person["id"])
    assert (await seller.get(path)).json()["items"][0]["name"] is None


async def test_a_contact_is_of_somebody_whatever_is_changed_and_by_whom(
    admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    seller = await make_user({f"{each}:{do}": "own" for each in ("customers", "contacts") for do in ("read", "write")})
    firm = await create(seller, kind="company")
    person = await create(admin)
    path = f"/v1/customers/{firm['id']}/contacts"
    named = f"{path}/{(await added(admin, path, person_id=person['id']))['id']}"
    assert pointers(await admin.patch(named, json={"person_id": None})) == ["/body/name"]
    seen = await seller.patch(named, json={"role": "buyer"})
    assert (seen.status_code, seen.json()["role"], seen.json()["name"]) == (200, "buyer", None)
    own = await admin.patch(named, json={"name": person["name"], "person_id": None})
    assert (own.status_code, own.json()["name"], own.json()["person_id"]) == (200, person["name"], None)


async def test_parts_are_of_their_customer_only(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    seller = await make_user({"customers:read": "own", "customers:write": "own", "addresses:read": "own"})
    mine, foreign = await create(seller), await create(admin)
    made = await added(admin, f"/v1/customers/{foreign['id']}/addresses", **ADDRESS)
    moved = f"/v1/customers/{mine['id']}/addresses/{made['id']}"
    assert (await seller.get(moved)).status_code == 404
    assert (await admin.patch(moved, json={"city": "x"})).status_code == 404
    assert (await seller.post(f"/v1/customers/{mine['id']}/addresses", json=ADDRESS)).status_code == 403


async def test_parts_are_audited_without_what_is_personal_and_go_with_their_customer(
    admin: httpx.AsyncClient, database: Database
) -> None:
    customer = f"/v1/customers/{(await create(admin))['id']}"
    made = await added(admin, f"{customer}/addresses", **ADDRESS)
    await admin.patch(f"{customer}/addresses/{made['id']}", json={"lines": "canary road"})
    await admin.delete(f"{customer}/addresses/{made['id']}")
    await added(admin, f"{customer}/addresses", **ADDRESS)
    await added(admin, f"{customer}/contacts", name="canary")
    assert (await admin.delete(customer)).status_code == 204
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT * FROM audit_event WHERE resource IN ('address', 'contact') ORDER BY id")
        for table in ("customer_address", "customer_contact"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    done = ["address.added", "address.changed", "address.removed", "address.added", "contact.added"]
    assert [row["action"] for row in rows] == done
    assert "canary" not in str([dict(row) for row in rows])


async def test_a_birthday_lies_behind_and_is_shown_to_whoever_sees_contact_data(
    admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    assert pointers(await admin.post("/v1/customers", json={"name": "x", "birthday": "2199-01-01"})) == [
        "/body/birthday"
    ]
    made = await create(admin, birthday="1990-02-03")
    assert made["birthday"] == "1990-02-03"
    reader = await make_user({"customers:read": "all"})
    assert (await reader.get(f"/v1/customers/{made['id']}")).json()["birthday"] is None
    assert (await admin.patch(f"/v1/customers/{made['id']}", json={"birthday": None})).json()["birthday"] is None
