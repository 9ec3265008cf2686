"""Customers change hands; who had them when stays known."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core.db import Database
from tests.conftest import MakeUser
from tests.customers.customers import create
from tests.customers.test_reach import a_unit

LEAD = dict.fromkeys(("customers:read", "customers:transfer"), "subtree")


async def history(who: httpx.AsyncClient, customer: dict[str, Any]) -> list[tuple[str | None, ...]]:
    """Owners and units, from and to, the latest first."""
    answer = await who.get(f"/v1/customers/{customer['id']}/transfers")
    assert answer.status_code == 200, answer.text
    names = ("from_owner_id", "to_owner_id", "from_unit_id", "to_unit_id")
    return [tuple(each[name] for name in names) for each in answer.json()["items"]]


async def events(database: Database) -> list[Any]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT payload FROM outbox_event WHERE name = 'customer.transferred' ORDER BY id"
        )
    return [row["payload"] for row in rows]


async def test_a_customer_changes_hands_with_history_event_and_audit(
    admin: httpx.AsyncClient, make_user: MakeUser, database: Database
) -> None:
    east, west = await a_unit(admin, "East"), await a_unit(admin, "West")
    first = await make_user({"customers:read": "own", "customers:write": "own"}, unit_id=east)
    second = await make_user({"customers:read": "own"}, unit_id=west)
    one, other = first.headers["X-Test-User"], second.headers["X-Test-User"]
    made = await create(first)
    path = f"/v1/customers/{made['id']}/transfer"
    moved = await admin.post(path, json={"owner_id": other, "unit_id": str(west)}, headers={"If-Match": '"1"'})
    assert moved.status_code == 200, moved.text
    assert (moved.json()["owner_id"], moved.json()["unit_id"], moved.json()["version"]) == (other, str(west), 2)
    assert (
        moved.headers["etag"],
        (await admin.post(path, json={"owner_id": one}, headers={"If-Match": '"1"'})).status_code,
    ) == ('"2"', 412)
    assert (await first.get(f"/v1/customers/{made['id']}")).status_code == 404
    assert (await second.get(f"/v1/customers/{made['id']}")).status_code == 200
    assert await history(second, made) == [(one, other, str(east), str(west))]
    assert await events(database) == [
        {
            "customer_id": made["id"],
            "from_owner_id": one,
            "to_owner_id": other,
            "from_unit_id": str(east),
            "to_unit_id": str(west),
        }
    ]
    noted = (await admin.get("/v1/audit", params={"resource_id": made["id"]})).json()["items"][0]
    assert (noted["action"], noted["before"]) == ("customer.transferred", {"owner_id": one, "unit_id": str(east)})
    assert noted["after"] == {"owner_id": other, "unit_id": str(west)}


async def test_to_where_a_customer_is_already_nothing_moves(admin: httpx.AsyncClient, database: Database) -> None:
    made = await create(admin)
    same = {"owner_id": made["owner_id"], "unit_id": made["unit_id"]}
    answer = await admin.post(f"/v1/customers/{made['id']}/transfer", json=same)
    assert answer.json() == made
    assert (await history(admin, made), await events(database)) == ([], [])


async def test_a_change_of_the_record_that_moves_a_customer_is_in_its_history_too(
    admin: httpx.AsyncClient, database: Database
) -> None:
    made, unit = await create(admin), str(await a_unit(admin, "East"))
    assert (await admin.patch(f"/v1/customers/{made['id']}", json={"unit_id": unit})).status_code == 200
    assert (await admin.post(f"/v1/customers/{made['id']}/transfer", json={"owner_id": None})).status_code == 200
    owner = made["owner_id"]
    assert await history(admin, made) == [(owner, None, unit, unit), (owner, owner, made["unit_id"], unit)]
    assert len(await events(database)) == 2


@pytest.mark.parametrize(
    ("scope", "unit", "to", "status"),
    [
        ("own", "east", "west", 404),
        ("unit", "east", "west", 403),
        ("unit", "east", "team", 403),
        ("unit", "west", "east", 404),
        ("unit", "team", "east", 404),
        ("subtree", "east", "team", 200),
        ("subtree", "team", "east", 200),
        ("subtree", "team", "west", 403),
        ("subtree", "west", "team", 404),
        ("all", "west", "team", 200),
        ("all", "east", None, 200),
    ],
)
async def test_one_transfers_what_one_reaches_to_where_one_reaches(
    admin: httpx.AsyncClient,
    make_user: MakeUser,
    database: Database,
    scope: str,
    unit: str,
    to: str | None,
    status: int,
) -> None:
    units: dict[str | None, UUID | None] = {None: None, "east": await a_unit(admin, "East")}
    units |= {"west": await a_unit(admin, "West"), "team": await a_unit(admin, "Team", str(units["east"]))}
    made = await create(admin, unit_id=str(units[unit]))
    lead = await make_user(dict.fromkeys(LEAD, scope), unit_id=units["east"])
    body = {"unit_id": str(units[to]) if to else None}
    answer = await lead.post(f"/v1/customers/{made['id']}/transfer", json=body)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert (await admin.get(f"/v1/customers/{made['id']}")).json() == made
        assert (await history(admin, made), await events(database)) == ([], [])


async def test_hands_that_are_not_there_are_refused(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    made, gone = await create(admin), (await make_user({})).headers["X-Test-User"]
    assert (await admin.delete(f"/v1/users/{gone}")).status_code == 204
    for body, pointer in [
        ({}, "/body"),
        ({"owner_id": gone}, "/body/owner_id"),
        ({"owner_id": made["id"]}, "/body/owner_id"),
        ({"unit_id": made["id"]}, "/body/unit_id"),
    ]:
        refused = await admin.post(f"/v1/customers/{made['id']}/transfer", json=body)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
