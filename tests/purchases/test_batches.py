"""Batches of purchases: good rows are kept as if each had come alone, each of the others says what is wrong with it."""

import json
from collections.abc import Callable
from datetime import UTC, date, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.core.db import Database
from tests.classification.population import RunJobs, add, recalculate
from tests.classification.schemes import FAILURES
from tests.conftest import MakeUser
from tests.customers.customers import PHONE, create, external, pointers
from tests.purchases.test_purchases import NOON, ORDER, WRONG

PATH = "/v1/purchases/batch"
AT = NOON.isoformat()
BARE = {"occurred_at": AT, "amount": "10"}


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


async def send(client: httpx.AsyncClient, *rows: dict[str, Any], **headers: str) -> Any:
    content = json.dumps({"purchases": rows})  # by which lone surrogates can be sent
    answer = await client.post(PATH, content=content, headers={"Content-Type": "application/json", **headers})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def count(database: Database, table: str) -> int:
    async with database.connection() as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


async def test_rows_are_recorded_as_purchases_are(admin: httpx.AsyncClient, database: Database) -> None:
    first = await create(admin, identities=[external("C-1")], phone=PHONE)
    second = await create(admin, identities=[{"kind": "phone", "value": PHONE}])
    answer = await send(
        admin,
        {**ORDER, "identity": external("C-1")},
        {**BARE, "identity": {"kind": "phone", "value": "138 1234 5678"}, "kind": "refund", "order_ref": "R-1"},
        {**BARE, "customer_id": first["id"], "amount": "0"},
    )
    assert (answer["recorded"], answer["rejected"]) == (3, 0)
    assert [each["index"] for each in answer["items"]] == [0, 1, 2]
    found = {each["id"]: each for each in (await admin.get("/v1/purchases")).json()["items"]}
    made = [found[each["id"]] for each in answer["items"]]
    assert [each["customer_id"] for each in made] == [first["id"], second["id"], first["id"]]
    alone = f"/v1/customers/{second['id']}/purchases"
    theirs = (await admin.post(alone, json=ORDER)).json()
    own = {"id", "customer_id", "classes"}
    assert {name: made[0][name] for name in made[0].keys() - own} == {
        name: theirs[name] for name in theirs.keys() - own
    }
    assert (made[1]["amount"], made[1]["base_amount"], made[1]["kind"]) == ("10.00", "-10.00", "refund")
    assert [each["amount"] for each in made[2]["lines"]] == ["0.00"]


async def test_each_is_audited_and_announced_as_one_is(admin: httpx.AsyncClient, database: Database) -> None:
    one, two = [(await create(admin))["id"] for _ in range(2)]
    alone = (await admin.post(f"/v1/customers/{one}/purchases", json={**ORDER, "order_ref": "SO-2"})).json()["id"]
    answer = await send(admin, {**ORDER, "customer_id": one}, {**BARE, "customer_id": two})
    ids = [each["id"] for each in answer["items"]]
    async with database.connection() as connection:
        kept = await connection.fetch("SELECT * FROM audit_event WHERE action = 'purchase.recorded'")
        told = await connection.fetch("SELECT payload FROM outbox_event WHERE name = 'purchase.recorded' ORDER BY id")
    audited = {row["resource_id"]: row for row in kept}
    announced = {row["payload"]["purchase_id"]: row["payload"] for row in told}
    assert set(audited) == set(announced) == {alone, *ids}
    assert audited[ids[0]]["after"] == {**audited[alone]["after"], "order_ref": "SO-1"}
    assert audited[ids[0]]["actor_id"] == audited[alone]["actor_id"]
    assert announced[ids[0]] == {**announced[alone], "purchase_id": ids[0]}
    assert announced[ids[1]]["customer_id"] == two


