"""Refits: when they are due, what they move, and what a night leaves alone."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from app.classification import presets
from app.classification.handlers import JOBS
from app.classification.rules import refit_due
from app.core.db import Database
from app.core.jobs import enqueue
from tests.classification.population import NOON, RunJobs, add, recalculate
from tests.classification.versions import ABC, draft, publish, value
from tests.conftest import MakeUser


async def night(database: Database, run_jobs: RunJobs) -> list[Any]:
    """What a night asks for: the recalculations since then."""
    assert "recalculations.nightly" in JOBS
    async with database.transaction() as session:
        await enqueue(session, "recalculations.nightly", {})
    before = await value(database, "SELECT count(*) FROM recalculation")
    await run_jobs()
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT * FROM recalculation ORDER BY id OFFSET $1", before)
    return [(row["cause"], row["schemes"], row["status"]) for row in rows]


@pytest.mark.parametrize(
    ("every", "fitted", "due"),
    [
        ("weekly", date(2020, 6, 1), date(2020, 6, 8)),
        ("monthly", date(2020, 1, 31), date(2020, 2, 29)),
        ("monthly", date(2019, 12, 5), date(2020, 1, 5)),
        ("quarterly", date(2019, 11, 30), date(2020, 2, 29)),
        ("quarterly", date(2020, 1, 1), date(2020, 4, 1)),
    ],
)
def test_a_refit_is_due_when_its_period_has_passed(every: str, fitted: date, due: date) -> None:
    assert not refit_due(every, fitted, due - timedelta(days=1))
    assert refit_due(every, fitted, due)
    assert refit_due(every, fitted, due + timedelta(days=1))
    assert not refit_due("never", fitted, date(2100, 1, 1))


async def test_a_night_fits_what_is_due_and_leaves_the_rest(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Callable[[date], None]
) -> None:
    today(NOON.date())
    assert await night(database, run_jobs) == []  # there is nobody yet
    for n in range(1, 11):
        await add(database, f"c-{n}", [(n, f"{10 * n}")])
    await recalculate(admin, run_jobs, refit=True)
    await publish(admin, run_jobs, "abc", await draft(admin, "abc", {**ABC, "refit": "weekly"}))
    today(NOON.date() + timedelta(days=6))
    assert await night(database, run_jobs) == []
    today(NOON.date() + timedelta(days=7))
    await add(database, "whale", [(1, "10000")])
    await recalculate(admin, run_jobs)
    assert await night(database, run_jobs) == [("refit", ["abc"], "completed")]
    assert await night(database, run_jobs) == []
    moved = "SELECT count(*) FROM class_change WHERE cause = 'refit' AND from_class IS NOT NULL"
    fitted = (await admin.get("/v1/schemes/abc/breakpoints")).json()
    assert fitted["drift"]["moved"] == await value(database, moved) > 0


async def test_drift_says_how_far_each_edge_moved_and_how_many_customers_with_it(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    today: Callable[[date], None],
    make_user: MakeUser,
) -> None:
    today(NOON.date())
    for n in range(1, 11):
        await add(database, f"c-{n}", [(n, f"{10 * n}")])
    await recalculate(admin, run_jobs, refit=True)
    first = (await admin.get("/v1/schemes/abc/breakpoints")).json()
    assert (first["previous_id"], first["drift"]) == (None, None)
    await add(database, "whale", [(1, "10000")])
    await recalculate(admin, run_jobs)
    before = await value(database, "SELECT max(id) FROM class_change")
    await recalculate(admin, run_jobs, refit=True)
    for key in ("abc", "rfm", "lifecycle"):
        changed = await value(
            database,
            "SELECT count(*) FROM class_change WHERE id > $1 AND scheme = $2 AND from_class IS NOT NULL",
            before,
            key,
        )
        assert (await admin.get(f"/v1/schemes/{key}/breakpoints")).json()["drift"]["moved"] == changed, key
    second = (await admin.get("/v1/schemes/abc/breakpoints")).json()
    assert second["previous_id"] == first["id"]
    edges = {each["name"]: each for each in second["drift"]["edges"]}
    assert (edges["A"]["before"], edges["A"]["after"]) == (first["values"]["A"], "10000")
    assert edges["A"]["change"] == str(10000 - int(first["values"]["A"]))
    page = (await admin.get("/v1/schemes/abc/breakpoints/history", params={"limit": 1})).json()
    assert [each["id"] for each in page["items"]] == [second["id"]]
    rest = await admin.get("/v1/schemes/abc/breakpoints/history", params={"limit": 1, "cursor": page["next_cursor"]})
    assert [each["id"] for each in rest.json()["items"]] == [first["id"]]
    assert rest.json()["next_cursor"] is None
    stranger = await make_user({"classes:read": "all"})
    assert (await stranger.get("/v1/schemes/abc/breakpoints/history")).status_code == 403


async def test_a_scheme_published_before_there_is_anybody_is_fitted_once_there_is(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, today: Callable[[date], None]
) -> None:
    today(NOON.date())
    answer = await admin.post("/v1/schemes", json={"key": "pareto", "title": "Pareto", "document": ABC})
    assert answer.status_code == 201
    await publish(admin, run_jobs, "pareto", 1)
    assert (await admin.get("/v1/schemes/pareto/breakpoints")).json()["population"] == 0
    for n in range(1, 11):
        await add(database, f"c-{n}", [(n, f"{10 * n}")])
    await recalculate(admin, run_jobs, schemes=list(presets.ORDER), refit=True)
    assert await night(database, run_jobs) == [("refit", ["pareto"], "completed")]
    assert (await admin.get("/v1/schemes/pareto/breakpoints")).json()["population"] == 10
