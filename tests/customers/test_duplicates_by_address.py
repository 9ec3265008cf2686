"""Duplicates by birthday and address: who is found by them, and who is told so."""

import httpx

from app.core.db import Database
from tests.conftest import MakeUser
from tests.customers.customers import create
from tests.customers.pairs import NAME, PATH, SEES, SEES_CONTACT, Find, give, ids, listed, pair

LIVES = {"kind": "home", "lines": "88 Lantern Lane", "postal_code": "200001", "country": "CN"}


async def test_birthday_and_address_count_and_whoever_changes_one_is_looked_at_again(
    admin: httpx.AsyncClient, database: Database, find: Find
) -> None:
    one, two = [await create(admin, name="王伟", birthday="1990-03-04") for _ in range(2)]
    await find()
    (found,) = await listed(admin)
    assert (found["score"], found["reasons"]) == (
        52,
        [{"reason": "same_birthday", "weight": 40}, {"reason": "same_name", "weight": 20}],
    )
    await admin.patch(f"/v1/customers/{two['id']}", json={"birthday": "1990-03-05"})
    await find()
    assert await listed(admin) == []
    paths = [f"/v1/customers/{each['id']}/addresses" for each in (one, two)]
    made = [(await admin.post(path, json=LIVES)).json() for path in paths]
    await find()
    assert await listed(admin) == [], "an address is less than another birthday"
    await admin.patch(f"/v1/customers/{two['id']}", json={"birthday": None})
    await find()
    (found,) = await listed(admin)
    assert found["reasons"] == [{"reason": "same_address", "weight": 40}, {"reason": "same_name", "weight": 20}]
    where = f"{paths[1]}/{made[1]['id']}"
    for body, scores in [({"lines": "90 Lantern Lane"}, []), ({"lines": "88 lantern lane"}, [52])]:
        assert (await admin.patch(where, json=body)).status_code == 200
        await find()
        assert [each["score"] for each in await listed(admin)] == scores
    assert (await admin.delete(where)).status_code == 204
    await find()
    assert await listed(admin) == []
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM outbox_event WHERE name LIKE '%addresses%'") == 0


async def test_an_address_counts_for_whoever_may_read_it_and_a_birthday_for_whoever_may_read_contact_data(
    admin: httpx.AsyncClient, database: Database, find: Find, make_user: MakeUser
) -> None:
    masked, clear = await make_user(SEES), await make_user(SEES_CONTACT)
    placed = await make_user({**SEES_CONTACT, "addresses:read": "own"})
    only_placed = await make_user({**SEES, "addresses:read": "own"})
    two = [await create(admin, name="Li Wei", birthday="1990-03-04") for _ in range(2)]
    others = [await create(admin, name=NAME, birthday=f"199{n}-03-04") for n in range(2)]
    for each in two:
        assert (await admin.post(f"/v1/customers/{each['id']}/addresses", json=LIVES)).status_code == 201
    await find()
    for user, expected in [
        (admin, [(77, ["same_address", "same_birthday", "same_name"])]),
        (placed, [(77, ["same_address", "same_birthday", "same_name"])]),
        (clear, [(61, ["same_birthday", "same_name"])]),
        (masked, [(75, ["same_name"])]),
        (only_placed, [(75, ["same_name"])]),
    ]:
        if user is not admin:
            await give(database, user, *two, *others)
        found = await listed(user)
        assert [(each["score"], [why["reason"] for why in each["reasons"]]) for each in found] == expected
        whom = others if user in (masked, only_placed) else two
        assert pair(found[0]) == ids(*whom)


async def test_a_birthday_is_asked_for_before_a_customer_is_created(
    admin: httpx.AsyncClient, database: Database, find: Find
) -> None:
    known = await create(admin, name="王伟", birthday="1990-03-04")
    await find()
    for birthday, score in [("1990-03-04", [52]), ("1990-03-05", []), (None, [])]:
        answer = await admin.post(f"{PATH}/search", json={"name": "王伟", "birthday": birthday})
        assert [each["score"] for each in answer.json()["matches"]] == score
    assert (await admin.post(f"/v1/customers/{known['id']}/erasure")).status_code < 300
    await find()
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM customer_duplicate_key") == 0


async def test_addresses_follow_a_merge_and_so_does_what_they_say(admin: httpx.AsyncClient, find: Find) -> None:
    one, two, third = [await create(admin, name=name) for name in ("王伟", "Wei", "王伟")]
    for each in (two, third):
        await admin.post(f"/v1/customers/{each['id']}/addresses", json=LIVES)
    await find()
    assert await listed(admin) == []
    made = (await admin.post("/v1/customers/merges", json={"survivor_id": one["id"], "merged_id": two["id"]})).json()
    await find()
    assert [pair(each) for each in await listed(admin)] == [ids(one, third)]
    assert (await admin.post(f"/v1/customers/merges/{made['id']}/undo")).status_code == 200
    await find()
    assert await listed(admin) == []