async def test_wrong_rows_are_named_as_alone_and_the_others_kept(admin: httpx.AsyncClient, database: Database) -> None:
    customer_id = (await create(admin, identities=[external("C-1")]))["id"]
    good = {**BARE, "customer_id": customer_id}
    rows: list[tuple[dict[str, Any], list[str]]] = [
        ({**good, "order_ref": "O-1"}, []),
        *(({**good, **change}, [at.removeprefix("/body")]) for change, at in WRONG if "customer_id" not in change),
        ({**good, "order_ref": " O-1 ", "amount": "11"}, ["/order_ref"]),
        ({**good, "order_ref": "O-1", "kind": "refund"}, []),
        (BARE, [""]),
        ({**good, "identity": external("C-1")}, [""]),
        ({**good, "customer_id": str(uuid4())}, ["/customer_id"]),
        ({**good, "customer_id": "x"}, ["/customer_id"]),
        ({**BARE, "identity": external("C-2")}, ["/identity"]),
        ({**BARE, "identity": {"kind": "phone", "value": "x"}}, ["/identity/value"]),
        ({**good, "order_ref": "a\u0000b", "x": 1}, ["/order_ref", "/x"]),
        ({**good, "lines": [{"amount": "10", "product_name": "\ud800"}]}, ["/lines/0/product_name"]),
        ({}, ["/occurred_at", "/amount"]),
        (good, []),
        (good, []),
    ]
    answer = await send(admin, *(row for row, _ in rows))
    said = [sorted(error["pointer"] for error in each["errors"]) for each in answer["items"]]
    assert said == [sorted(f"/body/purchases/{n}{field}" for field in wrong) for n, (_, wrong) in enumerate(rows)]
    assert [each["id"] is not None for each in answer["items"]] == [not wrong for _, wrong in rows]
    assert (answer["recorded"], answer["rejected"]) == (4, len(rows) - 4)
    messages = {error["message"] for each in answer["items"] for error in each["errors"]}
    assert {"the purchase O-1 is recorded already", "XXZ is no currency of ISO 4217 such as EUR"} <= messages
    assert await count(database, "purchase") == await count(database, "purchase_line") == 4
    assert await count(database, "audit_event WHERE action = 'purchase.recorded'") == 4


async def test_what_was_recorded_before_changes_nothing(admin: httpx.AsyncClient, database: Database) -> None:
    one, two = [(await create(admin))["id"] for _ in range(2)]
    rows = [
        {**ORDER, "customer_id": one},
        {**ORDER, "customer_id": two},
        {**ORDER, "customer_id": one, "kind": "refund"},
    ]
    assert (await send(admin, *rows))["recorded"] == 3
    metrics = (await admin.get(f"/v1/customers/{one}/metrics")).json()["items"]
    again = await send(admin, *rows, {**rows[0], "amount": "1", "lines": []})
    assert (again["recorded"], again["rejected"]) == (0, 4)
    assert {error["pointer"].rpartition("/")[2] for each in again["items"] for error in each["errors"]} == {"order_ref"}
    alone = await admin.post(f"/v1/customers/{one}/purchases", json=ORDER)
    assert pointers(alone, 409) == ["/body/order_ref"]
    assert (await admin.get(f"/v1/customers/{one}/metrics")).json()["items"] == metrics
    assert await count(database, "purchase") == 3
    assert await count(database, "outbox_event WHERE name = 'purchase.recorded'") == 3
    key = {"Idempotency-Key": "batch-1"}
    answers = [await send(admin, {**BARE, "customer_id": one}, **key) for _ in range(2)]
    assert answers[0] == answers[1]
    assert await count(database, "purchase") == 4


async def test_what_is_no_list_of_rows_is_refused_whole(admin: httpx.AsyncClient, database: Database) -> None:
    bodies: list[Any] = [
        {},
        {"purchases": []},
        {"purchases": [{}] * 1001},
        {"purchases": "x"},
        {"purchases": [{**BARE, "lines": [{"amount": "0"}] * 1000}] * 20 + [{"lines": [{}]}]},
    ]
    for body in bodies:
        assert pointers(await admin.post(PATH, json=body)) == ["/body/purchases"]
    assert pointers(await admin.post(PATH, json={"purchases": [{}, 1]})) == ["/body/purchases/1"]
    assert await count(database, "purchase") == 0
    customer_id = (await create(admin))["id"]
    most = await send(admin, *[{**BARE, "customer_id": customer_id, "lines": [{"amount": "0.5"}] * 20}] * 1000)
    assert most["recorded"] == 1000
    assert await count(database, "purchase_line") == 20_000


