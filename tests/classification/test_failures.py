"""Finding out which scheme it is that the database cannot evaluate: only those to blame are set aside."""

from collections.abc import Callable
from datetime import date
from typing import Any

import asyncpg
import httpx
import pytest

from app.classification import explain, fitting, schemes
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


async def test_a_class_that_cannot_be_computed_cannot_be_explained_and_the_answer_says_why(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await add(database, "c", [(1, "10"), (40, "5")])
    await recalculate(admin, run_jobs, refit=True)
    path = f"/v1/customers/{customer}/classes/abc"
    for error, status, said in (
        (asyncpg.NumericValueOutOfRangeError, 409, "abc: a value of some customer"),
        (asyncpg.StatementTooComplexError, 409, "abc: its conditions are more than"),
        (asyncpg.QueryCanceledError, 503, "took too long"),
    ):

        async def failing(*given: Any, failure: type[Exception] = error, **named: Any) -> Any:
            raise failure

        monkeypatch.setattr(explain, "_rows", failing)
        answer = await admin.get(f"{path}/explanation")
        assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
        if status == 409:
            assert answer.json()["type"] == "urn:strata:problem:scheme-failing"
    for there in (path, f"{path}/history"):
        assert (await admin.get(there)).status_code == 200
