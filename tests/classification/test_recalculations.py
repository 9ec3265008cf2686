"""Recalculations: what may be asked, how far they are, cancelled, killed, resumed, and as of another day."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app import features
from app.classification import presets, walking
from app.classification.recalculate import _Run
from app.core import work
from app.core.db import Database
from app.core.jobs import Hopeless
from app.core.workers import Worker
from tests.classification.population import NOON, RunJobs, add, classes, recalculate
from tests.conftest import SECRET, MakeUser
from tests.customers.customers import pointers

PATH = "/v1/recalculations"


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


async def customers(database: Database, count: int) -> list[str]:
    return [await add(database, f"c-{n}", [(n + 1, f"{n + 1}")] * (n % 4 + 1)) for n in range(count)]


async def ask(admin: httpx.AsyncClient, **body: Any) -> str:
    answer = await admin.post(PATH, json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{PATH}/{answer.json()['id']}"
    return answer.headers["location"]


async def read(admin: httpx.AsyncClient, path: str) -> Any:
    return (await admin.get(path)).json()


async def value(database: Database, query: str) -> Any:
    async with database.connection() as connection:
        return await connection.fetchval(query)


async def test_what_cannot_be_recalculated_is_named(admin: httpx.AsyncClient, database: Database) -> None:
    table: list[tuple[dict[str, Any], str]] = [
        ({"schemes": ["abc", "nope"]}, "/body/schemes/1"),
        ({"schemes": ["A B"]}, "/body/schemes/0"),
        ({"as_of": "2020-07-01"}, "/body/as_of"),
        ({"as_of": "2030-01-01T00:00:00Z"}, "/body/as_of"),
        ({"scope": "all"}, "/body/scope"),
    ]
    for body, pointer in table:
        assert pointers(await admin.post(PATH, json=body)) == [pointer], body
    assert ", ".join(presets.ORDER) in (await admin.post(PATH, json={"schemes": ["nope"]})).text
    for as_of in ("2020-06-30T12:00:00", "yesterday", 5.5, "0001-01-01"):
        answer = await admin.post(PATH, json={"as_of": as_of})
        assert all(pointer.startswith("/body/as_of") for pointer in pointers(answer)), as_of
    assert await value(database, "SELECT count(*) FROM recalculation") == 0
    assert await value(database, "SELECT count(*) FROM job") == 0


async def test_a_recalculation_needs_its_permission(admin: httpx.AsyncClient, make_user: MakeUser) -> None:
    reader = await make_user({"recalculations:read": "all"})
    path = await ask(admin)
    assert (await reader.get(path)).status_code == 200
    assert (await reader.post(PATH, json={})).status_code == 403
    assert (await reader.post(f"{path}/cancel")).status_code == 403
    for refused in (await admin.get(f"{PATH}/{uuid4()}"), await admin.post(f"{PATH}/{uuid4()}/cancel")):
        assert refused.status_code == 404


async def test_a_day_means_its_end_and_today_means_now(
    admin: httpx.AsyncClient, setting: Callable[..., None], run_jobs: RunJobs
) -> None:
    setting(time_zone="Asia/Shanghai")
    table = {
        "2020-06-01": "2020-06-01T15:59:59.999999Z",
        "2020-06-01T10:00:00+08:00": "2020-06-01T02:00:00Z",
    }
    for given, expected in table.items():
        assert (await read(admin, await ask(admin, as_of=given)))["as_of"] == expected
    now = datetime.fromisoformat((await read(admin, await ask(admin, as_of="2020-06-30")))["as_of"])
    assert now.astimezone(NOON.tzinfo).date().isoformat() in ("2020-06-29", "2020-06-30")
    path = await ask(admin)
    assert (await read(admin, path))["as_of"] is None
    await run_jobs()
    assert (await read(admin, path))["as_of"] is not None


async def test_a_recalculation_says_how_far_it_is(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await customers(database, 9)
    path = await ask(admin, refit=True, schemes=["abc"])
    queued = await read(admin, path)
    assert (queued["status"], queued["processed"], queued["total"]) == ("queued", 0, None)
    assert (queued["schemes"], queued["scope"], queued["cause"], queued["refit"]) == (["abc"], "all", "refit", True)
    assert [queued[name] for name in ("started_at", "finished_at", "eta", "error")] == [None] * 4
    monkeypatch.setattr(walking, "CHUNK", 1)
    seen: list[Any] = []
    keep = work.checkpoint

    async def look(*given: Any, **values: Any) -> None:
        await keep(*given, **values)
        seen.append(await read(admin, path))

    monkeypatch.setattr(work, "checkpoint", look)
    await run_jobs()
    assert {each["status"] for each in seen} == {"running"}
    assert {each["phase"] for each in seen} == {"metrics", "classes"}
    processed = [each["processed"] for each in seen]
    assert processed == sorted(processed)
    assert processed[-1] == 9
    assert all(each["eta"] is not None and each["total"] == 9 for each in seen if each["processed"])
    ended = await read(admin, path)
    assert (ended["status"], ended["processed"], ended["total"], ended["changed"]) == ("completed", 9, 9, 9)
    assert (ended["eta"], ended["error"]) == (None, None)
    assert ended["started_at"] <= ended["finished_at"]
    assert set(await classes(admin, (await admin.get("/v1/customers")).json()["items"][0]["id"])) == {"abc"}
    assert [each["id"] for each in (await admin.get(PATH)).json()["items"]] == [ended["id"]]


async def test_one_that_is_cancelled_while_queued_does_nothing(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    await customers(database, 3)
    path = await ask(admin, refit=True)
    cancelled = await admin.post(f"{path}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled.json()["finished_at"] is not None
    again = await admin.post(f"{path}/cancel")
    assert (again.status_code, again.json()["type"]) == (409, "urn:strata:problem:conflict")
    await run_jobs()
    assert (await read(admin, path))["status"] == "cancelled"
    for table in ("customer_metrics", "customer_class", "breakpoints"):
        assert await value(database, f"SELECT count(*) FROM {table}") == 0
    actions = "SELECT array_agg(action ORDER BY id) FROM audit_event WHERE resource = 'recalculation'"
    assert await value(database, actions) == ["recalculation.requested", "recalculation.cancelled"]
    done = await recalculate(admin, run_jobs, refit=True)
    assert (await admin.post(f"{PATH}/{done['id']}/cancel")).status_code == 409


async def test_one_that_is_cancelled_stops_before_its_next_chunk(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await customers(database, 12)
    await recalculate(admin, run_jobs, refit=True)
    async with database.connection() as connection:
        await connection.execute("UPDATE purchase SET amount = amount * 100, base_amount = base_amount * 100")
    monkeypatch.setattr(walking, "CHUNK", 2)
    monkeypatch.setenv("STRATA_RECALCULATION_LANES", "1")
    path = await ask(admin)
    classify = _Run._classify
    chunks = 0

    async def cancel_at_the_second(run: Any, *given: Any) -> int:
        nonlocal chunks
        chunks += 1
        if chunks == 2:
            assert (await admin.post(f"{path}/cancel")).status_code == 200
        return await classify(run, *given)

    monkeypatch.setattr(_Run, "_classify", cancel_at_the_second)
    await run_jobs()
    ended = await read(admin, path)
    assert (ended["status"], chunks < 6) == ("cancelled", True)
    assert ended["finished_at"] is not None
    assert 0 < ended["processed"] < 12


WORKER = """
from app.classification import presets, walking
walking.CHUNK = 1
from app.cli import cli
cli(["worker"])
"""


def environment(url: str) -> dict[str, str]:
    """What a worker of its own needs to know."""
    return {
        **os.environ,
        "STRATA_DATABASE_URL": url,
        "STRATA_SECRET_KEY": SECRET,
        "STRATA_TODAY": NOON.date().isoformat(),
        "STRATA_LOG_LEVEL": "CRITICAL",
    }


@pytest.mark.slow
async def test_a_worker_killed_in_the_middle_is_succeeded_without_doing_anything_twice(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, url: str
) -> None:
    made = await customers(database, 150)
    path = await ask(admin, refit=True)
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, env=environment(url), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while (await read(admin, path))["processed"] < 10:
                assert worker.returncode is None
    finally:
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
    killed = await read(admin, path)
    assert (killed["status"], 10 <= killed["processed"] < 150) == ("running", True)
    async with database.connection() as connection:  # its heartbeat is over, without waiting for that
        await connection.execute("UPDATE pgqueuer SET heartbeat = now() - interval '1 minute'")
    await run_jobs()
    ended = await read(admin, path)
    assert (ended["status"], ended["processed"], ended["id"]) == ("completed", 150, killed["id"])
    assert await value(database, "SELECT count(*) FROM customer_class") == 9 * 150
    assert await value(database, "SELECT count(*) FROM class_change") == 9 * 150
    assert await value(database, "SELECT count(*) FROM breakpoints") == 5
    assert (await recalculate(admin, run_jobs))["changed"] == 0
    assert set(await classes(admin, made[0])) == set(presets.ORDER)


async def test_a_refit_records_new_breakpoints_and_the_old_ones_stay(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    await customers(database, 10)
    await recalculate(admin, run_jobs, refit=True)
    before = (await admin.get("/v1/schemes/abc/breakpoints")).json()
    await add(database, "whale", [(1, "10000")])
    await recalculate(admin, run_jobs)
    assert (await admin.get("/v1/schemes/abc/breakpoints")).json() == before
    headers = {"X-Request-ID": "refit-by-hand"}
    answer = await admin.post(PATH, json={"refit": True, "schemes": ["abc"]}, headers=headers)
    await run_jobs()
    after = (await admin.get("/v1/schemes/abc/breakpoints")).json()
    assert (before["values"]["A"] != "10000", after["values"]["A"]) == (True, "10000")
    assert (before["population"], after["population"]) == (10, 11)
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT * FROM breakpoints WHERE scheme = 'abc' ORDER BY fitted_at")
    assert [str(row["id"]) for row in rows] == [before["id"], after["id"]]
    assert rows[0]["values"] == before["values"]
    assert str(rows[1]["recalculation_id"]) == answer.json()["id"]
    moved = "SELECT customer_id FROM class_change WHERE cause = 'refit' AND from_class IS NOT NULL LIMIT 1"
    customer = await value(database, moved)
    (change, *_) = (await admin.get(f"/v1/customers/{customer}/classes/abc/history")).json()["items"]
    me = (await admin.get("/v1/me")).json()["id"]
    assert (change["breakpoints_id"], change["version"], change["cause"]) == (after["id"], 1, "refit")
    assert (change["actor"], change["correlation_id"]) == (f"user:{me}", "refit-by-hand")
    assert set(change["inputs"]) == {"monetary"}


async def test_the_history_of_a_purchase_names_its_request(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    await customers(database, 10)
    await recalculate(admin, run_jobs, refit=True)
    customer = await add(database, "new", [])
    body = {"occurred_at": NOON.isoformat(), "amount": "500"}
    headers = {"X-Request-ID": "till-7-receipt-12"}
    await admin.post(f"/v1/customers/{customer}/purchases", json=body, headers=headers)
    me = (await admin.get("/v1/me")).json()["id"]
    inputs = {"abc": ["monetary"], "rfm": ["frequency", "monetary", "recency_days"]}
    for scheme in ("abc", "rfm"):
        fitted = (await admin.get(f"/v1/schemes/{scheme}/breakpoints")).json()["id"]
        (change,) = (await admin.get(f"/v1/customers/{customer}/classes/{scheme}/history")).json()["items"]
        assert (change["from_class"], change["version"], change["breakpoints_id"]) == (None, 1, fitted)
        assert (change["cause"], change["actor"]) == ("event", f"user:{me}")
        assert change["correlation_id"] == "till-7-receipt-12"
        assert sorted(change["inputs"]) == inputs[scheme]
        stands = (await admin.get(f"/v1/customers/{customer}/classes/{scheme}")).json()
        assert (stands["class"], stands["score"]) == (change["to_class"], change["score"])
        assert (stands["since"], stands["as_of"]) == (change["at"], change["as_of"])


async def test_an_as_of_in_the_past_gives_the_classes_of_that_day(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    # One bought long ago, one lately, one on the very last instant of the day that is asked for.
    old = await add(database, "old", [(400, "10"), (390, "10")])
    late = await add(database, "late", [(5, "10")])
    for n in range(8):
        await add(database, f"{n}", [(200 + n, "5"), (190, "5")])
    await recalculate(admin, run_jobs, refit=True)
    assert (await classes(admin, late))["lifecycle"] == "first_purchase"
    assert (await classes(admin, old))["lifecycle"] == "churned"
    await recalculate(admin, run_jobs, as_of="2019-06-10", refit=True)
    assert (await classes(admin, late))["lifecycle"] == "prospect"
    assert "rfm" not in await classes(admin, late)
    assert (await classes(admin, old))["lifecycle"] == "repeat"
    assert (await admin.get("/v1/schemes/rfm/breakpoints")).json()["population"] == 1
    await recalculate(admin, run_jobs, refit=True)
    assert (await classes(admin, old))["lifecycle"] == "churned"
    history = (await admin.get(f"/v1/customers/{old}/classes/lifecycle/history")).json()["items"]
    assert [change["to_class"] for change in history] == ["churned", "repeat", "churned"]


async def test_only_one_recalculation_runs_at_a_time(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await customers(database, 5)
    paths = [await ask(admin, refit=True) for _ in range(3)]
    finish, running = _Run.finish, []

    async def counted(run: Any) -> None:
        running.append(await value(database, "SELECT count(*) FROM recalculation WHERE status = 'running'"))
        await finish(run)

    monkeypatch.setattr(_Run, "finish", counted)
    await run_jobs()
    assert running == [1, 1, 1]
    assert {(await read(admin, path))["status"] for path in paths} == {"completed"}


async def test_a_dead_job_fails_its_recalculation_with_the_reason(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await customers(database, 2)
    path = await ask(admin, refit=True)

    async def hopeless(run: Any) -> None:
        raise Hopeless("the ink has run out")

    monkeypatch.setattr(_Run, "finish", hopeless)
    worker = Worker(database, features.JOBS, [], concurrency=1, dead_letters=features.DEAD_LETTERS)
    await worker.drain()
    ended = await read(admin, path)
    assert (ended["status"], ended["error"]) == ("failed", "the ink has run out")
    assert ended["finished_at"] is not None
    assert (await admin.post(f"{path}/cancel")).status_code == 409


async def test_who_is_decided_as_before_is_passed_over_and_nobody_else(
    admin: httpx.AsyncClient, database: Database, run_jobs: Any, today: Callable[[date], None]
) -> None:
    made = await customers(database, 12)
    await recalculate(admin, run_jobs, refit=True)
    first = [await classes(admin, each) for each in made]
    assert await value(database, "SELECT count(*) FROM customer_metrics WHERE decided IS NOT NULL") == len(made)
    # Another day's breakpoints move classes of one scheme; then the day and the breakpoints return for all of them.
    await recalculate(admin, run_jobs, schemes=["abc", "rfm"], refit=True, as_of="2020-06-24T00:00:00Z")
    assert [await classes(admin, each) for each in made] != first
    await recalculate(admin, run_jobs, refit=True)
    assert [await classes(admin, each) for each in made] == first
    override = {"class": "C", "reason": "a dispute", "expires_at": None}
    assert (await admin.put(f"/v1/customers/{made[-1]}/classes/abc/override", json=override)).status_code == 200
    await recalculate(admin, run_jobs)
    assert (await classes(admin, made[-1]))["abc"] == "C"
    assert (await admin.delete(f"/v1/customers/{made[-1]}/classes/abc/override")).status_code == 204
    await recalculate(admin, run_jobs)
    assert [await classes(admin, each) for each in made] == first