async def test_nobody_records_purchases_of_customers_out_of_reach(
    admin: httpx.AsyncClient, database: Database, make_user: MakeUser
) -> None:
    seller = await make_user({"purchases:write": "own", "customers:write": "own"})
    mine = (await create(seller, identities=[external("M")]))["id"]
    foreign = (await create(admin, identities=[external("F")]))["id"]
    for row in ({"customer_id": foreign}, {"identity": external("F")}):
        assert (await send(seller, {**BARE, **row}))["recorded"] == 0
    assert await count(database, "purchase") == await count(database, "audit_event WHERE resource = 'purchase'") == 0
    answer = await send(
        seller,
        {**BARE, "customer_id": foreign},
        {**BARE, "identity": external("F")},
        {**BARE, "customer_id": mine},
        {**BARE, "identity": external("M")},
    )
    assert [each["id"] is not None for each in answer["items"]] == [False, False, True, True]
    nobody = await send(seller, {**BARE, "customer_id": str(uuid4())}, {**BARE, "identity": external("nobody")})
    messages = {error["message"] for each in (answer, nobody) for item in each["items"] for error in item["errors"]}
    assert len(messages) == 1, "out of reach looks like not there"
    for value in ("F", "nobody"):
        unpriced = await send(seller, {**BARE, "identity": external(value), "currency": "JPY"})
        [errors] = [each["errors"] for each in unpriced["items"]]
        assert {each["message"] for each in errors} == messages, "nor does what else is wrong tell them apart"
    async with database.connection() as connection:
        owners = await connection.fetch("SELECT DISTINCT customer_id FROM purchase")
    assert [row["customer_id"] for row in owners] == [UUID(mine)]
    reader = await make_user({"purchases:read": "all", "customers:read": "all"})
    assert (await reader.post(PATH, json={"purchases": [{**BARE, "customer_id": mine}]})).status_code == 403


async def test_other_currencies_are_worth_what_they_are_alone(admin: httpx.AsyncClient) -> None:
    one, two = [(await create(admin))["id"] for _ in range(2)]
    rates = [("EUR", "2020-06-20", "8.12345678"), ("EUR", "2020-06-24", "7.9"), ("JPY", "2020-06-29", "0.06571")]
    body = {"rates": [{"currency": code, "day": day, "rate": rate} for code, day, rate in rates]}
    assert (await admin.put("/v1/exchange-rates", json=body)).status_code == 204
    rows: list[dict[str, Any]] = [
        {"occurred_at": f"2020-06-{day}T12:00:00Z", "amount": "33.3333", "currency": currency, "order_ref": f"{n}"}
        for n, (day, currency) in enumerate(
            [(20, "EUR"), (23, "EUR"), (24, "EUR"), (30, "EUR"), (29, "JPY"), (30, "JPY"), (30, "CNY"), (19, "EUR")]
        )
    ]
    rows.append({**rows[4], "kind": "refund", "amount": "0.0001"})
    for row in rows:
        alone = await admin.post(f"/v1/customers/{one}/purchases", json=row)
        assert alone.status_code == 201 or pointers(alone) == ["/body/currency"]
    answer = await send(admin, *({**row, "customer_id": two} for row in rows))
    assert [each["index"] for each in answer["items"] if each["errors"]] == [7]
    assert answer["items"][7]["errors"] == [
        {
            "pointer": "/body/purchases/7/currency",
            "message": "there is no exchange rate for EUR on 2020-06-19; put one with /v1/exchange-rates",
        }
    ]
    worth = [
        [
            (each["order_ref"], each["kind"], each["currency"], each["base_amount"])
            for each in (await admin.get(f"/v1/customers/{customer}/purchases")).json()["items"]
        ]
        for customer in (one, two)
    ]
    assert sorted(worth[0]) == sorted(worth[1])
    assert len(worth[0]) == 8


HABITS: list[list[tuple[int, str, str]]] = [
    [(1, "5000", "purchase")],
    [(400, "10", "purchase"), (90, "20", "purchase"), (3, "15.50", "purchase"), (0, "8", "purchase")],
    [(700, "99", "purchase")],
    [(5, "80", "purchase"), (2, "80", "refund")],
    [(3, "7", "purchase"), (3, "7", "purchase"), (-1, "70", "purchase")],
    [(0, "0", "purchase")],
]


