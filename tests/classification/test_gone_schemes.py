"""Schemes that go: not while somebody reads them, and nobody stays in them."""

from collections.abc import Callable
from datetime import date

import httpx
import pytest

from app import features
from app.classification import presets
from app.core.db import Database
from tests.classification.population import NOON, RunJobs, classes
from tests.classification.versions import (
    ABC,
    READER,
    people,
    publish,
    scheme,
    value,
)


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


async def test_a_scheme_in_use_names_its_users(admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs) -> None:
    await people(database, admin, run_jobs)
    await scheme(admin)
    await publish(admin, run_jobs, "size", 1)
    await scheme(admin, "reader", READER)
    refused = await admin.delete("/v1/schemes/size")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:strata:problem:scheme-in-use")
    assert [each["message"] for each in refused.json()["errors"]] == ["reader version 1 (draft) reads its classes"]
    assert (await admin.delete("/v1/schemes/reader")).status_code == 204
    assert (await admin.delete("/v1/schemes/size")).status_code == 204


async def test_customers_leave_a_deleted_scheme_and_its_key_stays_taken(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    made = await people(database, admin, run_jobs)
    tag = (await admin.get("/v1/schemes/abc")).headers["etag"]
    assert (await admin.delete("/v1/schemes/abc", headers={"If-Match": '"1"'})).status_code == 412
    assert (await admin.delete("/v1/schemes/abc", headers={"If-Match": tag})).status_code == 204
    await run_jobs()
    assert set(presets.ORDER) - set(await classes(admin, made[0])) == {"abc"}
    changes = "SELECT count(*) FROM class_change WHERE scheme = 'abc' AND to_class IS NULL AND cause = 'retired'"
    assert await value(database, changes) == 10
    assert await value(database, "SELECT count(*) FROM customer_class WHERE scheme = 'abc'") == 0
    assert "abc" not in [each["key"] for each in (await admin.get("/v1/schemes")).json()["items"]]
    listed = (await admin.get("/v1/schemes", params={"include": "retired"})).json()["items"]
    assert [each["status"] for each in listed if each["key"] == "abc"] == ["retired"]
    assert (await admin.delete("/v1/schemes/abc")).status_code == 404
    assert (await admin.post("/v1/schemes/abc/versions", json={"document": ABC})).status_code == 404
    again = await admin.post("/v1/schemes", json={"key": "abc", "title": "again", "document": ABC})
    assert again.status_code == 409
    async with database.transaction() as session:  # as at the next start
        await features.seed(session, admin_password=None)
    assert "abc" not in [each["key"] for each in (await admin.get("/v1/schemes")).json()["items"]]
    body = {"occurred_at": NOON.isoformat(), "amount": "1000"}
    answer = await admin.post(f"/v1/customers/{made[0]}/purchases", json=body)
    assert "abc" not in answer.json()["classes"]


async def test_a_service_without_any_scheme_still_records_purchases(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    made = await people(database, admin, run_jobs)
    kept = [preset.key for preset in presets.load()]
    for _ in range(len(kept)):
        for key in list(kept):
            if (await admin.delete(f"/v1/schemes/{key}")).status_code == 204:
                kept.remove(key)
    assert kept == []
    await run_jobs()
    body = {"occurred_at": NOON.isoformat(), "amount": "1000"}
    answer = await admin.post(f"/v1/customers/{made[0]}/purchases", json=body)
    assert (answer.status_code, answer.json()["classes"]) == (201, {})
