"""Finding out which scheme it is that the database cannot evaluate: only those to blame are set aside."""

from collections.abc import Callable
from datetime import date
from typing import Any

import asyncpg
import httpx
import pytest

from app.classification import fitting, schemes
from app.classification.engine import Evaluation
from app.classification.failures import set_aside_failing
from app.core.db import Database, WriteSession
from tests.classification.population import NOON, RunJobs, add, recalculate


@pytest.fixture(autouse=True)
def _today(today: Callable[[date], None]) -> None:
    today(NOON.date())


async def errors(admin: httpx.AsyncClient) -> list[str]:
    items = (await admin.get("/v1/schemes")).json()["items"]
    return [each["key"] for each in items if each["error"]]


async def test_what_fails_without_any_scheme_is_no_schemes_fault(admin: httpx.AsyncClient, database: Database) -> None:
    evaluation = await schemes.published(database.reading())

    async def slow(session: WriteSession, evaluation: Evaluation) -> None:
        raise asyncpg.QueryCanceledError

    assert await set_aside_failing(database, evaluation, slow) == []
    assert await errors(admin) == []


async def test_a_population_that_cannot_be_computed_for_one_scheme_is_for_the_others(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await add(database, "c", [(1, "10"), (40, "5")])
    fit = fitting.fit

    async def failing(session: Any, each: Any, as_of: Any) -> Any:
        if each.key == "rfm":
            raise asyncpg.NumericValueOutOfRangeError
        return await fit(session, each, as_of)

    monkeypatch.setattr(fitting, "fit", failing)
    await recalculate(admin, run_jobs, refit=True)
    assert await errors(admin) == ["rfm"]
    found = (await admin.get(f"/v1/customers/{customer}")).json()["classes"]
    assert ("rfm" in found, found["abc"]) == (False, "A")
    monkeypatch.setattr(fitting, "fit", fit)
    await recalculate(admin, run_jobs, refit=True)
    assert await errors(admin) == []
