"""Simulations as long work: progress, cancelled, killed, resumed, forgotten; and who sees what they found."""

import asyncio
import csv
import io
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from app import features
from app.classification import simulate, simulations, walking
from app.core import csv as files
from app.core import work
from app.core.db import Database
from app.core.jobs import Hopeless, JobContext
from app.core.workers import Worker
from tests.classification.population import NOON, RunJobs, recalculate
from tests.classification.simulating import CHANGES, PATH, ask, draft, fetch, population, simulated, value
from tests.conftest import SECRET, MakeUser


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


@pytest_asyncio.fixture
async def drafted(admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs) -> AsyncIterator[list[str]]:
    """Sixty customers in their classes, and a draft of abc."""
    customers = await population(database)
    await recalculate(admin, run_jobs, refit=True)
    await draft(admin, "abc", **CHANGES["abc"])
    yield customers


async def context(database: Database, path: str) -> JobContext:
    return JobContext(database, {"simulation_id": path.rsplit("/", 1)[1]}, None, asyncio.Event())


# ---- long work -------------------------------------------------------------------------------------------------------


async def test_a_simulation_says_how_far_it_is(
    admin: httpx.AsyncClient, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch, drafted: list[str]
) -> None:
    path = await ask(admin, "abc")
    queued = (await admin.get(path)).json()
    assert (queued["status"], queued["processed"], queued["total"], queued["outcome"]) == ("queued", 0, None, None)
    monkeypatch.setattr(walking, "CHUNK", 7)
    seen: list[Any] = []
    keep = work.checkpoint

    async def look(*given: Any, **values: Any) -> None:
        await keep(*given, **values)
        seen.append((await admin.get(path)).json())

    monkeypatch.setattr(work, "checkpoint", look)
    await run_jobs()
    assert [each["processed"] for each in seen] == [14, 28, 42, 56, 60]
    for each in seen:
        assert (each["status"], each["total"], each["outcome"]) == ("running", 60, None)
        assert each["eta"] is not None
        assert set(each["breakpoints"]) == {"2"}
    assert (await admin.get(path)).json()["status"] == "completed"


class _Killed(BaseException):
    pass


async def test_what_a_killed_worker_had_done_beyond_its_checkpoint_is_not_counted_twice(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    monkeypatch: pytest.MonkeyPatch,
    drafted: list[str],
) -> None:
    whole = await simulated(admin, run_jobs, "abc")
    path = await ask(admin, "abc")
    monkeypatch.setattr(walking, "CHUNK", 7)
    keep, checkpoints = work.checkpoint, 0

    async def killed(*given: Any, **values: Any) -> None:
        nonlocal checkpoints
        checkpoints += 1
        if checkpoints == 3:
            raise _Killed
        await keep(*given, **values)

    monkeypatch.setattr(work, "checkpoint", killed)
    with pytest.raises(_Killed):
        await simulate.run_simulation(await context(database, path))
    left = (await admin.get(path)).json()
    assert (left["status"], left["processed"]) == ("running", 28)
    counted = "SELECT sum(customers) FROM simulation_count WHERE simulation_id = $1"
    assert await value(database, counted, UUID(left["id"])) == 42
    # The next chunks begin elsewhere than those before the kill.
    gone = drafted[30]
    assert (await admin.delete(f"/v1/customers/{gone}")).status_code == 204
    monkeypatch.setattr(work, "checkpoint", keep)
    await run_jobs()
    ended = (await admin.get(path)).json()
    assert (ended["status"], ended["outcome"]["customers"]) == ("completed", 59)
    assert ended["breakpoints"] == whole["breakpoints"]
    rows = {each["customer_id"]: each for each in await _movers(admin, path) if each["customer_id"] != gone}
    assert rows == {each["customer_id"]: each for each in await _movers(admin, f"{PATH}/{whole['id']}")}
    assert ended["outcome"]["moved"]["customers"] == len(rows)


async def _movers(client: httpx.AsyncClient, path: str, **query: Any) -> list[Any]:
    """Every page."""
    items: list[Any] = []
    while True:
        page = (await client.get(f"{path}/customers", params={"limit": 4, **query})).json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        query["cursor"] = page["next_cursor"]


WORKER = """
from app.classification import walking
walking.CHUNK = 1
from app.cli import cli
cli(["worker"])
"""


