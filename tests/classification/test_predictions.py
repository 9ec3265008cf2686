"""Predictions as a job: asked for, fitted, written to everybody; cancelled, interrupted, killed, and not estimable."""

import csv
import gzip
from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from app.classification.metrics import PREDICTED
from app.core.db import Database
from tests.classification.population import RunJobs, recalculate
from tests.classification.predicting import (
    CALIBRATED,
    FILE,
    PATH,
    SLEEPING,
    ask,
    cdnow,
    fetch,
    metrics_of,
    predict,
    publish,
    put,
    read,
    written,
)
from tests.classification.test_golden import CDNOW, bring_in
from tests.conftest import MakeUser
from tests.customers.customers import pointers


@pytest.fixture(autouse=True)
def calibration(today: Callable[[date], None], setting: Callable[..., None]) -> None:
    setting(currency="USD")
    today(CALIBRATED)


# ---- what is published -----------------------------------------------------------------------------------------------


async def test_cdnow_gives_the_published_parameters_and_everybody_a_prediction(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Callable[[date], None]
) -> None:
    today(date(1998, 7, 1))
    await bring_in(admin, run_jobs, FILE.read_bytes(), "cdnow_sample.csv.gz", CDNOW)
    ended = await predict(admin, run_jobs, as_of=CALIBRATED.isoformat())
    assert (ended["estimable"], ended["reason"], ended["population"]) == (True, None, 2_357)
    assert (ended["processed"], ended["total"], ended["error"]) == (2_357, 2_357, None)
    buying, spending = ended["bg_nbd"], ended["gamma_gamma"]
    assert {name: round(buying[name], 6) for name in ("r", "alpha", "a", "b")} == {
        "r": 0.242593,
        "alpha": 4.413532,
        "a": 0.792886,
        "b": 2.425753,
    }
    assert round(buying["log_likelihood"], 4) == -9582.4256
    assert {name: round(spending[name], 4) for name in ("p", "q", "gamma")} == {
        "p": 6.2488,
        "q": 3.7446,
        "gamma": 15.4477,
    }
    assert (buying["reason"], spending["reason"]) == (None, None)
    assert [each["id"] for each in (await read(admin, PATH))["items"]] == [ended["id"]]

    [first] = await fetch(database, "SELECT customer_id FROM customer_identity WHERE kind = 'external' AND value = '1'")
    items = (await read(admin, f"/v1/customers/{first['customer_id']}/metrics"))["items"]
    shown = {each["name"]: each for each in items}
    assert shown["probability_alive"]["value"].startswith("0.72660")
    assert (shown["probability_alive"]["unit"], shown["predicted_value_365d"]["unit"]) == ("ratio", "money")
    assert all(shown[name]["note"] is None for name in PREDICTED)

    everybody = await fetch(database, "SELECT customer_id, predicted_value_365d AS value FROM customer_metrics")
    assert len(everybody) == 2_357
    worth = {str(row["customer_id"]) for row in everybody if row["value"] >= 300}
    where = {"metric": "predicted_value_365d", "op": "gte", "value": "300"}
    searched = (await admin.post("/v1/customers/search", json={"where": where, "limit": 200})).json()
    assert {each["id"] for each in searched["items"]} == worth
    assert 10 < len(worth) < 200


