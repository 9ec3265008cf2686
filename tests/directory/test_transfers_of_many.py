"""Many customers change hands: whom it finds, whose rights count and when, how it ends, what is written down."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core.db import Database
from app.core.jobs import Interrupted, JobContext
from app.directory import moving
from app.directory.moving import run_transfer
from tests.conftest import MakeUser, RunJobs
from tests.customers.customers import create, pointers
from tests.customers.test_reach import a_unit

PATH = "/v1/customers/transfers"
LEAD = {"customers:read": "subtree", "customers:transfer": "subtree"}

Carried = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def carried(run_jobs: RunJobs) -> Carried:
    """A transfer that somebody asks for, once it has ended."""

    async def carry(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
        asked = await client.post(PATH, json=body)
        assert (asked.status_code, asked.json()["status"]) == (202, "queued"), asked.text
        await run_jobs()
        found: dict[str, Any] = (await client.get(asked.headers["location"])).json()
        return found

    return carry


def owner_of(user: httpx.AsyncClient) -> str:
    return user.headers["X-Test-User"]


async def owners(admin: httpx.AsyncClient, customers: list[Any]) -> list[str | None]:
    return [(await admin.get(f"/v1/customers/{each['id']}")).json()["owner_id"] for each in customers]


def counts(work: dict[str, Any]) -> dict[str, Any]:
    names = ("status", "processed", "total", "moved", "unchanged", "out_of_reach")
    return {name: work[name] for name in names}


async def test_who_is_meant_moves_block_by_block_with_history_audit_and_event_each(
    admin: httpx.AsyncClient,
    database: Database,
    make_user: MakeUser,
    carried: Carried,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(moving, "BLOCK", 2)
    one, other = await make_user({}), await make_user({})
    mine = [await create(admin, name=f"n{n}", owner_id=owner_of(one), tags=["fair"] * (n < 3)) for n in range(5)]
    there = await create(admin, owner_id=owner_of(other), tags=["fair"])
    to = {"owner_id": owner_of(other)}
    body = {"to": to, "where": {"tag": "fair"}}
    dry = await carried(admin, **body, dry_run=True)
    expected = {
        "status": "completed",
        "processed": 4,
        "total": 4,
        "moved": 3,
        "unchanged": 1,
        "out_of_reach": 0,
    }
    assert (counts(dry), dry["dry_run"], dry["to"]["owner_id"]) == (expected, True, to["owner_id"])
    assert await owners(admin, mine) == [owner_of(one)] * 5
    work = await carried(admin, **body)
    assert counts(work) == expected
    assert await owners(admin, [*mine, there]) == [owner_of(other)] * 3 + [owner_of(one)] * 2 + [owner_of(other)]
    for each in mine[:3]:
        line = (await admin.get(f"/v1/customers/{each['id']}/transfers")).json()["items"][0]
        assert (line["transfer_id"], line["from_owner_id"], line["to_owner_id"]) == (
            work["id"],
            owner_of(one),
            owner_of(other),
        )
        assert line["transferred_by"].startswith("user:")
    async with database.connection() as connection:
        audited = await connection.fetch("SELECT resource_id FROM audit_event WHERE action = 'customer.transferred'")
        told = await connection.fetch("SELECT payload FROM outbox_event WHERE name = 'customer.transferred'")
        payloads = await connection.fetch("SELECT payload FROM job WHERE name = 'transfers.run'")
    ids = {each["id"] for each in mine[:3]}
    assert {row["resource_id"] for row in audited} == ids == {row["payload"]["customer_id"] for row in told}
    assert len(audited) == len(told) == 3
    assert {tuple(row["payload"]) for row in payloads} == {("transfer_id",)}


async def test_by_list_by_owner_and_by_unit_and_all_that_is_said_must_hold(
    admin: httpx.AsyncClient, make_user: MakeUser, carried: Carried
) -> None:
    east, west = await a_unit(admin, "East"), await a_unit(admin, "West")
    one, other = await make_user({}), await make_user({})
    rows = [(one, east), (one, west), (other, east)]
    made = [await create(admin, owner_id=owner_of(owner), unit_id=str(unit)) for owner, unit in rows]
    cases: list[tuple[dict[str, Any], int]] = [
        ({"customer_ids": [made[0]["id"], made[2]["id"]]}, 2),
        ({"from_owner_id": owner_of(one)}, 2),
        ({"from_unit_id": str(east)}, 2),
        ({"from_owner_id": owner_of(one), "from_unit_id": str(east)}, 1),
        ({"from_owner_id": owner_of(one), "customer_ids": [made[2]["id"]]}, 0),
    ]
    for body, found in cases:
        work = await carried(admin, to={"owner_id": None}, dry_run=True, **body)
        assert (work["total"], work["moved"]) == (found, found), body
    work = await carried(admin, to={"unit_id": str(west)}, from_owner_id=owner_of(one))
    assert (work["moved"], work["unchanged"]) == (1, 1)
    shown = [(await admin.get(f"/v1/customers/{each['id']}")).json()["unit_id"] for each in made]
    assert shown == [str(west), str(west), str(east)]


async def test_nobody_out_of_reach_moves_nor_to_where_one_does_not_reach(
    admin: httpx.AsyncClient, make_user: MakeUser, carried: Carried
) -> None:
    east, west = await a_unit(admin, "East"), await a_unit(admin, "West")
    lead = await make_user(LEAD, unit_id=east)
    ours, theirs = [await create(admin, unit_id=str(unit), tags=["fair"]) for unit in (east, west)]
    both = [ours["id"], theirs["id"]]
    for dry_run in (True, False):
        work = await carried(lead, to={"unit_id": str(west), "owner_id": None}, customer_ids=both, dry_run=dry_run)
        assert counts(work) == {
            "status": "completed",
            "processed": 1,
            "total": 1,
            "moved": 0,
            "unchanged": 0,
            "out_of_reach": 1,
        }
    assert (await admin.get(f"/v1/customers/{ours['id']}")).json()["unit_id"] == str(east)
    work = await carried(lead, to={"owner_id": owner_of(lead)}, where={"tag": "fair"})
    assert (work["total"], work["moved"]) == (1, 1)
    assert await owners(admin, [ours, theirs]) == [owner_of(lead), theirs["owner_id"]]
    assert (await admin.get(f"{PATH}/{work['id']}")).status_code == 404, "another's"
    assert (await admin.post(f"{PATH}/{work['id']}/cancel")).status_code == 404
    assert [each["moved"] for each in (await lead.get(PATH)).json()["items"]] == [1, 0, 0]


async def test_a_search_moves_nobody_whom_one_may_transfer_but_not_see(
    admin: httpx.AsyncClient, make_user: MakeUser, carried: Carried
) -> None:
    seller = await make_user({"customers:read": "own", "customers:transfer": "all"})
    mine = await create(admin, owner_id=owner_of(seller), tags=["fair"])
    theirs = await create(admin, tags=["fair"])
    for dry_run in (True, False):
        work = await carried(seller, to={"owner_id": None}, where={"tag": "fair"}, dry_run=dry_run)
        assert (work["total"], work["moved"]) == (1, 1)
    assert await owners(admin, [mine, theirs]) == [None, theirs["owner_id"]]


@pytest.mark.parametrize("lost", ["the permission", "the account"])
async def test_the_rights_are_those_of_when_it_is_carried_out(
    admin: httpx.AsyncClient, make_user: MakeUser, run_jobs: RunJobs, database: Database, lost: str
) -> None:
    lead = await make_user({"customers:read": "all", "customers:transfer": "all"})
    made = await create(admin)
    asked = await lead.post(PATH, json={"to": {"owner_id": None}, "customer_ids": [made["id"]]})
    async with database.connection() as connection:
        user = UUID(owner_of(lead))
        if lost == "the account":
            await connection.execute("UPDATE user_account SET active = false WHERE id = $1", user)
        else:
            await connection.execute(
                "UPDATE role SET permissions = $2 WHERE id = (SELECT role_id FROM user_role WHERE user_id = $1)",
                user,
                {"customers:read": "all"},
            )
        await run_jobs()
        row = await connection.fetchrow("SELECT * FROM transfer WHERE id = $1", UUID(asked.json()["id"]))
    assert (await owners(admin, [made])) == [made["owner_id"]]
    assert (row["status"], row["moved"]) == (("failed", 0) if lost == "the account" else ("completed", 0))
    assert lost == "the permission" or row["error"] == "Whoever asked for this may not do it any more"


async def test_a_key_transfers_until_it_is_revoked(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database
) -> None:
    made = [await create(admin, name=name) for name in "ab"]
    body = {"name": "k", "permissions": {"customers:read": "all", "customers:transfer": "all"}}
    key = (await admin.post("/v1/api-keys", json=body)).json()
    for each, revoked in zip(made, (False, True), strict=True):
        asked = {"to": {"owner_id": None}, "customer_ids": [each["id"]]}
        admitted = {"Authorization": f"Bearer {key['key']}"}
        async with httpx.AsyncClient(transport=admin._transport, base_url=admin.base_url, headers=admitted) as by_key:
            answer = await by_key.post(PATH, json=asked)
        assert answer.status_code == 202, answer.text
        if revoked:
            assert (await admin.delete(f"/v1/api-keys/{key['id']}")).status_code == 204
        await run_jobs()
    assert await owners(admin, made) == [None, made[1]["owner_id"]]
    async with database.connection() as connection:
        ended = await connection.fetch("SELECT status FROM transfer ORDER BY id")
    assert [row["status"] for row in ended] == ["completed", "failed"]


async def test_interrupted_it_goes_on_where_it_was_and_cancelled_what_is_moved_stays(
    admin: httpx.AsyncClient, database: Database, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BLOCK", 1)
    other = await make_user({})
    made = [await create(admin, name=f"n{n}") for n in range(4)]
    asked = await admin.post(
        PATH, json={"to": {"owner_id": owner_of(other)}, "customer_ids": [each["id"] for each in made]}
    )
    stopping = asyncio.Event()
    stopping.set()
    context = JobContext(database, {"transfer_id": asked.json()["id"]}, None, stopping)
    for _ in range(2):
        with pytest.raises(Interrupted):
            await run_transfer(context)
    assert (await owners(admin, made)).count(owner_of(other)) == 2
    path = asked.headers["location"]
    shown = (await admin.get(path)).json()
    assert (shown["status"], shown["processed"], shown["total"]) == ("running", 2, 4)
    assert (await admin.post(f"{path}/cancel")).json()["status"] == "cancelled"
    await run_transfer(context)
    assert (await owners(admin, made)).count(owner_of(other)) == 2
    assert (await admin.post(f"{path}/cancel")).status_code == 409
    for each in made:
        moves = (await admin.get(f"/v1/customers/{each['id']}/transfers")).json()["items"]
        assert len(moves) == (each in made[:2])


async def test_the_same_request_twice_is_one_transfer(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    made = await create(admin)
    body = {"to": {"owner_id": None}, "customer_ids": [made["id"]]}
    answers = [await admin.post(PATH, json=body, headers={"Idempotency-Key": "k-1"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    await run_jobs()
    assert len((await admin.get(PATH)).json()["items"]) == 1


async def test_what_cannot_be_asked_is_refused(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    somebody = str(UUID(int=1))
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"to": {"owner_id": None}}, ["/body"]),
        ({"to": {}, "from_owner_id": somebody}, ["/body/to"]),
        ({"to": {"owner_id": somebody}, "from_owner_id": somebody}, ["/body/to/owner_id"]),
        ({"to": {"unit_id": somebody}, "from_owner_id": somebody}, ["/body/to/unit_id"]),
        ({"to": {"owner_id": None}, "customer_ids": []}, ["/body/customer_ids"]),
        ({"to": {"owner_id": None}, "where": {"metric": "x", "op": "gte", "value": "1"}}, ["/body/where/metric"]),
    ]
    for body, where in cases:
        assert pointers(await admin.post(PATH, json=body)) == where, body
    masked = await make_user({"customers:read": "all", "customers:transfer": "all"})
    by_phone = {"to": {"owner_id": None}, "where": {"field": "phone", "op": "eq", "value": "+8613812345678"}}
    assert (await masked.post(PATH, json=by_phone)).status_code == 403
    reader = await make_user({"customers:read": "all"})
    assert (await reader.post(PATH, json={"to": {"owner_id": None}, "from_owner_id": somebody})).status_code == 403
