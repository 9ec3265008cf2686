"""What classes were: everybody at an instant, who moved between two, and why each change came about."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from app.core import clock as business
from app.core.db import Database
from tests.classification.schemes import on_day, publish, spending
from tests.customers.customers import pointers

KEY = "spending"
SEGMENT = {"kind": "segment", "when": {"metric": "monetary_365d", "op": "gte", "value": "500"}}
TODAY = date(2020, 6, 30)
RunJobs = Callable[[], Awaitable[None]]
Today = Callable[[date], None]
MakeUser = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture(autouse=True)
async def the_schemes(today: Today, database: Database) -> None:
    today(TODAY)
    await publish(database, KEY, spending())
    await publish(database, "big", SEGMENT)


def noon(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


async def new_customer(client: httpx.AsyncClient, **fields: Any) -> str:
    answer = await client.post("/v1/customers", json={"name": "somebody", **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def buy(client: httpx.AsyncClient, customer: str, amount: str, day: date, kind: str = "purchase") -> None:
    body = {"occurred_at": noon(day), "amount": amount, "kind": kind}
    answer = await client.post(f"/v1/customers/{customer}/purchases", json=body)
    assert answer.status_code == 201, answer.text


async def get(client: httpx.AsyncClient, path: str, **query: str) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def counted(client: httpx.AsyncClient, key: str, **query: str) -> dict[str, tuple[int, str]]:
    items = (await get(client, f"/v1/schemes/{key}/classes", **query))["items"]
    return {each["class"]: (each["customers"], each["monetary"]) for each in items}


def matrix(answer: Any) -> dict[tuple[str | None, str | None], tuple[int, str]]:
    return {(each["from"], each["to"]): (each["customers"], each["monetary"]) for each in answer["items"]}


async def four_days(admin: httpx.AsyncClient, today: Today) -> tuple[list[str], list[str]]:
    """Three customers and what they did on four days; and an instant after each of these days' work."""
    instants = []
    first, second = await new_customer(admin), await new_customer(admin)
    await buy(admin, first, "600", TODAY)
    instants.append(business.business_now().isoformat())
    today(day := TODAY + timedelta(days=1))
    await buy(admin, first, "600", day)
    await buy(admin, second, "150", day)
    instants.append(business.business_now().isoformat())
    today(day := TODAY + timedelta(days=2))
    third = await new_customer(admin)
    await buy(admin, third, "100", day)
    instants.append(business.business_now().isoformat())
    today(day := TODAY + timedelta(days=3))
    await buy(admin, first, "900", day, "refund")
    instants.append(business.business_now().isoformat())
    return [first, second, third], instants


async def test_counts_and_revenue_of_classes_at_any_instant(admin: httpx.AsyncClient, today: Today) -> None:
    _, instants = await four_days(admin, today)
    assert [await counted(admin, KEY, as_of=at) for at in instants] == [
        {"silver": (1, "600.00"), "basic": (1, "0.00")},
        {"gold": (1, "1200.00"), "bronze": (1, "150.00")},
        {"gold": (1, "1200.00"), "bronze": (2, "250.00")},
        {"bronze": (3, "550.00")},
    ]
    assert await counted(admin, KEY) == await counted(admin, KEY, as_of=instants[-1])
    assert await counted(admin, KEY, as_of="2020-01-01T00:00:00Z") == {}
    assert [await counted(admin, "big", as_of=at) for at in instants[-2:]] == [{"in": (1, "1200.00")}, {}]
    items = (await get(admin, f"/v1/schemes/{KEY}/classes", as_of=instants[1]))["items"]
    assert [(each["class"], each["share"]) for each in items] == [("gold", 0.5), ("bronze", 0.5)]
    assert items[0]["monetary_share"] == pytest.approx(1200 / 1350, abs=1e-6)


async def test_the_whole_base_at_an_instant_is_every_customer_at_that_instant(
    admin: httpx.AsyncClient, today: Today
) -> None:
    customers, instants = await four_days(admin, today)
    for at in instants:
        of_each: dict[str, int] = {}
        for customer in customers:
            for each in (await get(admin, f"/v1/customers/{customer}/classes", as_of=at))["items"]:
                if each["scheme"] == KEY:
                    of_each[each["class"]] = of_each.get(each["class"], 0) + 1
        assert {name: count for name, (count, _) in (await counted(admin, KEY, as_of=at)).items()} == of_each