@pytest.mark.shared_data
async def test_online_retails_one_year_does_not_tell_who_has_left(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    today: Callable[[date], None],
    shared_data: Path,
) -> None:
    today(date(2011, 12, 10))
    spent: dict[tuple[str, date], Decimal] = defaultdict(Decimal)
    with gzip.open(shared_data / "online_retail" / "online_retail.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            amount = int(row["Quantity"]) * Decimal(row["UnitPrice"])
            if row["CustomerID"] and not row["InvoiceNo"].startswith("C") and amount > 0:
                spent[row["CustomerID"], datetime.fromisoformat(row["InvoiceDate"]).date()] += amount
    await put(database, [(whose, day, amount) for (whose, day), amount in spent.items()])
    await recalculate(admin, run_jobs, refit=True)
    ended = await predict(admin, run_jobs)
    assert (ended["estimable"], ended["population"]) == (False, 4_338)
    assert round(ended["bg_nbd"]["a"], 3) in (0.003, 0.004)
    assert ended["reason"].startswith("drop-out: the purchases do not determine a = 0.00")
    assert {values[:3] for values in (await written(database)).values()} == {(None, None, None)}
    shown = await metrics_of(admin, database, "12347")
    assert {each["value"] for each in shown.values()} == {None}
    assert {each["note"] for each in shown.values()} == {f"not estimable: {ended['reason']}"}


# ---- what may be asked -----------------------------------------------------------------------------------------------


async def test_what_cannot_be_predicted_is_named(admin: httpx.AsyncClient, database: Database) -> None:
    for body, pointer in (
        ({"as_of": "1997-10-02"}, "/body/as_of"),
        ({"as_of": "2030-01-01T00:00:00Z"}, "/body/as_of"),
        ({"horizon": 365}, "/body/horizon"),
    ):
        assert pointers(await admin.post(PATH, json=body)) == [pointer], body
    for as_of in ("2020-06-30T12:00:00", "yesterday", 5.5, "0001-01-01"):
        answer = await admin.post(PATH, json={"as_of": as_of})
        assert all(pointer.startswith("/body/as_of") for pointer in pointers(answer)), as_of
    assert not await fetch(database, "SELECT FROM prediction")
    assert not await fetch(database, "SELECT FROM job")


async def test_a_prediction_needs_its_permission(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    reader, stranger = await make_user({"predictions:read": "all"}), await make_user({"recalculations:write": "all"})
    path = await ask(admin)
    assert (await reader.get(path)).status_code == 200
    assert (await reader.get(PATH)).status_code == 200
    for refused in (
        await reader.post(PATH, json={}),
        await reader.post(f"{path}/cancel"),
        await stranger.get(path),
        await stranger.post(PATH, json={}),
    ):
        assert refused.status_code == 403
    for missing in (await admin.get(f"{PATH}/{uuid4()}"), await admin.post(f"{PATH}/{uuid4()}/cancel")):
        assert missing.status_code == 404


# ---- what becomes of a customer --------------------------------------------------------------------------------------


async def test_everybody_who_bought_has_a_prediction_and_the_others_are_told_why_not(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, shop: None
) -> None:
    before = await metrics_of(admin, database, "1")
    assert {(each["value"], each["note"]) for each in before.values()} == {(None, "nothing has been predicted yet")}
    await predict(admin, run_jobs)
    found = await written(database)
    assert found.pop("nobody")[:3] == (None, None, None)
    for alive, purchases, value, _ in found.values():
        assert 0 < alive <= 1
        assert purchases > 0
        assert value > 0
    once = found["3"]
    assert once[0] == 1
    shown = await metrics_of(admin, database, "nobody")
    note = "no purchase before the last prediction, as of 1997-09-30"
    assert {(each["value"], each["note"]) for each in shown.values()} == {(None, note)}
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM dirty_customer") == 0
        assert await connection.fetchval("SELECT count(*) FROM recalculation") == 1


async def test_a_second_prediction_of_the_same_day_writes_nothing(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, shop: None
) -> None:
    unpredicted = await written(database)
    await predict(admin, run_jobs, as_of="1997-09-29")
    first = await written(database)
    assert all(first[name][3] == unpredicted[name][3] + (name != "nobody") for name in first)
    await predict(admin, run_jobs, as_of="1997-09-29")
    assert await written(database) == first
    await predict(admin, run_jobs, as_of="1997-09-30")
    later = await written(database)
    assert later["1"][0] != first["1"][0]
    assert later["1"][3] == first["1"][3] + 1


async def test_what_is_no_longer_estimable_is_taken_away(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, shop: None
) -> None:
    await predict(admin, run_jobs)
    ended = await predict(admin, run_jobs, as_of="1997-01-06")
    assert ended["estimable"] is False
    assert "too few customers have bought on more than one day: " in ended["reason"]
    assert (ended["bg_nbd"], ended["gamma_gamma"]) == (None, None)
    assert {values[:3] for values in (await written(database)).values()} == {(None, None, None)}
    shown = await metrics_of(admin, database, "1")
    assert {each["note"] for each in shown.values()} == {f"not estimable: {ended['reason']}"}


async def test_where_only_the_value_is_not_estimable_the_rest_is_there(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    await put(database, [(whose, day, Decimal(10)) for whose, day, _ in dict.fromkeys(cdnow())])
    await fetch(
        database,
        "DELETE FROM purchase p USING purchase o WHERE (p.customer_id, p.occurred_on)"
        " = (o.customer_id, o.occurred_on) AND p.id > o.id",
    )
    await recalculate(admin, run_jobs, refit=True)
    ended = await predict(admin, run_jobs)
    assert ended["estimable"] is True
    assert ended["reason"] == "spend: the likelihood has no maximum: it grows as p goes to infinity"
    shown = await metrics_of(admin, database, "1")
    assert [each["value"] is None for each in shown.values()] == [False, False, True]
    assert shown["predicted_value_365d"]["note"] == f"not estimable: {ended['reason']}"


async def test_a_scheme_that_reads_a_prediction_follows_it(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, shop: None
) -> None:
    await publish(database, "sleep", SLEEPING)
    await recalculate(admin, run_jobs)
    assert [row[0] for row in await fetch(database, CLASSES)] == ["awake"]
    await predict(admin, run_jobs)
    found = await written(database)
    asleep = {name for name, (alive, *_) in found.items() if alive is not None and alive < Decimal("0.5")}
    rows = await fetch(
        database,
        "SELECT c.name FROM customer_class k JOIN customer c ON c.id = k.customer_id WHERE class = 'sleeping'",
    )
    assert {row["name"] for row in rows} == asleep
    assert len(asleep) > 20
    causes = await fetch(database, "SELECT DISTINCT cause FROM class_change WHERE to_class = 'sleeping'")
    assert [row[0] for row in causes] == ["refit"]
    assert not await fetch(database, "SELECT FROM dirty_customer")


CLASSES = "SELECT DISTINCT class FROM customer_class WHERE scheme = 'sleep' ORDER BY class"