async def test_classes_and_metrics_are_those_of_purchases_recorded_alone(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    for n in range(12):
        await add(
            database, f"base-{n}", [(n * 37 % 300 + visit * (5 + n), f"{n * 13 + 9}") for visit in range(n % 5 + 1)]
        )
    await recalculate(admin, run_jobs, refit=True)
    alone = [(await create(admin, region="CN-31"))["id"] for _ in HABITS]
    together = [(await create(admin, region="CN-31"))["id"] for _ in HABITS]
    rows = []
    for one, other, habit in zip(alone, together, HABITS, strict=True):
        for days, amount, kind in habit:
            at = (NOON - timedelta(days=days)).astimezone(UTC)
            at = min(at, NOON + timedelta(hours=20))
            line = {"amount": amount, "category": "tea" if days % 2 else "cups"}
            body = {"occurred_at": at.isoformat(), "amount": amount, "kind": kind, "lines": [line]}
            answer = await admin.post(f"/v1/customers/{one}/purchases", json=body)
            assert answer.status_code == 201, answer.text
            rows.append({**body, "customer_id": other})
    assert (await send(admin, *reversed(rows)))["recorded"] == len(rows)
    for one, other in zip(alone, together, strict=True):
        found = [await _standing(admin, database, each) for each in (one, other)]
        assert found[0] == found[1], HABITS[alone.index(one)]
    assert (await recalculate(admin, run_jobs))["changed"] == 0
    history = (await admin.get(f"/v1/customers/{together[0]}/classes/abc/history")).json()["items"]
    assert [(each["to_class"], each["cause"]) for each in history] == [("A", "correction"), ("C", "event")]
    today = (await admin.get(f"/v1/customers/{together[5]}/classes/lifecycle/history")).json()["items"]
    assert {each["cause"] for each in today} == {"event"}


async def _standing(admin: httpx.AsyncClient, database: Database, customer: str) -> Any:
    classes = (await admin.get(f"/v1/customers/{customer}")).json()["classes"]
    metrics = (await admin.get(f"/v1/customers/{customer}/metrics")).json()["items"]
    async with database.connection() as connection:
        review = await connection.fetchrow(
            "SELECT next_review_at, next_fact_at, window_first_at, categories FROM customer_metrics"
            " WHERE customer_id = $1",
            UUID(customer),
        )
    return classes, {each["name"]: each["value"] for each in metrics}, tuple(review)


async def test_classes_can_be_left_to_the_sweep(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, setting: Callable[..., None]
) -> None:
    one, two = [(await create(admin))["id"] for _ in range(2)]
    setting(classify_inline=False)
    rows = [{**BARE, "customer_id": each} for each in (one, two, one)]
    assert (await send(admin, *rows))["recorded"] == 3
    assert await count(database, "dirty_customer") == 2
    assert (await admin.get(f"/v1/customers/{one}")).json()["classes"]["behaviour"] == "none"


@pytest.mark.parametrize(("error", "reason"), FAILURES)
async def test_a_scheme_that_fails_for_a_customer_costs_nobody_a_batch(
    admin: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch, error: type[Exception], reason: str
) -> None:
    one, two = [(await create(admin))["id"] for _ in range(2)]
    calls = []

    async def failing(*_: Any, **__: Any) -> Any:
        calls.append(1)
        raise error

    monkeypatch.setattr("app.classification.handlers.decide", failing)
    answer = await send(admin, {**BARE, "customer_id": one}, {**BARE, "customer_id": two})
    assert (answer["recorded"], len(calls)) == (2, 1), reason
    assert await count(database, "purchase") == await count(database, "dirty_customer") == 2


async def test_what_has_no_rows_left_asks_for_nothing(admin: httpx.AsyncClient, database: Database) -> None:
    before = await count(database, "audit_event")
    answer = await send(admin, {}, {**BARE, "identity": external("nobody")}, {**BARE, "customer_id": str(uuid4())})
    assert (answer["recorded"], answer["rejected"]) == (0, 3)
    assert await count(database, "audit_event") == before