@pytest.mark.slow
async def test_a_worker_killed_in_the_middle_is_succeeded(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, url: str
) -> None:
    await population(database, 250)
    await recalculate(admin, run_jobs, refit=True)
    await draft(admin, "abc", **CHANGES["abc"])
    whole = await simulated(admin, run_jobs, "abc")
    path = await ask(admin, "abc")
    environment = {
        **os.environ,
        "STRATA_DATABASE_URL": url,
        "STRATA_SECRET_KEY": SECRET,
        "STRATA_TODAY": NOON.date().isoformat(),
        "STRATA_LOG_LEVEL": "CRITICAL",
    }
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while (await admin.get(path)).json()["processed"] < 10:
                assert worker.returncode is None
    finally:
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
    killed = (await admin.get(path)).json()
    assert (killed["status"], 10 <= killed["processed"] < 250) == ("running", True)
    # Its heartbeat is over, without waiting for that.
    await fetch(database, "UPDATE pgqueuer SET heartbeat = now() - interval '1 minute'")
    await run_jobs()
    ended = (await admin.get(path)).json()
    assert ended["status"] == "completed"
    assert ended["outcome"] == whole["outcome"]
    assert await _movers(admin, path, limit=200) == await _movers(admin, f"{PATH}/{whole['id']}", limit=200)


async def test_a_cancelled_simulation_keeps_nothing(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    monkeypatch: pytest.MonkeyPatch,
    drafted: list[str],
) -> None:
    queued, path = await ask(admin, "abc"), await ask(admin, "abc")
    assert (await admin.post(f"{queued}/cancel")).json()["status"] == "cancelled"
    assert (await admin.post(f"{queued}/cancel")).status_code == 409
    monkeypatch.setattr(walking, "CHUNK", 7)
    keep, checkpoints = work.checkpoint, 0

    async def cancel(*given: Any, **values: Any) -> None:
        nonlocal checkpoints
        checkpoints += 1
        if checkpoints == 2:
            assert (await admin.post(f"{path}/cancel")).status_code == 200
        await keep(*given, **values)

    monkeypatch.setattr(work, "checkpoint", cancel)
    await run_jobs()
    ended = (await admin.get(path)).json()
    assert (ended["status"], ended["outcome"], checkpoints) == ("cancelled", None, 2)
    assert ended["finished_at"] is not None
    for part in ("customers", "export"):
        assert (await admin.get(f"{path}/{part}")).status_code == 409
    await simulations.forget_old(await context(database, path))
    for table in ("simulation_move", "simulation_count"):
        assert await value(database, f"SELECT count(*) FROM {table}") == 0
    actions = "SELECT array_agg(action ORDER BY id) FROM audit_event WHERE resource = 'simulation'"
    requested, cancelled = "simulation.requested", "simulation.cancelled"
    assert await value(database, actions) == [requested, requested, cancelled, cancelled]


