"""Batches of interactions: good rows are kept, each of the others says what is wrong with it."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.core.db import Database
from tests.conftest import MakeUser
from tests.customers.customers import PHONE, create, external, pointers

NOON = datetime(2020, 6, 30, 12, tzinfo=UTC)
PATH = "/v1/interactions/batch"
AT = NOON.isoformat()


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


async def send(client: httpx.AsyncClient, *rows: dict[str, Any]) -> Any:
    content = json.dumps({"interactions": rows})  # by which lone surrogates can be sent
    answer = await client.post(PATH, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_rows_are_recorded_as_interactions_are(admin: httpx.AsyncClient, database: Database) -> None:
    first = await create(admin, identities=[external("C-1")], phone=PHONE)
    second = await create(admin, identities=[{"kind": "phone", "value": PHONE}])
    me = (await admin.get("/v1/me")).json()["id"]
    whole = {
        "reference": "M-1",
        "kind": "meeting",
        "direction": "inbound",
        "outcome": "agreed",
        "occurred_at": AT,
        "duration_seconds": 60,
        "subject": 'A "quoted" \\ subject',
        "minutes": "Two\nlines",
        "matter": "service",
        "staff_ids": [me],
        "contacts": [{"contact_id": None, "name": "Somebody", "role": None}],
        "next_step": {"what": "Call", "due_on": "2020-07-01"},
        "attachments": [{"file_name": "a.txt", "media_type": None, "size": 1, "location": None}],
    }
    bare = {"kind": "web_event", "occurred_at": AT}
    answer = await send(
        admin,
        {**whole, "identity": external("C-1")},
        {**bare, "identity": {"kind": "phone", "value": "138 1234 5678"}},
        {**bare, "customer_id": first["id"]},
    )
    assert (answer["recorded"], answer["rejected"]) == (3, 0)
    assert [each["index"] for each in answer["items"]] == [0, 1, 2]
    listed = (await admin.get("/v1/interactions")).json()["items"]
    found = {each["id"]: each for each in listed}
    assert {each["id"] for each in answer["items"]} == set(found)
    made = found[answer["items"][0]["id"]]
    assert made | {**whole, "occurred_at": made["occurred_at"]} == made
    assert (made["version"], made["written_by"]) == (1, f"user:{me}")
    owners = [found[each["id"]]["customer_id"] for each in answer["items"]]
    assert owners == [first["id"], second["id"], first["id"]]
    async with database.connection() as connection:
        events = await connection.fetch("SELECT payload FROM outbox_event WHERE name = 'interaction.recorded'")
    assert {row["payload"]["interaction_id"] for row in events} == set(found)
    assert set(events[0]["payload"]) == {"customer_id", "interaction_id", "kind", "outcome", "occurred_at"}


async def test_wrong_rows_are_named_and_the_others_kept(admin: httpx.AsyncClient, database: Database) -> None:
    customer_id = (await create(admin, identities=[external("C-1")]))["id"]
    good = {"kind": "call", "occurred_at": AT, "customer_id": customer_id}
    rows: list[tuple[dict[str, Any], list[str]]] = [
        ({**good, "reference": "R-1"}, []),
        ({**good, "kind": "fax"}, ["/kind"]),
        ({**good, "reference": "R-1"}, ["/reference"]),
        ({"kind": "call"}, ["/occurred_at"]),
        ({"kind": "call", "occurred_at": AT}, [""]),
        ({**good, "identity": external("C-1")}, [""]),
        ({**good, "customer_id": str(uuid4())}, ["/customer_id"]),
        ({"kind": "call", "occurred_at": AT, "identity": external("C-2")}, ["/identity"]),
        ({"kind": "call", "occurred_at": AT, "identity": {"kind": "phone", "value": "x"}}, ["/identity/value"]),
        ({**good, "occurred_at": (NOON + timedelta(days=2)).isoformat()}, ["/occurred_at"]),
        ({**good, "staff_ids": [str(uuid4())]}, ["/staff_ids/0"]),
        ({**good, "minutes": "a\u0000b", "x": 1}, ["/minutes", "/x"]),
        ({**good, "contacts": [{"name": "\ud800"}]}, ["/contacts/0/name"]),
        ({}, ["/kind", "/occurred_at"]),
        (good, []),
    ]
    answer = await send(admin, *(row for row, _ in rows))
    said = [[error["pointer"] for error in each["errors"]] for each in answer["items"]]
    assert said == [[f"/body/interactions/{n}{field}" for field in wrong] for n, (_, wrong) in enumerate(rows)]
    assert [each["id"] is not None for each in answer["items"]] == [not wrong for _, wrong in rows]
    assert (answer["recorded"], answer["rejected"]) == (2, len(rows) - 2)
    again = await send(admin, *(row for row, _ in rows))
    assert again["recorded"] == 1, "what has a reference is recorded once"
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM interaction") == 3
        kept = await connection.fetch("SELECT after FROM audit_event WHERE action = 'interactions.recorded'")
    assert [row["after"]["recorded"] for row in kept] == [2, 1]


async def test_what_is_no_list_of_rows_is_refused_whole(admin: httpx.AsyncClient) -> None:
    bodies: list[Any] = [{}, {"interactions": []}, {"interactions": [{}] * 1001}, {"interactions": "x"}]
    for body in bodies:
        assert pointers(await admin.post(PATH, json=body)) == ["/body/interactions"]
    assert pointers(await admin.post(PATH, json={"interactions": [{}, 1]})) == ["/body/interactions/1"]


async def test_nobody_writes_about_customers_out_of_reach(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    seller = await make_user({"interactions:write": "own", "customers:write": "own"})
    mine = (await create(seller, identities=[external("M")]))["id"]
    foreign = (await create(admin, identities=[external("F")]))["id"]
    row = {"kind": "call", "occurred_at": AT}
    answer = await send(
        seller,
        {**row, "customer_id": foreign},
        {**row, "identity": external("F")},
        {**row, "customer_id": mine},
        {**row, "identity": external("M")},
    )
    assert [each["id"] is not None for each in answer["items"]] == [False, False, True, True]
    nobody = await send(seller, {**row, "customer_id": str(uuid4())}, {**row, "identity": external("nobody")})
    messages = {error["message"] for each in (answer, nobody) for item in each["items"] for error in item["errors"]}
    assert len(messages) == 1, "out of reach looks like not there"