async def test_who_moved_between_two_instants(admin: httpx.AsyncClient, today: Today) -> None:
    _, (one, two, three, four) = await four_days(admin, today)
    path = f"/v1/schemes/{KEY}/movement"
    assert matrix(await get(admin, path, **{"from": one, "to": two})) == {
        ("silver", "gold"): (1, "1200.00"),
        ("basic", "bronze"): (1, "150.00"),
    }
    entered = await get(admin, path, **{"from": two, "to": three})
    assert matrix(entered) == {
        ("gold", "gold"): (1, "1200.00"),
        ("bronze", "bronze"): (1, "150.00"),
        (None, "bronze"): (1, "100.00"),
    }
    assert entered["totals"]["entered"] == {"customers": 1, "monetary": "100.00"}
    assert entered["totals"]["stayed"] == {"customers": 2, "monetary": "1350.00"}
    overall = await get(admin, path, **{"from": one, "to": four})
    assert {name: total["customers"] for name, total in overall["totals"].items()} == {
        "entered": 1,
        "left": 0,
        "stayed": 0,
        "upgraded": 1,
        "downgraded": 1,
        "otherwise": 0,
    }
    left = await get(admin, "/v1/schemes/big/movement", **{"from": three, "to": four})
    assert matrix(left) == {("in", None): (1, "300.00")}
    assert left["totals"]["left"]["customers"] == 1
    assert matrix(await get(admin, path, **{"from": one, "to": one})).keys() == {
        ("silver", "silver"),
        ("basic", "basic"),
    }


async def test_the_matrix_leads_to_its_customers(admin: httpx.AsyncClient, today: Today) -> None:
    (first, second, third), (one, two, three, four) = await four_days(admin, today)
    path = f"/v1/schemes/{KEY}/movement/customers"

    async def found(**query: str) -> list[str]:
        ids: list[str] = []
        while True:
            page = await get(admin, path, limit="1", **query)
            ids += [each["customer_id"] for each in page["items"]]
            if page["next_cursor"] is None:
                return ids
            query["cursor"] = page["next_cursor"]

    assert await found(**{"from": one, "to": four}) == [first, second, third]
    assert await found(**{"from": one, "to": four, "move": "entered"}) == [third]
    assert await found(**{"from": one, "to": four, "move": "moved"}) == [first, second]
    assert await found(**{"from": one, "to": four, "from_class": "silver", "to_class": "bronze"}) == [first]
    assert await found(**{"from": two, "to": three, "move": "stayed"}) == [first, second]
    assert await found(**{"from": two, "to": three, "to_class": "gold"}) == [first]
    (item,) = (await get(admin, path, **{"from": one, "to": four, "from_class": "silver"}))["items"]
    assert item == {
        "customer_id": first,
        "name": "somebody",
        "from_class": "silver",
        "to_class": "bronze",
        "monetary": "300.00",
    }
    merge = {"survivor_id": first, "merged_id": second}
    assert (await admin.post("/v1/customers/merges", json=merge)).status_code == 201
    assert await found(**{"from": one, "to": four}) == [first, second, third], "who was merged has a history, too"
    backwards = await admin.get(path, params={"from": four, "to": one})
    assert (backwards.status_code, backwards.json()["errors"][0]["pointer"]) == (422, "/query/to")


async def test_one_sees_what_was_of_ones_own_customers_only(
    admin: httpx.AsyncClient, make_user: MakeUser, today: Today
) -> None:
    _, (one, _, _, four) = await four_days(admin, today)
    seller = await make_user({"classes:read": "own", "schemes:read": "all"})
    mine = await new_customer(admin, owner_id=seller.headers["X-Test-User"])
    await buy(admin, mine, "120", TODAY + timedelta(days=3))
    now = business.business_now().isoformat()
    assert await counted(seller, KEY, as_of=now) == {"bronze": (1, "120.00")}
    assert await counted(seller, KEY, as_of=four) == {}
    assert matrix(await get(seller, f"/v1/schemes/{KEY}/movement", **{"from": one, "to": now})) == {
        (None, "bronze"): (1, "120.00")
    }
    movers = (await get(seller, f"/v1/schemes/{KEY}/movement/customers", **{"from": one, "to": now}))["items"]
    assert [(each["customer_id"], each["name"]) for each in movers] == [(mine, None)], "names need customers:read"
    seen = (await get(seller, f"/v1/schemes/{KEY}/changes"))["items"]
    assert {each["customer_id"] for each in seen} == {mine}


