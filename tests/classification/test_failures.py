"""Finding out which scheme it is that the database cannot evaluate: only those to blame are set aside."""

from collections.abc import Callable
from datetime import date
from typing import Any

import asyncpg
import httpx
import pytest

from app.classification import explain, fitting, refresh, schemes, walking
from app.classification.engine import Evaluation, evaluate
from app.classification.failures import set_aside_failing
from app.core.db import Database, WriteSession
from tests.classification.population import NOON, RunJobs, add, recalculate
from tests.classification.schemes import FAILURES
from tests.classification.versions import counts, draft, scheme, statuses


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


SIZE = {
    "kind": "rules",
    "rules": [{"class": "large", "when": {"metric": "monetary", "op": "gte", "value": "50"}}],
    "default": "small",
}
OTHER = {**SIZE, "default": "tiny"}


async def published(admin: httpx.AsyncClient, run_jobs: RunJobs, n: int) -> Any:
    answer = await admin.post(f"/v1/schemes/size/versions/{n}/publish", json={})
    assert answer.status_code == 202, answer.text
    await run_jobs()
    return (await admin.get(answer.headers["location"])).json()


async def state(admin: httpx.AsyncClient) -> tuple[int, dict[int, str], dict[str, int]]:
    """The version in force, the status of each, the classes."""
    return (
        (await admin.get("/v1/schemes/size")).json()["version"],
        await statuses(admin, "size"),
        await counts(admin, "size"),
    )


@pytest.mark.parametrize(("error", "why"), FAILURES)
async def test_a_version_that_fails_for_somebody_is_not_put_in_force(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    why: str,
) -> None:
    for n in range(4):
        await add(database, f"c-{n}", [(1, f"{30 * (n + 1)}")])
    await recalculate(admin, run_jobs, refit=True)
    await scheme(admin, "size", SIZE)
    assert (await published(admin, run_jobs, 1))["status"] == "completed"
    await draft(admin, "size", OTHER)
    before = await state(admin)
    plan_for_many = refresh.plan_for_many

    async def failing(session: WriteSession) -> None:
        raise error

    monkeypatch.setattr(refresh, "plan_for_many", failing)
    ended = await published(admin, run_jobs, 2)
    monkeypatch.setattr(refresh, "plan_for_many", plan_for_many)
    assert (ended["status"], ended["changed"]) == ("failed", 0)
    assert ended["error"].startswith("size: ")
    assert why in ended["error"]
    assert before[0] == 1
    assert await state(admin) == (1, {2: "draft", 1: "published"}, before[2])
    assert await errors(admin) == []


async def test_a_version_that_fails_when_it_is_in_force_gives_way_to_the_one_before(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        await add(database, f"c-{n}", [(1, f"{30 * (n + 1)}")])
    await recalculate(admin, run_jobs, refit=True)
    await scheme(admin, "size", SIZE)
    await published(admin, run_jobs, 1)
    await draft(admin, "size", OTHER)
    before = await state(admin)
    monkeypatch.setattr(walking, "CHUNK", 2)
    tried: list[int] = []

    async def failing(session: Any, evaluation: Any, *given: Any, **named: Any) -> Any:
        if any((each.key, each.version) == ("size", 2) for each in evaluation.schemes):
            tried.append(1)
            if len(tried) > 1:
                raise asyncpg.NumericValueOutOfRangeError
        return await evaluate(session, evaluation, *given, **named)

    monkeypatch.setattr("app.classification.recalculate.evaluate", failing)
    ended = await published(admin, run_jobs, 2)
    assert (ended["status"], ended["error"]) == (
        "failed",
        "size: a value of some customer lies outside what its conditions can compute",
    )
    assert await state(admin) == (1, {2: "retired", 1: "published"}, before[2])
    assert await errors(admin) == []


async def test_breakpoints_that_cannot_be_read_do_not_come_into_force(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    for n in range(4):
        await add(database, f"c-{n}", [(1, f"{30 * (n + 1)}")])
    await recalculate(admin, run_jobs, refit=True)
    await draft(admin, "abc", {"kind": "abc", "metric": "monetary", "cut_offs": ["0.50", "0.90"]})
    assert (await admin.post("/v1/schemes/abc/versions/2/publish", json={})).status_code == 202
    await run_jobs()
    before = await counts(admin, "abc")
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE breakpoints SET values = regexp_replace(values::text, '[0-9.]+', 'x', 'g')::jsonb"
            " WHERE scheme = 'abc' AND version = 1"
        )
    answer = await admin.post("/v1/schemes/abc/versions/1/publish", json={"refit": False})
    await run_jobs()
    ended = (await admin.get(answer.headers["location"])).json()
    assert (ended["status"], "abc: a value" in ended["error"]) == ("failed", True)
    assert await statuses(admin, "abc") == {2: "published", 1: "retired"}
    assert await counts(admin, "abc") == before
