"""Data quality: what is wrong with whom, counted as it is listed, as far as one sees; owners are reminded."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core import clock
from app.core.db import Database
from app.core.jobs import JobContext
from app.quality.reminders import remind
from app.quality.rules import Finding
from tests.conftest import MakeUser
from tests.customers.customers import EMAIL, PHONE, create, external, pointers

REPORT, GROUPS, CUSTOMERS = "/v1/data-quality", "/v1/data-quality/groups", "/v1/data-quality/customers"
WHOLE = {"region": "CN-31", "source": "fair"}


async def execute(database: Database, statement: str, *values: Any) -> None:
    async with database.connection() as connection:
        await connection.execute(statement, *values)


async def counts(client: httpx.AsyncClient) -> dict[str, int]:
    """Findings that somebody has."""
    answer = await client.get(REPORT)
    assert answer.status_code == 200, answer.text
    found = {each["finding"]: each["customers"] for each in answer.json()["findings"]}
    assert set(found) == set(Finding)
    return {name: count for name, count in found.items() if count}


async def listed(client: httpx.AsyncClient, finding: str, **query: Any) -> list[str]:
    """Who is behind a count, page by page."""
    ids: list[str] = []
    asked = {"finding": finding, "limit": 2, **query}
    while True:
        answer = await client.get(CUSTOMERS, params=asked)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        ids += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            return ids
        asked["cursor"] = page["next_cursor"]


async def a_company(client: httpx.AsyncClient) -> Any:
    return await create(client, kind="company", name="Lantern", phone="+8613800000009", **WHOLE)


async def test_a_whole_record_has_no_finding(admin: httpx.AsyncClient) -> None:
    company = await a_company(admin)
    identities = [external("C-1"), {"kind": "phone", "value": PHONE}]
    await create(admin, phone=PHONE, email=EMAIL, company_id=company["id"], identities=identities, **WHOLE)
    assert await counts(admin) == {}
    report = (await admin.get(REPORT)).json()
    assert (report["customers"], report["with_findings"]) == (2, 0)


Spoil = tuple[str, dict[str, Any], str | None]
SPOILT: list[Spoil] = [
    ("missing_contact", {"phone": None}, None),
    ("missing_name", {"name": "C-7", "identities": [external("C-7")]}, None),
    ("missing_region", {"region": None}, None),
    ("missing_source", {"source": None}, None),
    ("missing_owner", {}, "owner_id = NULL"),
    ("invalid_phone", {}, "phone = '0138 12'"),
    ("invalid_region", {"region": "XX"}, None),
    ("invalid_region", {"region": "XX-31"}, None),
    ("invalid_region", {"region": "CN-99"}, None),
    ("invalid_region", {"region": "CN-31-99"}, None),
    ("invalid_email", {"email": EMAIL}, "email = 'li.wei at example'"),
    ("stale", {}, "updated_at = now() - interval '366 days'"),
    ("conflicting_company", {}, "company_id = gen_random_uuid()"),
]


@pytest.mark.parametrize(
    ("finding", "fields", "spoilt"), SPOILT, ids=[f"{each[0]}-{each[1].get('region', '')}" for each in SPOILT]
)
async def test_what_is_wrong_is_found_and_nothing_else(
    admin: httpx.AsyncClient, database: Database, finding: str, fields: dict[str, Any], spoilt: str | None
) -> None:
    await create(admin, name="whole", phone=PHONE, **WHOLE)
    made = await create(admin, **{"phone": "+8613812345679", **WHOLE, **fields})
    if spoilt:
        await execute(database, f"UPDATE customer SET {spoilt} WHERE id = $1", UUID(made["id"]))
    assert await counts(admin) == {finding: 1}
    assert await listed(admin, finding) == [made["id"]]


async def test_a_region_may_be_finer_than_the_tree_where_the_tree_ends(admin: httpx.AsyncClient) -> None:
    regions = ["US", "US-CA", "GB-LND-1", "CN", "CN-31", "CN-71-A", "CN-31-01-15", "CN-31-01-15-X"]
    for n, region in enumerate(regions):
        await create(admin, name=f"n{n}", phone=f"+861381234000{n}", source="fair", region=region)
    assert await counts(admin) == {}
    made = await create(admin, phone=PHONE, source="shop", region="CN-31-01-99")
    assert await listed(admin, "invalid_region", source="shop") == [made["id"]]
    assert await listed(admin, "invalid_region", source="fair") == []


async def test_whoever_can_be_reached_otherwise_misses_no_contact(admin: httpx.AsyncClient) -> None:
    await create(admin, identities=[{"kind": "wechat", "value": "o-1"}], **WHOLE)
    made = await create(admin, identities=[external("C-1")], **WHOLE)
    assert await listed(admin, "missing_contact") == [made["id"]]


async def test_what_happens_with_a_customer_keeps_the_record_fresh(
    admin: httpx.AsyncClient, database: Database, setting: Callable[..., None]
) -> None:
    quiet, buyer, caller = [await create(admin, name=name, phone=None, **WHOLE) for name in "abc"]
    at = clock.business_now().isoformat()
    path = f"/v1/customers/{buyer['id']}/purchases"
    assert (await admin.post(path, json={"occurred_at": at, "amount": "1"})).status_code == 201
    path = f"/v1/customers/{caller['id']}/interactions"
    assert (await admin.post(path, json={"occurred_at": at, "kind": "call"})).status_code == 201
    assert await listed(admin, "stale") == []
    await execute(database, "UPDATE customer SET updated_at = now() - interval '40 days'")
    assert await listed(admin, "stale") == []
    setting(stale_after_days=30)
    assert await listed(admin, "stale") == [quiet["id"]]


async def test_who_has_the_same_contact_data_is_in_conflict_with_each_other(admin: httpx.AsyncClient) -> None:
    one, two = [await create(admin, phone=PHONE, email=email, **WHOLE) for email in ("a@x.example", "A@x.example")]
    holder = await create(admin, name="holder", identities=[{"kind": "phone", "value": PHONE}], **WHOLE)
    assert await counts(admin) == {"conflicting_phone": 2, "conflicting_email": 2, "conflicting_identity": 2}
    for finding in ("conflicting_phone", "conflicting_email", "conflicting_identity"):
        assert await listed(admin, finding) == sorted([one["id"], two["id"]])
    await admin.patch(f"/v1/customers/{holder['id']}", json={"phone": PHONE})
    assert len(await listed(admin, "conflicting_phone")) == 3


async def test_what_a_custom_field_does_not_take_any_more_is_found(admin: httpx.AsyncClient) -> None:
    values = {"size": "12,5", "grade": "Z", "uses": "a;q", "since": "soon", "active": "yes"}
    fine = {"size": "12.5", "grade": "A", "uses": "a;b", "since": "2026-01-02", "active": "true"}
    whole = await create(admin, phone="+8613800000001", custom=fine, **WHOLE)
    made = [
        await create(admin, phone=f"+861380000001{n}", custom={**fine, key: value}, **WHOLE)
        for n, (key, value) in enumerate(values.items())
    ]
    assert await counts(admin) == {}, "nobody said yet what the fields take"
    for key, kind, options in [
        ("size", "number", []),
        ("grade", "choice", ["A", "B"]),
        ("uses", "multi_choice", ["a", "b"]),
        ("since", "date", []),
        ("active", "boolean", []),
    ]:
        body = {"key": key, "title": key, "type": kind, "options": options}
        assert (await admin.post("/v1/custom-fields", json=body)).status_code == 201
    assert await listed(admin, "invalid_custom") == sorted(each["id"] for each in made)
    assert whole["id"] not in await listed(admin, "invalid_custom")


async def test_a_number_beyond_its_bounds_and_a_needed_value_that_is_not_there_are_found(
    admin: httpx.AsyncClient,
) -> None:
    low, high, text, empty, fine, none = [
        await create(admin, phone=f"+861380000001{n}", custom=custom, **WHOLE)
        for n, custom in enumerate(
            [{"points": "-1"}, {"points": "10.5"}, {"points": "many"}, {"points": ""}, {"points": "10"}, {}]
        )
    ]
    body = {"key": "points", "title": "Points", "type": "number", "minimum": "0", "maximum": "10", "required": True}
    defined = await admin.post("/v1/custom-fields", json=body)
    assert defined.status_code == 201
    assert await listed(admin, "invalid_custom") == sorted(each["id"] for each in (low, high, text, empty))
    assert await listed(admin, "missing_custom") == sorted(each["id"] for each in (empty, none))
    assert await counts(admin) == {"invalid_custom": 4, "missing_custom": 2}
    etag = {"If-Match": defined.headers["etag"]}
    free = {"minimum": None, "maximum": None, "required": False}
    assert (await admin.patch("/v1/custom-fields/points", json=free, headers=etag)).status_code == 200
    assert await listed(admin, "invalid_custom") == sorted(each["id"] for each in (text, empty))
    assert (await counts(admin)).keys() == {"invalid_custom"}
    assert fine["id"] not in await listed(admin, "missing_custom")


async def test_one_counts_and_lists_whom_one_sees_and_nothing_of_contact_data_that_is_masked(
    admin: httpx.AsyncClient, database: Database, make_user: MakeUser
) -> None:
    masked = await make_user({"customers:read": "own"})
    clear = await make_user({"customers:read": "own", "customers:read_contact": "own"})
    await create(admin, phone=PHONE, **WHOLE)
    for user in (masked, clear):
        for _ in range(2):
            made = await create(admin, phone=PHONE, source="fair")
            owner = UUID(user.headers["X-Test-User"])
            await execute(database, "UPDATE customer SET owner_id = $1 WHERE id = $2", owner, UUID(made["id"]))
    assert await counts(admin) == {"missing_region": 4, "conflicting_phone": 5}
    assert await counts(masked) == {"missing_region": 2}
    assert await listed(masked, "conflicting_phone") == []
    assert await counts(clear) == {"missing_region": 2, "conflicting_phone": 2}
    shown = (await masked.get(CUSTOMERS, params={"finding": "missing_region"})).json()["items"]
    assert {each["phone"] for each in shown} == {"+86138****5678"}
    nobody = await make_user({"classes:read": "all"})
    assert [(await nobody.get(path)).status_code for path in (REPORT, GROUPS)] == [403, 403]


async def test_another_has_a_phone_only_if_one_may_know_of_the_other(
    admin: httpx.AsyncClient, database: Database, make_user: MakeUser
) -> None:
    clear = await make_user({"customers:read": "own", "customers:read_contact": "own"})
    made = await create(admin, phone=PHONE, **WHOLE)
    owner = UUID(clear.headers["X-Test-User"])
    await execute(database, "UPDATE customer SET owner_id = $1 WHERE id = $2", owner, UUID(made["id"]))
    await create(admin, phone=PHONE, identities=[{"kind": "phone", "value": PHONE}], **WHOLE)
    assert await counts(clear) == {}
    assert await counts(admin) == {"conflicting_phone": 2, "conflicting_identity": 1}


async def test_groups_by_source_and_owner_add_up_to_the_report(
    admin: httpx.AsyncClient, database: Database, make_user: MakeUser
) -> None:
    seller = UUID((await make_user({})).headers["X-Test-User"])
    for n, source in enumerate([None, None, "fair", "shop", "shop"]):
        made = await create(admin, name=f"n{n}", source=source)
        if n % 2:
            await execute(database, "UPDATE customer SET owner_id = $1 WHERE id = $2", seller, UUID(made["id"]))
        elif n == 0:
            await execute(database, "UPDATE customer SET owner_id = NULL WHERE id = $1", UUID(made["id"]))
    whole = (await admin.get(REPORT)).json()
    for by, names in [("source", [None, "fair", "shop"]), ("owner", None)]:
        groups: list[Any] = []
        query: dict[str, Any] = {"by": by, "limit": 1}
        while True:
            page = (await admin.get(GROUPS, params=query)).json()
            groups += page["items"]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert names is None or [each["name"] for each in groups] == names
        assert sum(each["customers"] for each in groups) == whole["customers"] == 5
        for n, each in enumerate(whole["findings"]):
            assert sum(group["findings"][n]["customers"] for group in groups) == each["customers"]
        for group in groups:
            for each in group["findings"]:
                found = await listed(admin, each["finding"], **{by: group["name"] or "-"})
                assert len(found) == each["customers"], (by, group["name"], each)


async def test_owners_are_reminded_once_a_week_of_what_is_wrong_with_how_many(
    admin: httpx.AsyncClient, database: Database, make_user: MakeUser
) -> None:
    owners = [UUID((await make_user({})).headers["X-Test-User"]) for _ in range(2)]
    for owner, fields in [(owners[0], {"phone": PHONE}), (owners[0], {}), (owners[1], {"phone": PHONE, **WHOLE})]:
        made = await create(admin, **fields)
        await execute(database, "UPDATE customer SET owner_id = $1 WHERE id = $2", owner, UUID(made["id"]))
    fine = await make_user({})
    made = await create(admin, phone="+8613800000001", **WHOLE)
    owner = UUID(fine.headers["X-Test-User"])
    await execute(database, "UPDATE customer SET owner_id = $1 WHERE id = $2", owner, UUID(made["id"]))
    context = JobContext(database, {}, None, asyncio.Event())
    for _ in range(2):
        await remind(context)
    async with database.connection() as connection:
        told = await connection.fetch("SELECT payload FROM outbox_event WHERE name = 'data_quality.reminder'")
    expected: dict[str, Any] = {
        str(owners[0]): (
            2,
            {"missing_contact": 1, "missing_region": 2, "missing_source": 2, "conflicting_phone": 1},
        ),
        str(owners[1]): (1, {"conflicting_phone": 1}),
    }
    assert {row["payload"]["owner_id"]: (row["payload"]["customers"], row["payload"]["findings"]) for row in told} == (
        expected
    )
    assert len(told) == 2


async def test_what_nobody_can_have_is_refused(admin: httpx.AsyncClient) -> None:
    assert pointers(await admin.get(CUSTOMERS)) == ["/query/finding"]
    assert pointers(await admin.get(CUSTOMERS, params={"finding": "ugly"})) == ["/query/finding"]
    assert pointers(await admin.get(GROUPS, params={"by": "colour"})) == ["/query/by"]