async def test_changes_across_customers_by_cause_and_time(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Today
) -> None:
    customers, (one, two, _, _) = await four_days(admin, today)
    path = f"/v1/customers/{customers[1]}/classes/{KEY}/override"
    body = {"class": "gold", "reason": "x", "expires_at": "2020-07-10T00:00:00Z"}
    assert (await admin.put(path, json=body)).status_code == 200
    await on_day(database, run_jobs, today, date(2020, 7, 10))
    file = "customer_ref,occurred_at,amount\nnew,2020-07-10T00:00:00Z,700\n"
    form = {"kind": "purchases", "create_customers": "true"}
    assert (await admin.post("/v1/imports", files={"file": ("p.csv", file)}, data=form)).status_code == 202
    await run_jobs()

    async def found(**query: str) -> list[tuple[str | None, str | None]]:
        items: list[Any] = []
        while True:
            page = await get(admin, f"/v1/schemes/{KEY}/changes", limit="2", **query)
            items += page["items"]
            if page["next_cursor"] is None:
                return [(each["from_class"], each["to_class"]) for each in items]
            query["cursor"] = page["next_cursor"]

    assert len(await found()) == 11
    assert await found(cause="override") == [("bronze", "gold")]
    assert await found(cause="clock") == [("gold", "bronze")]
    assert await found(cause="correction") == [("gold", "bronze")]
    assert await found(cause="import") == [(None, "silver")]
    assert await found(since=one, until=two) == [("basic", "bronze"), ("silver", "gold")]
    assert await found(cause="publish") == []


async def test_a_change_says_what_it_read(admin: httpx.AsyncClient, database: Database) -> None:
    rules = [
        {
            "class": "chosen",
            "when": {"all": [{"tag": "wholesale"}, {"metric": "frequency", "op": "gte", "value": "1"}]},
        },
        {"class": "near", "when": {"field": "region", "op": "within", "value": ["CN-31"]}},
        {"class": "rich", "when": {"class": KEY, "op": "in", "value": ["gold"]}},
        {"class": "busy", "when": {"event": "purchase", "within_days": 30, "count": {"gte": 5}}},
    ]
    await publish(database, "mixed", {"kind": "rules", "rules": rules, "default": "other"})
    customer = await new_customer(admin, tags=["wholesale"], region="DE-BE")
    await buy(admin, customer, "1200", TODAY)
    (latest, earlier) = (await get(admin, f"/v1/customers/{customer}/classes/mixed/history"))["items"]
    assert (earlier["to_class"], latest["to_class"]) == ("other", "chosen")
    assert latest["inputs"] == {"frequency": "1"}
    facts = {(each["kind"], each["name"].partition("{")[0]): each["value"] for each in latest["facts"]}
    assert facts == {
        ("tag", "wholesale"): "true",
        ("field", "region"): "DE-BE",
        ("class", KEY): "gold",
        ("events", ""): "1",
    }
    assert latest["version"] == 1
    assert latest["actor"].startswith("user:")
    assert latest["correlation_id"]


async def test_what_will_have_been_nobody_knows(admin: httpx.AsyncClient) -> None:
    customer = await new_customer(admin)
    now = business.business_now()
    before, after = (now - timedelta(hours=1)).isoformat(), (now + timedelta(hours=1)).isoformat()
    movement = f"/v1/schemes/{KEY}/movement"
    table: list[tuple[str, dict[str, str], str]] = [
        (f"/v1/schemes/{KEY}/classes", {"as_of": after}, "/query/as_of"),
        (f"/v1/customers/{customer}/classes", {"as_of": after}, "/query/as_of"),
        (movement, {"from": before, "to": after}, "/query/to"),
        (f"{movement}/customers", {"from": before, "to": after}, "/query/to"),
    ]
    for path, query, field in table:
        answer = await admin.get(path, params=query)
        assert pointers(answer) == [field], answer.text
        assert "lies in the future" in answer.text
    both = await admin.get(movement, params={"from": after, "to": after})
    assert pointers(both) == ["/query/from", "/query/to"]
    assert (await admin.get(movement, params={"from": before, "to": now.isoformat()})).status_code == 200
