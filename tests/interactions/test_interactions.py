"""Interactions over the API: what is recorded, how it is corrected, what is refused and where, who sees them."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.core.checks import findings
from app.core.db import Database
from app.interactions.checks import CHECKS
from tests.conftest import MakeUser
from tests.customers.customers import create, pointers

NOON = datetime(2020, 6, 30, 12, tzinfo=UTC)
CALL: dict[str, Any] = {
    "reference": "CALL-1",
    "kind": "call",
    "direction": "inbound",
    "outcome": "interested",
    "occurred_at": "2020-06-02T11:04:05+08:00",
    "duration_seconds": 420,
    "subject": "Spring teas",
    "minutes": "Asked for samples.\nWill decide in July.",
    "matter": "product",
    "contacts": [{"contact_id": None, "name": "Purchasing desk", "role": "buyer"}],
    "next_step": {"what": "Send the samples", "due_on": "2020-07-03"},
    "attachments": [
        {"file_name": "list.pdf", "media_type": "application/pdf", "size": 48213, "location": "files/price-list"}
    ],
}


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


@pytest.fixture
async def path(admin: httpx.AsyncClient) -> str:
    return f"/v1/customers/{(await create(admin))['id']}/interactions"


async def record(client: httpx.AsyncClient, path: str, **body: Any) -> Any:
    answer = await client.post(path, json={"occurred_at": NOON.isoformat(), "kind": "email", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def user_of(client: httpx.AsyncClient) -> str:
    return str((await client.get("/v1/me")).json()["id"])


async def test_an_interaction_is_answered_as_it_was_recorded(admin: httpx.AsyncClient, path: str) -> None:
    me = await user_of(admin)
    answer = await admin.post(path, json={**CALL, "staff_ids": [me, me]})
    assert answer.status_code == 201
    assert answer.headers["etag"] == '"1"'
    made = answer.json()
    assert made == {
        **CALL,
        "id": made["id"],
        "customer_id": path.split("/")[3],
        "version": 1,
        "occurred_at": "2020-06-02T03:04:05Z",
        "staff_ids": [me],
        "written_at": made["written_at"],
        "written_by": f"user:{me}",
        "reason": None,
    }
    assert (await admin.get(f"{path}/{made['id']}")).json() == made
    for listed in (path, "/v1/interactions", f"{path}/{made['id']}/versions"):
        assert (await admin.get(listed)).json() == {"items": [made], "next_cursor": None}


async def test_only_what_kind_of_thing_and_when_need_be_said(admin: httpx.AsyncClient, path: str) -> None:
    made = await record(admin, path)
    nothing = {key: made[key] for key in CALL if key not in ("kind", "occurred_at")}
    assert nothing == {**dict.fromkeys(nothing), "contacts": [], "attachments": []}
    assert made["staff_ids"] == []


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"occurred_at": (NOON + timedelta(days=1, hours=12)).isoformat()}, "/body/occurred_at"),
    ({"occurred_at": "2020-06-02T03:04:05"}, "/body/occurred_at"),
    ({"kind": "fax"}, "/body/kind"),
    ({"direction": "sideways"}, "/body/direction"),
    ({"outcome": "No answer"}, "/body/outcome"),
    ({"duration_seconds": -1}, "/body/duration_seconds"),
    ({"duration_seconds": 7 * 24 * 3600 + 1}, "/body/duration_seconds"),
    ({"subject": ""}, "/body/subject"),
    ({"minutes": "x" * 10_001}, "/body/minutes"),
    ({"minutes": "a\u0000b"}, "/body/minutes"),
    ({"matter": "weather"}, "/body/matter"),
    ({"staff_ids": [str(uuid4())]}, "/body/staff_ids/0"),
    ({"contacts": [{"role": "buyer"}]}, "/body/contacts/0"),
    ({"contacts": [{"name": "x"}] * 51}, "/body/contacts"),
    ({"next_step": {"due_on": "2020-07-03"}}, "/body/next_step/what"),
    ({"next_step": {"what": "Call", "due_on": "soon"}}, "/body/next_step/due_on"),
    ({"attachments": [{"file_name": "x", "size": -1}]}, "/body/attachments/0/size"),
    ({"attachments": [{"file_name": "x", "media_type": "pdf"}]}, "/body/attachments/0/media_type"),
    ({"version": 2}, "/body/version"),
]


async def test_what_is_wrong_is_named_and_nothing_is_recorded(
    admin: httpx.AsyncClient, path: str, database: Database
) -> None:
    for change, pointer in WRONG:
        body = {"occurred_at": NOON.isoformat(), "kind": "call", **change}
        assert pointers(await admin.post(path, json=body)) == [pointer], change
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM interaction") == 0


async def test_a_reference_is_recorded_once_for_each_customer(admin: httpx.AsyncClient, path: str) -> None:
    await record(admin, path, reference="M-1")
    again = await admin.post(path, json={"occurred_at": NOON.isoformat(), "kind": "chat", "reference": "M-1"})
    assert pointers(again, 409) == ["/body/reference"]
    elsewhere = f"/v1/customers/{(await create(admin))['id']}/interactions"
    await record(admin, elsewhere, reference="M-1")


# ---- corrections -----------------------------------------------------------------------------------------------------


async def test_a_correction_is_a_new_version_and_the_earlier_ones_stay(
    admin: httpx.AsyncClient, path: str, database: Database
) -> None:
    made = (await admin.post(path, json=CALL)).json()
    one = f"{path}/{made['id']}"
    change: dict[str, Any] = {"outcome": "order_placed", "next_step": None, "contacts": [], "reason": "it was an order"}
    answer = await admin.patch(one, json=change, headers={"If-Match": '"1"'})
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    second = answer.json()
    assert second == {**made, **change, "version": 2, "written_at": second["written_at"]}
    third = (await admin.patch(one, json={"next_step": {"what": "Ship"}})).json()
    assert third["next_step"] == {"what": "Ship", "due_on": None}
    assert (third["version"], third["reason"]) == (3, None)
    assert (await admin.get(one)).json() == third
    assert (await admin.get(path)).json()["items"] == [third]
    assert (await admin.get(f"{one}/versions")).json() == {"items": [third, second, made], "next_cursor": None}
    page = (await admin.get(f"{one}/versions", params={"limit": 2})).json()
    assert page["items"] == [third, second]
    rest = await admin.get(f"{one}/versions", params={"limit": 2, "cursor": page["next_cursor"]})
    assert rest.json() == {"items": [made], "next_cursor": None}
    async for finding in findings(database, CHECKS):
        assert not finding.violations, finding


async def test_what_corrects_nothing_writes_nothing(admin: httpx.AsyncClient, path: str, database: Database) -> None:
    made = (await admin.post(path, json=CALL)).json()
    same = {"outcome": "interested", "minutes": CALL["minutes"], "contacts": CALL["contacts"], "reason": "none"}
    for body in ({}, same):
        answer = await admin.patch(f"{path}/{made['id']}", json=body)
        assert answer.json() == made
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM interaction_version") == 0
        assert await connection.fetchval("SELECT count(*) FROM outbox_event WHERE name = 'interaction.corrected'") == 0


async def test_a_correction_that_is_wrong_is_refused(admin: httpx.AsyncClient, path: str) -> None:
    one = f"{path}/{(await record(admin, path))['id']}"
    for change, pointer in WRONG:
        assert pointers(await admin.patch(one, json=change)) == [pointer], change
    for field in ("kind", "occurred_at", "contacts"):
        assert pointers(await admin.patch(one, json={field: None})) == [f"/body/{field}"]
    assert pointers(await admin.patch(one, json={"reference": "another"})) == ["/body/reference"]
    stale = await admin.patch(one, json={"kind": "chat"}, headers={"If-Match": '"2"'})
    assert stale.status_code == 412
    assert (await admin.patch(f"{path}/{uuid4()}", json={})).status_code == 404
    elsewhere = f"/v1/customers/{(await create(admin))['id']}/interactions/{one.rsplit('/', 1)[-1]}"
    for asked in (admin.get(elsewhere), admin.get(f"{elsewhere}/versions"), admin.patch(elsewhere, json={})):
        assert (await asked).status_code == 404


async def test_corrections_at_the_same_moment_are_one_version_each(
    admin: httpx.AsyncClient, path: str, database: Database
) -> None:
    one = f"{path}/{(await record(admin, path))['id']}"
    answers = await asyncio.gather(*(admin.patch(one, json={"outcome": f"outcome_{n}"}) for n in range(6)))
    assert sorted(answer.json()["version"] for answer in answers) == [2, 3, 4, 5, 6, 7]
    versions = (await admin.get(f"{one}/versions")).json()["items"]
    assert [each["version"] for each in versions] == [7, 6, 5, 4, 3, 2, 1]
    async for finding in findings(database, CHECKS):
        assert not finding.violations, finding


# ---- finding them ----------------------------------------------------------------------------------------------------


async def test_the_latest_come_first_page_by_page_and_filtered(admin: httpx.AsyncClient, path: str) -> None:
    other = f"/v1/customers/{(await create(admin))['id']}/interactions"
    made = [
        await record(
            admin,
            (path, other)[n % 2],
            kind=("call", "visit")[n % 3 == 0],
            outcome=("reached", "no_answer")[n % 2],
            occurred_at=(NOON - timedelta(hours=n // 2)).isoformat(),
        )
        for n in range(8)
    ]
    expected = sorted(made, key=lambda each: (each["occurred_at"], each["customer_id"], each["id"]), reverse=True)

    async def listed(path: str, **params: Any) -> list[Any]:
        found: list[Any] = []
        while True:
            page = (await admin.get(path, params={"limit": 3, **params})).json()
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]

    assert await listed("/v1/interactions") == expected
    assert await listed(path) == [each for each in expected if each["customer_id"] in path]
    assert await listed("/v1/interactions", kind="visit") == [each for each in expected if each["kind"] == "visit"]
    assert await listed(path, outcome="no_answer") == []
    since, until = NOON - timedelta(hours=2), NOON
    assert await listed("/v1/interactions", since=since.isoformat(), until=until.isoformat()) == expected[2:6]
    first = (await admin.get("/v1/interactions", params={"limit": 3, "kind": "call"})).json()
    foreign = await admin.get("/v1/interactions", params={"cursor": first["next_cursor"], "kind": "visit"})
    assert foreign.status_code == 422


async def test_interactions_follow_their_customer(admin: httpx.AsyncClient, make_user: MakeUser, path: str) -> None:
    seller = await make_user({"interactions:read": "own", "interactions:write": "own", "customers:write": "own"})
    mine = f"/v1/customers/{(await create(seller))['id']}/interactions"
    foreign = await record(admin, path)
    own = await record(seller, mine)
    assert [each["id"] for each in (await seller.get("/v1/interactions")).json()["items"]] == [own["id"]]
    for asked in (
        seller.get(path),
        seller.get(f"{path}/{foreign['id']}"),
        seller.get(f"{path}/{foreign['id']}/versions"),
        seller.patch(f"{path}/{foreign['id']}", json={"kind": "call"}),
        seller.post(path, json={"occurred_at": NOON.isoformat(), "kind": "call"}),
    ):
        assert (await asked).status_code == 404
    assert (await seller.patch(f"{mine}/{own['id']}", json={"kind": "call"})).status_code == 200


# ---- what others hear and keep ---------------------------------------------------------------------------------------


async def test_events_and_audit_say_that_it_happened_and_not_what_was_said(
    admin: httpx.AsyncClient, path: str, database: Database
) -> None:
    made = (await admin.post(path, json=CALL)).json()
    await admin.patch(f"{path}/{made['id']}", json={"minutes": "Secret canary", "reason": "canary", "outcome": "lost"})
    async with database.connection() as connection:
        events = await connection.fetch("SELECT name, payload FROM outbox_event WHERE name LIKE 'interaction%'")
        audited = await connection.fetch(
            "SELECT action, before::text, after::text FROM audit_event WHERE resource = 'interaction'"
        )
    ids = {"customer_id": made["customer_id"], "interaction_id": made["id"]}
    recorded = {"kind": "call", "outcome": "interested", "occurred_at": "2020-06-02T03:04:05+00:00"}
    corrected = {"version": 2, "fields": ["minutes", "outcome"]}
    assert {row["name"]: row["payload"] for row in events} == {
        "interaction.recorded": {**ids, **recorded},
        "interaction.corrected": {**ids, **corrected},
    }
    assert [row["action"] for row in audited] == ["interaction.recorded", "interaction.corrected"]
    written = str([dict(row) for row in audited])
    assert not [word for word in ("canary", "samples", "Purchasing", "Spring", "list.pdf") if word in written]


async def test_a_deleted_customers_interactions_are_gone_with_all_their_versions(
    admin: httpx.AsyncClient, path: str, database: Database
) -> None:
    made = await record(admin, path)
    await admin.patch(f"{path}/{made['id']}", json={"kind": "call"})
    customer_id = path.split("/")[3]
    assert (await admin.delete(f"/v1/customers/{customer_id}")).status_code == 204
    async with database.connection() as connection:
        for table in ("interaction", "interaction_version"):
            left = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE customer_id = $1", UUID(customer_id))
            assert left == 0
    async for finding in findings(database, CHECKS):
        assert not finding.violations, finding
