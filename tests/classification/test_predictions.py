"""Predictions as a job: asked for, fitted, written to everybody; cancelled, interrupted, killed, and not estimable."""

import asyncio
import csv
import gzip
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app import features
from app.classification import schemes, walking
from app.classification.metrics import PREDICTED
from app.classification.predictions import estimates, requests, run
from app.core import invalidation, work
from app.core.db import Database
from app.core.jobs import Interrupted, JobContext
from tests.classification.population import RunJobs, recalculate
from tests.classification.test_golden import CDNOW, bring_in
from tests.conftest import SECRET, MakeUser
from tests.customers.customers import pointers

PATH = "/v1/predictions"
CALIBRATED = date(1997, 9, 30)
FILE = resources.files("app.demo") / "cdnow_sample.csv.gz"
Purchases = Iterable[tuple[str, date, Decimal]]


@pytest.fixture(autouse=True)
def calibration(today: Callable[[date], None], setting: Callable[..., None]) -> None:
    setting(currency="USD")
    today(CALIBRATED)


def cdnow(customers: int = 400) -> list[tuple[str, date, Decimal]]:
    """The first customers' purchases, later ones too."""
    rows = csv.DictReader(gzip.decompress(FILE.read_bytes()).decode().splitlines())
    return [
        (row["customer_id"], date.fromisoformat(row["date"]), Decimal(row["dollar_value"]))
        for row in rows
        if int(row["customer_id"]) <= customers
    ]


async def put(database: Database, purchases: Purchases) -> None:
    """Customers with these purchases as facts, and somebody who never bought."""
    whose, days, amounts = (list(column) for column in zip(*purchases, strict=True))
    at = [datetime.combine(day, time(12), UTC) for day in days]
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO customer (name) SELECT DISTINCT name FROM unnest($1::text[] || 'nobody'::text) AS n (name)",
            whose,
        )
        await connection.execute(
            "INSERT INTO purchase (customer_id, kind, occurred_at, occurred_on, amount, currency, base_amount)"
            " SELECT c.id, 'purchase', at, at::date, amount, 'USD', amount"
            " FROM unnest($1::text[], $2::timestamptz[], $3::numeric[]) AS given (name, at, amount)"
            " JOIN customer c USING (name)",
            whose,
            at,
            amounts,
        )