async def test_a_dead_job_fails_its_simulation_with_the_reason(
    admin: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await ask(admin, "abc", 1)

    async def hopeless(run: Any) -> None:
        raise Hopeless("the ink has run out")

    monkeypatch.setattr(simulate._Run, "finish", hopeless)
    await Worker(database, features.JOBS, [], concurrency=1, dead_letters=features.DEAD_LETTERS).drain()
    ended = (await admin.get(path)).json()
    assert (ended["status"], ended["error"]) == ("failed", "the ink has run out")


async def test_simulations_are_forgotten_after_a_month(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, drafted: list[str]
) -> None:
    old, young = [await simulated(admin, run_jobs, "abc") for _ in range(2)]
    age = "UPDATE simulation SET created_at = now() - make_interval(days => $2) WHERE id = $1"
    await fetch(database, age, UUID(old["id"]), 31)
    await fetch(database, age, UUID(young["id"]), 29)
    await simulations.forget_old(await context(database, f"/{old['id']}"))
    assert (await admin.get(f"{PATH}/{old['id']}")).status_code == 404
    assert await _movers(admin, f"{PATH}/{young['id']}")
    kept = "SELECT count(*) FROM simulation_move WHERE simulation_id = $1"
    assert await value(database, kept, UUID(old["id"])) == 0


async def test_a_deleted_customer_leaves_every_simulation(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, drafted: list[str]
) -> None:
    path = f"{PATH}/{(await simulated(admin, run_jobs, 'abc'))['id']}"
    (first, *others) = await _movers(admin, path)
    assert (await admin.delete(f"/v1/customers/{first['customer_id']}")).status_code == 204
    assert await _movers(admin, path) == others
    left = "SELECT count(*) FROM simulation_move WHERE customer_id = $1"
    assert await value(database, left, UUID(first["customer_id"])) == 0


# ---- who moves, and who sees it --------------------------------------------------------------------------------------


async def test_movers_are_found_by_their_classes_in_pages_of_any_size(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, drafted: list[str]
) -> None:
    newcomers = [str((await admin.post("/v1/customers", json={"name": f"new {n}"})).json()["id"]) for n in range(3)]
    await fetch(database, "DELETE FROM customer_class WHERE customer_id = ANY($1::uuid[])", newcomers)
    path = f"{PATH}/{(await simulated(admin, run_jobs, 'abc'))['id']}"
    every = await _movers(admin, path, limit=200)
    assert await _movers(admin, path, limit=1) == await _movers(admin, path) == every
    order = [(each["from_class"] or "", each["to_class"], each["customer_id"]) for each in every]
    assert order == sorted(order)
    assert len({each["customer_id"] for each in every}) == len(every)
    matrix = (await admin.get(path)).json()["outcome"]["matrix"]
    for entry in matrix:
        was, is_ = entry["from"], entry["to"]
        query = {"from_class": was or "-", "to_class": is_ or "-"}
        found = await _movers(admin, path, **query)
        assert found == [each for each in every if (each["from_class"], each["to_class"]) == (was, is_)]
        assert len(found) == (entry["customers"] if was != is_ else 0)
        assert (await admin.get(f"{path}/export", params=query)).text.count("\r\n") == len(found) + 1
    assert [each["customer_id"] for each in await _movers(admin, path, from_class="-")] == sorted(newcomers)
    first = (await admin.get(f"{path}/customers", params={"limit": 1})).json()
    other = {"limit": 1, "from_class": "A", "cursor": first["next_cursor"]}
    assert (await admin.get(f"{path}/customers", params=other)).status_code == 422
    for bad in ("", "a b", "--"):
        assert (await admin.get(f"{path}/customers", params={"from_class": bad})).status_code == 422


async def test_a_sample_is_the_same_whenever_it_is_asked_for(
    admin: httpx.AsyncClient, run_jobs: RunJobs, drafted: list[str]
) -> None:
    path, again = [f"{PATH}/{(await simulated(admin, run_jobs, 'abc'))['id']}" for _ in range(2)]
    every = await _movers(admin, path)

    async def drawn(of: str, size: int) -> list[Any]:
        page = (await admin.get(f"{of}/customers", params={"sample": size})).json()
        assert page["next_cursor"] is None
        return list(page["items"])

    five, ten = await drawn(path, 5), await drawn(path, 10)
    assert (len(five), five, five) == (5, await drawn(path, 5), ten[:5])
    assert all(each in every for each in ten)
    assert ten != every[:10]
    assert ten != await drawn(again, 10)
    assert len(await drawn(path, 1000)) == len(every)


async def test_one_sees_only_movers_whom_both_permissions_reach(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, make_user: MakeUser, drafted: list[str]
) -> None:
    users = {
        "own": await make_user({"simulations:read": "own", "customers:read": "all"}),
        "customers": await make_user({"simulations:read": "all", "customers:read": "own"}),
        "nobody's": await make_user({"simulations:read": "all"}),
        "all": await make_user({"simulations:read": "all", "customers:read": "all"}),
    }
    path = f"{PATH}/{(await simulated(admin, run_jobs, 'abc'))['id']}"
    every = await _movers(admin, path)
    mine: dict[str, list[str]] = {"nobody's": [], "all": [each["customer_id"] for each in every]}
    for n, name in enumerate(("own", "customers")):
        mine[name] = [each["customer_id"] for each in every[n::3]]
        owner = UUID(users[name].headers["X-Test-User"])
        await fetch(database, "UPDATE customer SET owner_id = $1 WHERE id = ANY($2::uuid[])", owner, mine[name])
    for name, user in users.items():
        assert [each["customer_id"] for each in await _movers(user, path)] == mine[name]
        text = (await user.get(f"{path}/export")).text
        assert [row["customer_id"] for row in csv.DictReader(io.StringIO(text))] == mine[name]
        sample = (await user.get(f"{path}/customers", params={"sample": 1000})).json()["items"]
        assert {each["customer_id"] for each in sample} == set(mine[name])
        seen = (await user.get(path)).json()
        assert (seen["outcome"] is None) == (name == "own"), "aggregates are of everybody"
        assert (await user.post(f"{path}/cancel")).status_code == 403
        assert (await user.post("/v1/schemes/abc/versions/2/simulations", json={})).status_code == 403


async def test_an_export_is_read_block_by_block_and_holds_no_formula(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    monkeypatch: pytest.MonkeyPatch,
    drafted: list[str],
) -> None:
    monkeypatch.setattr(files, "BLOCK", 3)
    names = ["=1+1", "+1", "-1", "-x", "@SUM(A1)", 'a "quoted", one', "蓝灯笼", "two\nlines"]
    path = f"{PATH}/{(await simulated(admin, run_jobs, 'abc'))['id']}"
    every = await _movers(admin, path)
    for name, each in zip(names, every, strict=False):
        await fetch(database, "UPDATE customer SET name = $1 WHERE id = $2", name, UUID(each["customer_id"]))
    answer = await admin.get(f"{path}/export")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    expected = ["'=1+1", "'+1", "-1", "'-x", "'@SUM(A1)", *names[5:]]
    assert [row["name"] for row in rows[: len(names)]] == expected
    for row, each in zip(rows, every, strict=True):
        for column in ("customer_id", "from_class", "to_class", "monetary"):
            assert row[column] == each[column]
