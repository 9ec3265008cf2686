"""Duplicates over HTTP: who is found, when, by whom they are seen, and what becomes of a pair."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core.db import Database
from app.customers.duplicates import finding, rules, traits
from tests.conftest import MakeUser
from tests.customers.customers import PHONE, create, pointers
from tests.customers.pairs import NAME, PATH, SEES, SEES_CONTACT, Find, give, ids, listed, pair


async def test_pairs_are_listed_the_likeliest_first_with_the_reasons(admin: httpx.AsyncClient, find: Find) -> None:
    one = await create(admin, name=NAME, phone=PHONE)
    two = await create(admin, name="C-1", identities=[{"kind": "phone", "value": "138 1234 5678"}])
    three = await create(admin, name="BLUE LANTERN Tea House", email="Info@lantern.example")
    four = await create(admin, name="Lan", email="in.fo+x@lantern.example")
    await create(admin, name="Ana Gomez", phone="+8613800000000")
    await find()
    found = await listed(admin)
    assert [(pair(each), each["score"]) for each in found] == [
        (ids(one, two), 60),
        (ids(one, three), 60),
        (ids(three, four), 60),
    ]
    assert [each["reasons"] for each in found] == [
        [{"reason": "same_phone", "weight": 60}],
        [{"reason": "similar_name", "weight": 60}],
        [{"reason": "similar_email", "weight": 60}],
    ]
    of_one = await listed(admin, f"/v1/customers/{one['id']}/duplicates")
    assert of_one == found[:2]
    assert (await admin.get(f"{PATH}/{found[0]['id']}")).json() == found[0]
    await admin.patch(f"/v1/customers/{two['id']}", json={"name": NAME})
    await find()
    assert [each["score"] for each in await listed(admin)] == [90, 60, 60, 60]
    assert [pair(each) for each in await listed(admin, min_score=61)] == [ids(one, two)]


async def test_whoever_changes_is_looked_at_again_and_nobody_else(
    admin: httpx.AsyncClient, database: Database, find: Find
) -> None:
    one, two = [await create(admin, name=name, phone=PHONE) for name in ("Li", "Wei")]
    await find()
    (found,) = await listed(admin)
    await admin.patch(f"/v1/customers/{one['id']}", json={"tags": ["fair"]})
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM customer_duplicate_due") == 0, "a tag says nothing"
    await admin.patch(f"/v1/customers/{one['id']}", json={"phone": None})
    await find()
    assert await listed(admin) == []
    await admin.post(f"/v1/customers/{one['id']}/identities", json={"kind": "phone", "value": PHONE})
    await find()
    (again,) = await listed(admin)
    assert pair(again) == pair(found) == ids(one, two)
    async with database.connection() as connection:
        await connection.execute("UPDATE customer SET phone = NULL WHERE id = $1", UUID(two["id"]))
    await find()
    assert len(await listed(admin)) == 1, "nobody told of it"
    await find(finding.EVERYBODY)
    assert await listed(admin) == []
    async with database.connection() as connection:
        keys = "SELECT count(*) FROM customer_duplicate_key WHERE customer_id = $1"
        assert [await connection.fetchval(keys, UUID(each["id"])) for each in (one, two)] == [1, 0]


async def test_what_very_many_have_in_common_pairs_nobody(
    admin: httpx.AsyncClient, database: Database, find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traits, "MOST_ALIKE", 3)
    monkeypatch.setattr(finding, "BLOCK", 2)
    for n in range(3):
        await create(admin, name=f"n{n}", phone=PHONE)
    await find()
    assert len(await listed(admin)) == 3
    await create(admin, name="n3", phone=PHONE)
    await find()
    await find(finding.EVERYBODY)
    assert await listed(admin) == []


async def test_a_pair_is_seen_by_whoever_sees_both_and_contact_data_counts_where_it_may_be_read(
    admin: httpx.AsyncClient, database: Database, find: Find, make_user: MakeUser
) -> None:
    masked, clear = await make_user(SEES), await make_user(SEES_CONTACT)
    named = [await create(admin, name=NAME, phone=PHONE) for _ in range(2)]
    called = [await create(admin, name=name, phone="+8613800000000") for name in ("Li", "Wei")]
    await find()
    assert [each["score"] for each in await listed(admin)] == [90, 60]
    by_phone = next(each for each in await listed(admin) if pair(each) == ids(*called))
    for half in called:
        sees_half = await make_user(SEES_CONTACT)
        calls_half = await make_user({**SEES_CONTACT, "customers:read": "all"})
        for user in (sees_half, calls_half):
            await give(database, user, half)
            assert ids(*called) not in [pair(each) for each in await listed(user)]
            assert (await user.post(f"{PATH}/{by_phone['id']}/dismiss", json={})).status_code == 404
    for user in (masked, clear):
        await give(database, user, *named, called[0])
        assert [pair(each) for each in await listed(user)] == [ids(*named)]
        await give(database, user, *called)
    assert await listed(masked) == [], "those are another's now"
    assert [pair(each) for each in await listed(clear)] == [ids(*named), ids(*called)]
    await give(database, masked, *named, *called)
    (found,) = await listed(masked)
    assert (found["score"], found["reasons"]) == (75, [{"reason": "same_name", "weight": 75}])
    assert found["customer"]["phone"] == "+86138****5678"
    for path in (f"{PATH}/{by_phone['id']}", f"/v1/customers/{called[0]['id']}/duplicates"):
        answer = await masked.get(path)
        assert answer.status_code == 404 or answer.json()["items"] == []
    assert (await masked.post(f"{PATH}/{by_phone['id']}/dismiss", json={})).status_code == 404
    assert (await clear.get(f"/v1/customers/{named[0]['id']}/duplicates")).status_code == 404
    assert await listed(masked, min_score=76) == []


async def test_before_a_customer_is_created_one_asks_whether_it_is_known(
    admin: httpx.AsyncClient, database: Database, find: Find, make_user: MakeUser
) -> None:
    masked, clear = await make_user(SEES), await make_user(SEES_CONTACT)
    known = await create(admin, name=NAME, phone=PHONE, identities=[{"kind": "crm", "value": "9000-1234-5678-1"}])
    await find()
    cases: list[tuple[dict[str, Any], int | None, int | None]] = [
        ({"name": "Lan", "phone": "138 1234 5678"}, 60, None),
        ({"name": "Lan", "identities": [{"kind": "phone", "value": "138 1234 5678"}]}, 60, None),
        ({"name": "Blue Lantern Tea House", "phone": PHONE}, 84, 60),
        ({"name": "Lan", "identities": [{"kind": "erp", "value": "9000123456781"}]}, 75, None),
        ({"name": NAME, "kind": "company"}, None, None),
        ({"name": "Ana Gomez"}, None, None),
    ]
    for user in (masked, clear):
        assert (await user.post(f"{PATH}/search", json=cases[0][0])).json() == {"matches": []}, "of another"
    for user, which in ((admin, 0), (masked, 1), (clear, 0)):
        if user is not admin:
            await give(database, user, known)
        for body, *expected in cases:
            answer = await user.post(f"{PATH}/search", json=body)
            assert answer.status_code == 200, answer.text
            score = expected[which]
            found = [(each["score"], each["customer"]["id"]) for each in answer.json()["matches"]]
            assert found == ([] if score is None else [(score, known["id"])]), body
    assert pointers(await admin.post(f"{PATH}/search", json={"name": "x", "phone": "what"})) == ["/body/phone"]
    wrong = {"name": "x", "identities": [{"kind": "email", "value": "what"}]}
    assert pointers(await admin.post(f"{PATH}/search", json=wrong)) == ["/body/identities/0/value"]


async def test_a_dismissed_pair_stays_dismissed_until_it_is_opened_again(
    admin: httpx.AsyncClient, database: Database, find: Find, make_user: MakeUser
) -> None:
    one, two = [await create(admin, name="Li", phone=PHONE) for _ in range(2)]
    await find()
    (found,) = await listed(admin)
    path = f"{PATH}/{found['id']}"
    reader = await make_user({"customers:read": "all", "customers:read_contact": "all"})
    assert (await reader.post(f"{path}/dismiss", json={})).status_code == 403
    answer = await admin.post(f"{path}/dismiss", json={"why": "Father and son"})
    assert answer.status_code == 200, answer.text
    said = answer.json()["dismissal"]
    assert (said["why"], said["dismissed_by"].startswith("user:")) == ("Father and son", True)
    assert [(await admin.post(f"{path}/{what}", json={})).status_code for what in ("dismiss", "merge")] == [409, 409]
    await admin.patch(f"/v1/customers/{one['id']}", json={"name": "Li Wei"})
    await admin.patch(f"/v1/customers/{two['id']}", json={"name": "Li Wei"})
    await find()
    assert await listed(admin) == []
    (still,) = await listed(admin, dismissed=True)
    assert (still["id"], still["dismissal"], still["score"]) == (found["id"], said, 74)
    opened = await admin.post(f"{path}/reopen")
    assert (opened.status_code, opened.json()["dismissal"]) == (200, None)
    assert (await admin.post(f"{path}/reopen")).status_code == 409
    assert [each["id"] for each in await listed(admin)] == [found["id"]]
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT action, resource_id, after FROM audit_event WHERE action LIKE 'duplicate.%' ORDER BY id"
        )
    assert {(row["action"], row["resource_id"], row["after"]["other"]) for row in rows} == {
        (action, a["id"], b["id"])
        for action in ("duplicate.dismissed", "duplicate.reopened")
        for a, b in ((one, two), (two, one))
    }
    assert "Father" not in str(rows)


async def test_a_pair_is_merged_found_no_more_and_found_again_when_that_is_undone(
    admin: httpx.AsyncClient, find: Find
) -> None:
    one, two, third = [await create(admin, name=NAME, phone=phone) for phone in (PHONE, PHONE, "+8613800000000")]
    await find()
    pairs = {frozenset(pair(each)): each for each in await listed(admin)}
    assert {frozenset(ids(one, two)), frozenset(ids(one, third)), frozenset(ids(two, third))} == set(pairs)
    path = f"{PATH}/{pairs[frozenset(ids(two, third))]['id']}"
    assert (await admin.post(f"{path}/dismiss", json={})).status_code == 200
    found = pairs[frozenset(ids(one, two))]
    answer = await admin.post(f"{PATH}/{found['id']}/merge", json={"survivor": "customer"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["survivor_id"], made["merged_id"]) == (found["customer"]["id"], found["other"]["id"])
    await find()
    assert await listed(admin) == [], "that the third is another holds for who stands for both"
    (dismissed,) = await listed(admin, dismissed=True)
    assert pair(dismissed) == {found["customer"]["id"], third["id"]}
    assert (await admin.post(f"/v1/customers/merges/{made['id']}/undo")).status_code == 200
    await find()
    assert {frozenset(pair(each)) for each in await listed(admin)} == {
        frozenset(ids(one, two)),
        frozenset(ids(one, third)),
    }
    assert [pair(each) for each in await listed(admin, dismissed=True)] == [ids(two, third)]


async def test_two_who_were_said_to_differ_can_still_be_merged_by_hand(
    admin: httpx.AsyncClient, find: Find, database: Database
) -> None:
    one, two = [await create(admin, name="Li", phone=PHONE) for _ in range(2)]
    await find()
    (found,) = await listed(admin)
    await admin.post(f"{PATH}/{found['id']}/dismiss", json={})
    body = {"survivor_id": one["id"], "merged_id": two["id"]}
    merge = await admin.post("/v1/customers/merges", json=body)
    assert merge.status_code == 201
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM customer_duplicate") == 0
    await find()
    assert await listed(admin) == await listed(admin, dismissed=True) == []
    assert (await admin.post(f"/v1/customers/merges/{merge.json()['id']}/undo")).status_code == 200
    await find()
    assert await listed(admin) == []
    assert [pair(each) for each in await listed(admin, dismissed=True)] == [ids(one, two)]


async def test_who_differs_from_both_who_are_one_is_listed_once(admin: httpx.AsyncClient, find: Find) -> None:
    people = sorted([await create(admin, name="Li", phone=PHONE) for _ in range(3)], key=lambda each: str(each["id"]))
    await find()
    first, between, last = people
    for each in await listed(admin):
        if between["id"] in pair(each):
            assert (await admin.post(f"{PATH}/{each['id']}/dismiss", json={})).status_code == 200
    body = {"survivor_id": last["id"], "merged_id": first["id"]}
    assert (await admin.post("/v1/customers/merges", json=body)).status_code == 201
    await find()
    assert [pair(each) for each in await listed(admin, dismissed=True)] == [ids(between, last)]


async def test_everybody_is_compared_once_and_keeps_the_same_pairs_and_keys(
    admin: httpx.AsyncClient, database: Database, find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "BLOCK", 2)
    for n in range(7):
        await create(admin, name=f"{NAME} {n % 2}", phone=PHONE)
    await find()
    states: list[Any] = []
    compared: list[Any] = []

    def compare(one: rules.Traits, other: rules.Traits) -> rules.Verdict:
        compared.append((one, other))
        return rules.compare(one, other)

    monkeypatch.setattr(finding, "compare", compare)
    for _ in range(2):
        async with database.connection() as connection:
            keys = await connection.fetch(
                "SELECT customer_id, key, xmin::text FROM customer_duplicate_key ORDER BY 1, 2"
            )
        states.append((sorted((each["id"], each["score"]) for each in await listed(admin)), keys))
        compared.clear()
        await find(finding.EVERYBODY)
        assert len(compared) == 21
    assert states[0] == states[1]
    assert len(states[0][0]) == 21


@pytest.mark.parametrize("how", ["deleted", "erased"])
async def test_nothing_is_kept_of_whoever_is_gone(
    admin: httpx.AsyncClient, find: Find, database: Database, how: str
) -> None:
    one, two, third = [await create(admin, name="Li", phone=PHONE) for _ in range(3)]
    await find()
    found = next(each for each in await listed(admin) if pair(each) == ids(one, two))
    await admin.post(f"{PATH}/{found['id']}/dismiss", json={"why": "Father and son"})
    if how == "deleted":
        assert (await admin.delete(f"/v1/customers/{one['id']}")).status_code == 204
    else:
        assert (await admin.post(f"/v1/customers/{one['id']}/erasure")).status_code < 300
    await find()
    assert [pair(each) for each in await listed(admin)] == [ids(two, third)]
    async with database.connection() as connection:
        for table, column in [
            ("customer_duplicate", "customer_id"),
            ("customer_duplicate", "other_id"),
            ("customer_duplicate_key", "customer_id"),
            ("duplicate_dismissal", "customer_id"),
            ("duplicate_dismissal", "other_id"),
        ]:
            count = f"SELECT count(*) FROM {table} WHERE {column} = $1"
            assert await connection.fetchval(count, UUID(one["id"])) == 0, (table, column)
