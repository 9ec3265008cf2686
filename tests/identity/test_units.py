import asyncio
from typing import Any

import httpx
import pytest

from app.identity.units import MAX_DEPTH
from tests.identity.people import MakePerson, MakeRole, MakeUnit


async def test_units_are_a_tree_listed_from_the_root_down(admin: httpx.AsyncClient, make_unit: MakeUnit) -> None:
    (company,) = (await admin.get("/v1/units")).json()["items"]
    assert (company["parent_id"], company["depth"], company["path"]) == (None, 0, [company["name"]])
    sales = await make_unit("Sales", company["id"])
    service = await make_unit("Service", company["id"])
    east = await make_unit("East", sales)
    listed, cursor = [], None
    while True:
        query = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = (await admin.get("/v1/units", params=query)).json()
        listed += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert [unit["id"] for unit in listed] == [company["id"], sales, east, service]
    assert listed[2]["path"] == [company["name"], "Sales", "East"]
    assert [unit["depth"] for unit in listed] == [0, 1, 2, 1]


async def test_a_unit_is_renamed_moved_and_deleted(admin: httpx.AsyncClient, make_unit: MakeUnit) -> None:
    one, other = await make_unit("One"), await make_unit("Other")
    made = await admin.post("/v1/units", json={"name": "Team", "parent_id": one})
    path, seen = f"/v1/units/{made.json()['id']}", {"If-Match": made.headers["etag"]}
    moved = await admin.patch(path, json={"parent_id": other, "name": "Crew"}, headers=seen)
    assert moved.json()["path"] == ["Other", "Crew"]
    assert (await admin.patch(path, json={"name": "Team"}, headers=seen)).status_code == 412
    assert (await admin.patch(path, json={"parent_id": None})).json()["depth"] == 0
    assert (await admin.delete(path, headers=seen)).status_code == 412
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get(path)).status_code == 404


async def test_a_unit_cannot_lie_below_itself(admin: httpx.AsyncClient, make_unit: MakeUnit) -> None:
    top = await make_unit("Top")
    middle = await make_unit("Middle", top)
    bottom = await make_unit("Bottom", middle)
    for parent_id in (top, middle, bottom):
        answer = await admin.patch(f"/v1/units/{top}", json={"parent_id": parent_id})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/body/parent_id"


async def test_two_moves_at_once_make_no_cycle(admin: httpx.AsyncClient, make_unit: MakeUnit) -> None:
    one, other = await make_unit("One"), await make_unit("Other")
    answers = await asyncio.gather(
        admin.patch(f"/v1/units/{one}", json={"parent_id": other}),
        admin.patch(f"/v1/units/{other}", json={"parent_id": one}),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    assert len((await admin.get("/v1/units")).json()["items"]) == 3


async def test_the_tree_has_a_bottom(admin: httpx.AsyncClient, make_unit: MakeUnit) -> None:
    parent: str | None = None
    for level in range(MAX_DEPTH):
        parent = await make_unit(f"Level {level}", parent)
    too_deep = await admin.post("/v1/units", json={"name": "Too deep", "parent_id": parent})
    assert too_deep.status_code == 422
    short, long = await make_unit("Short"), await make_unit("Long")
    await make_unit("Tail", long)
    levels = [unit for unit in (await admin.get("/v1/units")).json()["items"] if unit["depth"] == MAX_DEPTH - 2]
    moves = {unit_id: {"parent_id": levels[0]["id"]} for unit_id in (short, long)}
    assert (await admin.patch(f"/v1/units/{short}", json=moves[short])).status_code == 200
    assert (await admin.patch(f"/v1/units/{long}", json=moves[long])).status_code == 422


async def test_a_unit_that_something_belongs_to_cannot_be_deleted(
    admin: httpx.AsyncClient, make_unit: MakeUnit, make_person: MakePerson
) -> None:
    parent, home, office = await make_unit("Parent"), await make_unit("Home"), await make_unit("Office")
    await make_unit("Child", parent)
    await make_person(unit_id=home)
    key = {"name": "Shop", "permissions": {}, "unit_id": office}
    assert (await admin.post("/v1/api-keys", json=key)).status_code == 201
    for unit_id in (parent, home, office):
        assert (await admin.delete(f"/v1/units/{unit_id}")).status_code == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "Company"}, 409),
        ({"name": ""}, 422),
        ({"name": "a\x00b"}, 422),
        ({"name": "x" * 201}, 422),
        ({"name": "New", "parent_id": "00000000-0000-0000-0000-000000000000"}, 422),
        ({"name": "New", "parent_id": "x"}, 422),
        ({"name": "New", "depth": 3}, 422),
    ],
)
async def test_a_unit_that_is_wrong_is_refused(admin: httpx.AsyncClient, body: dict[str, Any], status: int) -> None:
    assert (await admin.post("/v1/units", json=body)).status_code == status


@pytest.mark.parametrize(
    ("scope", "read", "written"),
    [
        ("own", {"Here"}, set()),
        ("unit", {"Here"}, {"Here"}),
        ("subtree", {"Here", "Below"}, {"Here", "Below"}),
        ("all", {"Company", "Here", "Below", "Elsewhere"}, {"Company", "Here", "Below", "Elsewhere"}),
    ],
)
async def test_one_reaches_the_units_of_ones_scope(
    admin: httpx.AsyncClient,
    make_person: MakePerson,
    make_unit: MakeUnit,
    make_role: MakeRole,
    scope: str,
    read: set[str],
    written: set[str],
) -> None:
    here = await make_unit("Here")
    await make_unit("Below", here)
    await make_unit("Elsewhere")
    person = await make_person(await make_role({"units:read": scope, "units:write": scope}), unit_id=here)
    seen = (await person.ask("GET", "/v1/units")).json()["items"]
    assert {unit["name"] for unit in seen} == read
    for unit in (await admin.get("/v1/units")).json()["items"]:
        assert (await person.ask("GET", f"/v1/units/{unit['id']}")).status_code == (
            200 if unit["name"] in read else 404
        )
        added = await person.ask("POST", "/v1/units", json={"name": "New", "parent_id": unit["id"]})
        assert added.status_code == (201 if unit["name"] in written else 403)
    root = await person.ask("POST", "/v1/units", json={"name": "New root"})
    assert root.status_code == (201 if scope == "all" else 403)


async def test_a_moved_unit_changes_at_once_who_is_seen(
    admin: httpx.AsyncClient, make_person: MakePerson, make_unit: MakeUnit, make_role: MakeRole
) -> None:
    here, team = await make_unit("Here"), await make_unit("Team")
    reader = await make_person(await make_role({"users:read": "subtree"}), unit_id=here)
    member = await make_person(unit_id=team)
    path = f"/v1/users/{member.id}"
    assert (await reader.ask("GET", path)).status_code == 404
    await admin.patch(f"/v1/units/{team}", json={"parent_id": here})
    assert (await reader.ask("GET", path)).status_code == 200
