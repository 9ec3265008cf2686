"""The job behind a prediction: followed, cancelled, interrupted, killed, and run every week."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from app import features
from app.classification import schemes, walking
from app.classification.predictions import estimates, requests, run
from app.core import invalidation, work
from app.core.db import Database
from app.core.jobs import Interrupted, JobContext
from tests.classification.population import RunJobs
from tests.classification.predicting import (
    CALIBRATED,
    PATH,
    SLEEPING,
    ask,
    fetch,
    predict,
    publish,
    read,
    written,
)
from tests.conftest import SECRET


@pytest.fixture(autouse=True)
def calibration(today: Callable[[date], None], setting: Callable[..., None]) -> None:
    setting(currency="USD")
    today(CALIBRATED)


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
