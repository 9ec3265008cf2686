"""Schemes that fail: they say so, and stop nobody else."""

import asyncio
import signal
import sys
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from app.classification import presets, walking
from app.classification.engine import evaluate
from app.core.db import Database
from tests.classification.population import NOON, RunJobs, add, recalculate
from tests.classification.schemes import FAILURES
from tests.classification.test_recalculations import WORKER, environment
from tests.classification.versions import (
    ABC,
    READER,
    SMALLER,
    counts,
    draft,
    people,
    publish,
    scheme,
    statuses,
    value,
)


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


async def test_a_scheme_whose_document_is_no_longer_valid_is_set_aside_and_says_so(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    made = await people(database, admin, run_jobs)
    stood = await counts(admin, "rfm")
    broken = "UPDATE scheme_version SET document = document - 'frequency' || '{\"bins\": 7}' WHERE scheme = 'rfm'"
    await value(database, broken)
    await value(database, "SELECT pg_notify('strata_changed', 'schemes')")
    await asyncio.sleep(0.2)
    shown = (await admin.get("/v1/schemes/rfm")).json()
    assert (shown["document"], "not valid any more" in shown["error"]) == (None, True)
    body = {"occurred_at": NOON.isoformat(), "amount": "1000"}
    answer = await admin.post(f"/v1/customers/{made[0]}/purchases", json=body)
    assert (answer.status_code, answer.json()["classes"]["abc"]) == (201, "A")
    ended = await recalculate(admin, run_jobs)
    assert ended["status"] == "completed"
    shown = (await admin.get("/v1/schemes/rfm")).json()
    assert shown["stale_since"] is not None
    rows = "SELECT count(*) FROM customer_class WHERE scheme = 'rfm'"
    assert await value(database, rows) == sum(stood.values())
    assert (await admin.get("/v1/schemes/rfm/classes")).json()["type"] == "urn:strata:problem:scheme-failing"
    next_version = next(each.document for each in presets.load() if each.key == "rfm")
    await publish(admin, run_jobs, "rfm", await draft(admin, "rfm", next_version))
    shown = (await admin.get("/v1/schemes/rfm")).json()
    assert (shown["version"], shown["error"], shown["stale_since"]) == (2, None, None)
    first = (await admin.get(f"/v1/customers/{made[0]}/classes/rfm/history")).json()["items"][-1]
    assert (first["version"], first["cause"], first["inputs"]) == (1, "refit", {})


@pytest.mark.parametrize(("error", "why"), FAILURES)
async def test_a_scheme_that_the_database_cannot_evaluate_does_not_stop_the_others(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    why: str,
) -> None:
    await people(database, admin, run_jobs)
    await scheme(admin)
    await publish(admin, run_jobs, "size", 1)
    await scheme(admin, "reader", READER)
    await publish(admin, run_jobs, "reader", 1)
    await value(database, "UPDATE purchase SET amount = amount * 3, base_amount = base_amount * 3")
    monkeypatch.setattr(walking, "CHUNK", 3)

    async def failing(session: Any, evaluation: Any, *given: Any, **named: Any) -> Any:
        if any(each.key == "size" for each in evaluation.schemes):
            raise error
        return await evaluate(session, evaluation, *given, **named)

    monkeypatch.setattr("app.classification.recalculate.evaluate", failing)
    stood = await counts(admin, "size")
    assert (await recalculate(admin, run_jobs, refit=True))["changed"] >= 0
    for key, reason in (("size", why), ("reader", "uses size, which cannot be evaluated")):
        shown = (await admin.get(f"/v1/schemes/{key}")).json()
        assert (reason in shown["error"], shown["stale_since"] is not None) == (True, True), shown
    assert await counts(admin, "size") == stood
    for name, number in stood.items():
        asked = {"where": {"class": "size", "op": "eq", "value": name}, "include_total": True}
        by_name = await admin.get("/v1/customers", params={"class": f"size:{name}", "include": "total"})
        assert by_name.json()["total"] == number
        assert (await admin.post("/v1/customers/search", json=asked)).json()["total"] == number
    assert (await admin.get("/v1/schemes/abc")).json()["error"] is None
    monkeypatch.setattr("app.classification.recalculate.evaluate", evaluate)
    await recalculate(admin, run_jobs)
    for key in ("size", "reader"):
        shown = (await admin.get(f"/v1/schemes/{key}")).json()
        assert (shown["error"], shown["stale_since"]) == (None, None)
    assert await counts(admin, "reader") == {"yes": 9, "no": 1}


async def test_a_process_that_has_not_heard_of_a_new_version_decides_by_it_all_the_same(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    made = await people(database, admin, run_jobs)
    await scheme(admin)
    await publish(admin, run_jobs, "size", 1)
    await draft(admin, "size", SMALLER)
    body = {"occurred_at": NOON.isoformat(), "amount": "8"}
    answer = await admin.post(f"/v1/customers/{made[0]}/purchases", json=body)
    assert answer.json()["classes"]["size"] == "small"
    await value(database, "UPDATE scheme SET version = 2 WHERE key = 'size'")  # as another process does, unannounced
    answer = await admin.post(f"/v1/customers/{made[1]}/purchases", json={**body, "amount": "1"})
    assert (answer.status_code, answer.json()["classes"]["size"]) == (201, "large")
    assert set(answer.json()["classes"]) >= {"abc", "lifecycle", "size"}


@pytest.mark.slow
async def test_a_worker_killed_while_it_publishes_is_succeeded_by_another(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, url: str
) -> None:
    for n in range(120):
        await add(database, f"c-{n}", [(n, f"{n + 1}")])
    await recalculate(admin, run_jobs, refit=True)
    await draft(admin, "abc", ABC)
    path = (await admin.post("/v1/schemes/abc/versions/2/publish", json={})).headers["location"]
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, env=environment(url), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while (await admin.get(path)).json()["processed"] < 70:
                assert worker.returncode is None
    finally:
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
    killed = (await admin.get(path)).json()
    assert (killed["status"], killed["phase"]) == ("running", "classes")
    await value(database, "UPDATE pgqueuer SET heartbeat = now() - interval '1 minute'")
    await run_jobs()
    assert (await admin.get(path)).json()["status"] == "completed"
    assert await statuses(admin, "abc") == {2: "published", 1: "retired"}
    assert await value(database, "SELECT count(*) FROM breakpoints WHERE scheme = 'abc' AND version = 2") == 1
    assert (await recalculate(admin, run_jobs))["changed"] == 0