@pytest.fixture
async def shop(database: Database, admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    """A few hundred customers, measured and classified."""
    await put(database, cdnow())
    await recalculate(admin, run_jobs, refit=True)


async def ask(admin: httpx.AsyncClient, **body: Any) -> str:
    answer = await admin.post(PATH, json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{PATH}/{answer.json()['id']}"
    return answer.headers["location"]


async def read(admin: httpx.AsyncClient, path: str) -> Any:
    answer = await admin.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def predict(admin: httpx.AsyncClient, run_jobs: RunJobs, **asked: Any) -> Any:
    path = await ask(admin, **asked)
    await run_jobs()
    ended = await read(admin, path)
    assert ended["status"] == "completed", ended
    return ended


async def fetch(database: Database, query: str, *values: Any) -> list[Any]:
    async with database.connection() as connection:
        rows: list[Any] = await connection.fetch(query, *values)
    return rows


async def written(database: Database) -> dict[str, tuple[Any, ...]]:
    rows = await fetch(
        database,
        f"SELECT c.name, {', '.join(PREDICTED)}, revision"
        " FROM customer_metrics JOIN customer c ON c.id = customer_id ORDER BY c.name",
    )
    return {row["name"]: tuple(row)[1:] for row in rows}


async def metrics_of(admin: httpx.AsyncClient, database: Database, name: str) -> dict[str, Any]:
    [row] = await fetch(database, "SELECT id FROM customer WHERE name = $1", name)
    items = (await read(admin, f"/v1/customers/{row['id']}/metrics"))["items"]
    return {each["name"]: each for each in items if each["name"] in PREDICTED}


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


async def publish(database: Database, key: str, document: dict[str, Any]) -> None:
    async with database.transaction() as session:
        await session.connection.execute("INSERT INTO scheme (key, title, version) VALUES ($1, $1, 1)", key)
        await session.connection.execute(
            "INSERT INTO scheme_version (scheme, version, document, status) VALUES ($1, 1, $2, 'published')",
            key,
            document,
        )
        await invalidation.announce(session, schemes.TOPIC)


SLEEPING = {
    "kind": "rules",
    "rules": [{"class": "sleeping", "when": {"metric": "probability_alive", "op": "lt", "value": "0.5"}}],
    "default": "awake",
}


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


# ---- the job ---------------------------------------------------------------------------------------------------------


async def test_a_prediction_says_how_far_it_is(
    admin: httpx.AsyncClient, run_jobs: RunJobs, shop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await ask(admin)
    queued = await read(admin, path)
    assert (queued["status"], queued["processed"], queued["total"]) == ("queued", 0, None)
    assert {queued[name] for name in ("estimable", "reason", "population", "bg_nbd", "gamma_gamma", "eta")} == {None}
    monkeypatch.setattr(walking, "CHUNK", 100)
    seen: list[Any] = []
    keep = work.checkpoint

    async def look(*given: Any, **values: Any) -> None:
        await keep(*given, **values)
        seen.append(await read(admin, path))

    monkeypatch.setattr(work, "checkpoint", look)
    await run_jobs()
    assert {each["status"] for each in seen} == {"running"}
    processed = [each["processed"] for each in seen]
    assert processed == sorted(processed)
    assert (len(processed), processed[0], processed[-1]) == (10, 50, 401)
    assert {each["estimable"] for each in seen[:5]} == {None}
    assert {each["estimable"] for each in seen[5:]} == {True}
    ended = await read(admin, path)
    assert (ended["status"], ended["processed"], ended["total"], ended["eta"]) == ("completed", 401, 401, None)


async def test_one_that_is_cancelled_while_queued_does_nothing(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, shop: None
) -> None:
    before = await written(database)
    path = await ask(admin)
    cancelled = await admin.post(f"{path}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled.json()["finished_at"] is not None
    again = await admin.post(f"{path}/cancel")
    assert (again.status_code, again.json()["type"]) == (409, "urn:strata:problem:conflict")
    await run_jobs()
    assert (await read(admin, path))["status"] == "cancelled"
    assert await written(database) == before
    actions = await fetch(database, "SELECT action FROM audit_event WHERE resource = 'prediction' ORDER BY id")
    assert [row[0] for row in actions] == ["prediction.requested", "prediction.cancelled"]
    done = await predict(admin, run_jobs)
    assert (await admin.post(f"{PATH}/{done['id']}/cancel")).status_code == 409


@pytest.mark.parametrize(("at", "some"), [(2, False), (7, True)], ids=["while reading", "while writing"])
async def test_one_that_is_cancelled_stops_at_its_next_chunk(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    shop: None,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    some: bool,
) -> None:
    monkeypatch.setattr(walking, "CHUNK", 100)
    path = await ask(admin)
    keep = work.checkpoint
    chunks = 0

    async def cancel_in_between(*given: Any, **values: Any) -> None:
        nonlocal chunks
        chunks += 1
        if chunks == at:
            assert (await admin.post(f"{path}/cancel")).status_code == 200
        await keep(*given, **values)

    monkeypatch.setattr(work, "checkpoint", cancel_in_between)
    await run_jobs()
    assert (await read(admin, path))["status"] == "cancelled"
    assert chunks == at
    predicted = [values for values in (await written(database)).values() if values[0] is not None]
    assert bool(predicted) is some
    assert len(predicted) < 400


@pytest.mark.parametrize("at", [2, 7], ids=["while reading", "while writing"])
async def test_an_interrupted_prediction_goes_on_where_it_ended(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    shop: None,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
) -> None:
    await predict(admin, run_jobs)
    expected = await written(database)
    async with database.connection() as connection:
        await connection.execute("UPDATE customer_metrics SET probability_alive = NULL, expected_purchases_365d = 0")
    monkeypatch.setattr(walking, "CHUNK", 100)
    path = await ask(admin)
    context = JobContext(database, {"prediction_id": path.rsplit("/", 1)[-1]}, None, asyncio.Event())
    keep = work.checkpoint
    chunks = 0

    async def stop_in_between(*given: Any, **values: Any) -> None:
        nonlocal chunks
        chunks += 1
        if chunks == at:
            context.stopping.set()
        await keep(*given, **values)

    monkeypatch.setattr(work, "checkpoint", stop_in_between)
    with pytest.raises(Interrupted):
        await run.run_prediction(context)
    halfway = await read(admin, path)
    assert (halfway["status"], halfway["processed"]) == ("running", {2: 100, 7: 300}[at])
    fits = 0
    fit = estimates.estimate

    def count(*given: Any, **named: Any) -> Any:
        nonlocal fits
        fits += 1
        return fit(*given, **named)

    monkeypatch.setattr(estimates, "estimate", count)
    await run_jobs()
    assert (await read(admin, path))["status"] == "completed"
    assert fits == (1 if at == 2 else 0), "parameters are kept once they are found"
    found = await written(database)
    assert {name: values[:3] for name, values in found.items()} == {n: v[:3] for n, v in expected.items()}
    assert all(values[3] <= expected[name][3] + 1 for name, values in found.items()), "no row is written twice"


async def test_a_worker_that_stops_does_not_wait_for_the_fit(
    admin: httpx.AsyncClient, database: Database, shop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await ask(admin)
    context = JobContext(database, {"prediction_id": path.rsplit("/", 1)[-1]}, None, asyncio.Event())
    fit = estimates.estimate

    def stop_at_once(*given: Any, **named: Any) -> Any:
        context.stopping.set()
        return fit(*given, **named)

    monkeypatch.setattr(estimates, "estimate", stop_at_once)
    with pytest.raises(Interrupted):
        await run.run_prediction(context)
    assert (await read(admin, path))["status"] == "running"


WORKER = """
from app.classification import walking
walking.CHUNK = 4
from app.cli import cli
cli(["worker"])
"""


@pytest.mark.slow
async def test_a_worker_killed_in_the_middle_is_succeeded(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, shop: None, url: str
) -> None:
    path = await ask(admin)
    environment = {
        **os.environ,
        "STRATA_DATABASE_URL": url,
        "STRATA_SECRET_KEY": SECRET,
        "STRATA_LOG_LEVEL": "CRITICAL",
    }
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while (await read(admin, path))["processed"] < 210:
                assert worker.returncode is None
    finally:
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
    killed = await read(admin, path)
    assert (killed["status"], killed["estimable"]) == ("running", True)
    assert 210 <= killed["processed"] < 401
    async with database.connection() as connection:  # its heartbeat is over, without waiting for that
        await connection.execute("UPDATE pgqueuer SET heartbeat = now() - interval '1 minute'")
    await run_jobs()
    ended = await read(admin, path)
    assert (ended["status"], ended["bg_nbd"]) == ("completed", killed["bg_nbd"])
    found = await written(database)
    assert found.pop("nobody")[0] is None
    assert all(values[0] is not None for values in found.values())
    assert {values[3] for values in found.values()} == {2}, "no row is written twice"


@pytest.mark.parametrize("module", ["numpy", "scipy"])
async def test_without_the_extra_a_prediction_fails_and_says_what_is_missing(
    admin: httpx.AsyncClient, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    path = await ask(admin)
    monkeypatch.setitem(sys.modules, module, None)
    await run_jobs()
    ended = await read(admin, path)
    assert (ended["status"], ended["error"]) == ("failed", "prediction needs the extra strata[predict]")
    assert ended["finished_at"] is not None


async def test_without_customers_nothing_is_estimable(admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    ended = await predict(admin, run_jobs)
    assert (ended["estimable"], ended["population"], ended["total"]) == (False, 0, 0)
    assert ended["reason"].endswith("on more than one day: 0, at least 30 are needed")


async def test_a_purchase_recorded_meanwhile_keeps_its_place_in_the_metrics(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, shop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job writes only its own columns, over whatever row stands when it comes."""
    [row] = await fetch(database, "SELECT id FROM customer WHERE name = '1'")
    begin = run._Run._write

    async def buy_first(job: Any, *, marking: bool) -> None:
        body = {"occurred_at": "1997-09-30T00:00:01Z", "amount": "5", "currency": "USD"}
        assert (await admin.post(f"/v1/customers/{row['id']}/purchases", json=body)).status_code == 201
        await begin(job, marking=marking)

    monkeypatch.setattr(run._Run, "_write", buy_first)
    await predict(admin, run_jobs)
    items = (await read(admin, f"/v1/customers/{row['id']}/metrics"))["items"]
    shown = {each["name"]: each["value"] for each in items}
    assert shown["frequency"] == "4"
    assert shown["probability_alive"] is not None


async def test_the_weekly_prediction_runs_where_predictions_are_in_use(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    async def week() -> int:
        await requests.run_weekly(JobContext(database, {}, None, asyncio.Event()))
        [row] = await fetch(database, "SELECT count(*) FROM prediction")
        return int(row[0])

    assert "predictions.weekly" in {schedule.name for schedule in features.SCHEDULES}
    assert await week() == 0
    await publish(database, "sleep", SLEEPING)
    assert await week() == 1
    assert await week() == 1, "one that waits is enough"
    await run_jobs()
    async with database.transaction() as session:
        await session.connection.execute("UPDATE prediction SET created_at = $1", datetime.now(UTC) - timedelta(days=7))
        await session.connection.execute("DELETE FROM breakpoints WHERE scheme = 'sleep'")
        await session.connection.execute("DELETE FROM scheme_version WHERE scheme = 'sleep'")
        await session.connection.execute("DELETE FROM scheme WHERE key = 'sleep'")
        await invalidation.announce(session, schemes.TOPIC)
    assert await week() == 2
