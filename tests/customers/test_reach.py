"""Whose customers one may write, and what one sees of their contact data in every answer."""

from typing import Any
from uuid import UUID

import httpx

from app.core.db import Database
from tests.conftest import MakeUser
from tests.customers.customers import EMAIL, PHONE, create, external

CONTACT = {"phone": PHONE, "email": EMAIL, "identities": [external("C-1001")]}
MASKED = {"phone": "+86138****5678", "email": "l***@example.com", "identities": [external("C***")]}


def contact(customer: Any) -> Any:
    return {name: customer[name] for name in CONTACT}


async def a_unit(admin: httpx.AsyncClient, name: str, parent_id: str | None = None) -> UUID:
    answer = await admin.post("/v1/units", json={"name": name, "parent_id": parent_id})
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["id"])


async def test_contact_data_comes_masked_in_every_answer(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    seller = await make_user({"customers:read": "all", "customers:write": "all"})
    made = await create(seller, **CONTACT)
    path = f"/v1/customers/{made['id']}"
    answers = [
        made,
        (await seller.get(path)).json(),
        (await seller.patch(path, json={"region": "CN-11"})).json(),
        (await seller.patch(path, json={"email": EMAIL})).json(),
        (await seller.get("/v1/customers")).json()["items"][0],
        (await seller.post("/v1/customers/search", json={"where": {"tag": "x"}})).json(),
        (await seller.post("/v1/customers/search", json={"where": {"not": {"tag": "x"}}})).json()["items"][0],
    ]
    assert [contact(each) for each in answers if "id" in each] == [MASKED] * 6
    added = await seller.post(f"{path}/identities", json=external("ab"))
    assert sorted(each["value"] for each in added.json()["identities"]) == ["***", "C***"]
    assert contact((await admin.get(path)).json())["phone"] == PHONE


async def test_contact_data_is_clear_for_the_customers_that_read_contact_reaches(
    admin: httpx.AsyncClient, make_user: MakeUser
) -> None:
    seller = await make_user({"customers:read": "all", "customers:write": "all", "customers:read_contact": "own"})
    mine = await create(seller, **CONTACT)
    foreign = await create(admin, phone="+8613900001111", identities=[external("F-1001")])
    seen = {each["id"]: each for each in (await seller.get("/v1/customers")).json()["items"]}
    assert contact(seen[mine["id"]]) == CONTACT
    assert seen[foreign["id"]]["phone"] == "+86139****1111"
    # Nor can it be found out by asking.
    for identity, found in (("external:C-1001", [mine["id"]]), ("external:F-1001", [])):
        listed = (await seller.get("/v1/customers", params={"identity": identity, "include": "total"})).json()
        assert ([each["id"] for each in listed["items"]], listed["total"]) == (found, len(found))
    for phone, found in ((PHONE, [mine["id"]]), ("+8613900001111", [])):
        where = {"field": "phone", "op": "eq", "value": phone}
        listed = (await seller.post("/v1/customers/search", json={"where": where, "include_total": True})).json()
        assert ([each["id"] for each in listed["items"]], listed["total"]) == (found, len(found))


async def test_contact_data_is_no_filter_without_read_contact(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    seller = await make_user({"customers:read": "all"})
    await create(admin, **CONTACT)
    assert (await seller.get("/v1/customers?identity=external:C-1001")).status_code == 403
    for field, value in (("phone", PHONE), ("email", EMAIL)):
        for where in ({"field": field, "op": "eq", "value": value}, {"field": field, "op": "is_null", "value": False}):
            answer = await seller.post("/v1/customers/search", json={"where": {"not": {"all": [where]}}})
            assert answer.status_code == 403, where


async def test_nobody_puts_a_customer_where_that_one_could_not_reach_it(
    admin: httpx.AsyncClient, make_user: MakeUser, database: Database
) -> None:
    east, west = await a_unit(admin, "East"), await a_unit(admin, "West")
    team = await a_unit(admin, "Team", str(east))
    other = (await admin.get("/v1/me")).json()["id"]
    table: list[tuple[str, dict[str, Any], int]] = [
        ("own", {}, 201),
        ("own", {"owner_id": other}, 403),
        ("own", {"owner_id": other, "unit_id": str(east)}, 403),
        ("unit", {"owner_id": other}, 201),
        ("unit", {"owner_id": other, "unit_id": str(west)}, 403),
        ("unit", {"owner_id": other, "unit_id": str(team)}, 403),
        ("unit", {"unit_id": str(west)}, 201),  # it owns it
        ("subtree", {"owner_id": other, "unit_id": str(team)}, 201),
        ("subtree", {"owner_id": other, "unit_id": str(west)}, 403),
        ("all", {"owner_id": other, "unit_id": str(west)}, 201),
    ]
    for scope, place, status in table:
        writer = await make_user({"customers:read": scope, "customers:write": scope}, unit_id=east)
        made = await writer.post("/v1/customers", json={"name": "Li", **place})
        assert made.status_code == status, (scope, place, made.text)
        mine = await create(writer)
        assert (mine["owner_id"], mine["unit_id"]) == (writer.headers["X-Test-User"], str(east))
        moved = await writer.patch(f"/v1/customers/{mine['id']}", json=place)
        assert moved.status_code == (200 if status == 201 else status), (scope, place, moved.text)
        if status == 403:
            assert (await writer.get(f"/v1/customers/{mine['id']}")).json() == mine


async def test_a_customer_out_of_reach_is_not_there(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    foreign = await create(admin, **CONTACT)
    path = f"/v1/customers/{foreign['id']}"
    everything = dict.fromkeys(("customers:read", "customers:write", "customers:delete"), "own")
    seller = await make_user(everything)
    reader = await make_user({**everything, "customers:read": "all"})
    for who in (seller, reader):
        refused = [
            await who.patch(path, json={"name": "Mine"}),
            await who.delete(path),
            await who.post(f"{path}/identities", json=external("mine")),
            await who.delete(f"{path}/identities", params=external("C-1001")),
        ]
        assert [each.status_code for each in refused] == [404] * 4
    assert (await seller.get(path)).status_code == 404
    assert (await reader.get(path)).status_code == 200
    assert (await admin.get(path)).json() == foreign
    only_reader = await make_user({"customers:read": "all"})
    assert (await only_reader.patch(path, json={})).status_code == 403
    assert (await only_reader.delete(path)).status_code == 403
