"""One customer becomes two again, and everything stands as before."""

import random
import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.classification.population import NOON
from tests.classification.schemes import publish, spending
from tests.customers.customers import PHONE, create, external
from tests.customers.merging import KEY, MERGES, bought, broken, merged, of, post, read, stands, undone


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


async def test_what_came_since_stays_unless_it_is_part_of_what_goes_back(admin: httpx.AsyncClient) -> None:
    one = await create(admin, tags=["x"], region="CN-31", identities=[external("A")])
    two = await create(admin, tags=["y"], title="Dr", language="zh", phone=PHONE, identities=[external("B")])
    call = {"kind": "call", "occurred_at": "2020-06-02T03:04:05Z", "subject": "first"}
    spoken = await post(admin, of(two, "/interactions"), call)
    made = await merged(admin, one, two)
    corrected = {"subject": "second", "reason": "a slip"}
    answer = await admin.patch(of(one, f"/interactions/{spoken['id']}"), json=corrected)
    assert answer.status_code == 200, answer.text
    await bought(admin, one, "7", order_ref="NEW")
    await admin.post(of(one, "/identities"), json=external("C"))
    await admin.patch(of(one), json={"title": "Prof", "tags": ["x", "y", "z"]})
    result = await undone(admin, made)
    assert result["undone_by"] == result["merged_by"]
    first, second = await read(admin, one), await read(admin, two)
    assert [each["order_ref"] for each in (await read(admin, one, "/purchases"))["items"]] == ["NEW"]
    assert (await read(admin, two, "/purchases"))["items"] == []
    assert {each["value"] for each in first["identities"]} == {"A", "C"}
    assert {each["value"] for each in second["identities"]} == {"B"}
    assert first["tags"] == ["x", "z"]
    assert (first["title"], first["language"], first["phone"]) == ("Prof", None, None), "what was changed since stays"
    assert (second["title"], second["language"], second["phone"]) == ("Dr", "zh", PHONE)
    goes_back = await read(admin, two, f"/interactions/{spoken['id']}")
    assert (goes_back["subject"], goes_back["version"]) == ("second", 2)


async def test_a_merge_is_undone_once_and_the_later_ones_first(admin: httpx.AsyncClient, database: Database) -> None:
    one, two, three = [await create(admin) for _ in range(3)]
    await bought(admin, one, "5")
    inner = await merged(admin, two, one)
    outer = await merged(admin, three, two)
    refused = await admin.post(f"{MERGES}/{inner['id']}/undo")
    assert refused.status_code == 409
    assert outer["id"] in refused.json()["detail"]
    await undone(admin, outer)
    assert (await admin.get(of(one))).headers["location"] == of(two)
    await undone(admin, inner)
    assert (await admin.post(f"{MERGES}/{inner['id']}/undo")).status_code == 409
    assert len((await read(admin, one, "/purchases"))["items"]) == 1
    assert await broken(database) == set()


async def test_a_unit_that_is_gone_is_replaced_by_the_survivors(admin: httpx.AsyncClient) -> None:
    unit = await post(admin, "/v1/units", {"name": "short-lived"})
    one, two = await create(admin), await create(admin, unit_id=unit["id"])
    made = await merged(admin, one, two)
    assert (await admin.delete(f"/v1/units/{unit['id']}")).status_code == 204
    await undone(admin, made)
    assert (await read(admin, two))["unit_id"] == one["unit_id"]


async def someone(admin: httpx.AsyncClient, chance: random.Random) -> Any:
    """A customer with whatever there is to have."""
    made = await create(
        admin,
        name=f"n{chance.random()}",
        tags=chance.sample(["a", "b", "c"], chance.randint(0, 3)),
        custom={key: str(chance.randint(0, 2)) for key in chance.sample("pqr", 2)},
        identities=[external(uuid.uuid4().hex) for _ in range(chance.randint(0, 2))],
        **{name: chance.choice(["zh", "en"]) for name in ("language", "title", "source") if chance.random() < 0.5},
        **({"birthday": chance.choice(["1980-02-29", "1999-12-31"])} if chance.random() < 0.5 else {}),
    )
    for order_ref in chance.sample(["SO-1", "SO-2", "SO-3"], chance.randint(0, 3)):
        at = chance.choice(["2020-06-02T03:04:05Z", "2019-10-02T03:04:05Z", "2012-10-02T03:04:05Z"])
        await bought(admin, made, str(chance.randint(1, 800)), order_ref=order_ref, occurred_at=at)
    for reference in chance.sample(["R-1", "R-2"], chance.randint(0, 2)):
        call = {"kind": "call", "occurred_at": "2020-06-02T03:04:05Z", "reference": reference}
        await post(admin, of(made, "/interactions"), call)
    for status in chance.sample(["given", "withdrawn"], chance.randint(0, 2)):
        consent = {"channel": "email", "purpose": "marketing", "status": status, "source": "a form"}
        await post(admin, of(made, "/consents"), consent)
    if chance.random() < 0.5:
        await post(admin, of(made, "/notes"), {"text": "a note"})
    if chance.random() < 0.5:
        override = {"class": chance.choice(["gold", "silver"]), "reason": "a contract", "expires_at": None}
        answer = await admin.put(of(made, f"/classes/{KEY}/override"), json=override)
        assert answer.status_code == 200, answer.text
    return made


@pytest.mark.parametrize("seed", range(6))
async def test_merged_and_undone_everything_stands_as_before(
    admin: httpx.AsyncClient, database: Database, seed: int
) -> None:
    await publish(database, KEY, spending(downgrade={"grace_days": 30}))
    chance = random.Random(seed)
    people = [await someone(admin, chance) for _ in range(3)]
    before = await stands(database)
    inner = await merged(admin, people[0], people[1])
    outer = await merged(admin, people[2], people[0]) if chance.random() < 0.5 else None
    assert await broken(database) == set()
    assert await stands(database) != before
    for each in filter(None, (outer, inner)):
        await undone(admin, each)
    after = await stands(database)
    assert {name: sorted({*rows} ^ {*after[name]}) for name, rows in before.items() if after[name] != rows} == {}
    assert await broken(database) == set()
