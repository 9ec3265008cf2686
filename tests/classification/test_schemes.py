"""The published schemes, as the API shows them, and counts among the customers one may see."""

from collections.abc import Callable
from datetime import date

import httpx

from app.classification import presets
from app.core.db import Database
from tests.classification.population import NOON, RunJobs, add, recalculate
from tests.conftest import MakeUser


async def test_schemes_show_their_documents_and_their_classes_best_first(admin: httpx.AsyncClient) -> None:
    listed = (await admin.get("/v1/schemes")).json()
    assert [each["key"] for each in listed["items"]] == list(presets.ORDER)
    for preset, each in zip(presets.load(), listed["items"], strict=True):
        assert (each["title"], each["version"]) == (preset.title, 1)
        assert each["document"]["kind"] == preset.document["kind"]
        assert (await admin.get(f"/v1/schemes/{each['key']}")).json() == each
    for path in ("/v1/schemes/nope", "/v1/schemes/nope/classes", "/v1/schemes/nope/breakpoints"):
        answer = await admin.get(path)
        assert (answer.status_code, ", ".join(presets.ORDER) in answer.text) == (404, True), path


async def test_classes_are_counted_among_the_customers_one_may_see(
    admin: httpx.AsyncClient,
    run_jobs: RunJobs,
    database: Database,
    make_user: MakeUser,
    today: Callable[[date], None],
) -> None:
    today(NOON.date())
    seller = await make_user({"customers:read": "own", "classes:read": "own"})
    mine = await add(database, "mine", [(1, "80")])
    await add(database, "other", [(1, "15")])
    await add(database, "third", [(1, "5")])
    await add(database, "fourth", [])
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE customer SET owner_id = $1::text::uuid WHERE id = $2::text::uuid",
            seller.headers["X-Test-User"],
            mine,
        )
    await recalculate(admin, run_jobs, refit=True)
    assert (await admin.get("/v1/schemes/abc/classes")).json()["items"] == [
        {"class": "A", "customers": 1, "share": 0.25, "monetary": "80.00", "monetary_share": 0.8},
        {"class": "B", "customers": 1, "share": 0.25, "monetary": "15.00", "monetary_share": 0.15},
        {"class": "C", "customers": 2, "share": 0.5, "monetary": "5.00", "monetary_share": 0.05},
    ]
    assert (await seller.get("/v1/schemes/abc/classes")).json()["items"] == [
        {"class": "A", "customers": 1, "share": 1.0, "monetary": "80.00", "monetary_share": 1.0},
    ]
