"""Versions: drafted, checked, published for everybody at once, interrupted anywhere, returned to; schemes that go."""

import asyncio
import signal
import sys
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from app import features
from app.classification import presets, publishing, walking
from app.classification.engine import evaluate
from app.classification.recalculate import _Run
from app.core.db import Database
from app.core.jobs import Interrupted
from tests.classification.population import NOON, RunJobs, add, classes, recalculate
from tests.classification.schemes import FAILURES
from tests.classification.test_recalculations import WORKER, environment
from tests.conftest import MakeUser
from tests.customers.customers import pointers

SIZE = {
    "kind": "rules",
    "rules": [{"class": "large", "when": {"metric": "monetary", "op": "gte", "value": "50"}}],
    "default": "small",
}
SMALLER = {**SIZE, "rules": [{"class": "large", "when": {"metric": "monetary", "op": "gte", "value": "15"}}]}
ABC = {"kind": "abc", "metric": "monetary", "cut_offs": ["0.50", "0.90"], "classes": ["A", "B", "C"]}
READER = {
    "kind": "rules",
    "rules": [{"class": "yes", "when": {"class": "size", "op": "eq", "value": "large"}}],
    "default": "no",
}


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


async def people(database: Database, admin: httpx.AsyncClient, run_jobs: RunJobs) -> list[str]:
    """Worth 10, 20, ... 100."""
    made = [await add(database, f"c-{n}", [(n, f"{10 * n}")]) for n in range(1, 11)]
    await recalculate(admin, run_jobs, refit=True)
    return made


async def scheme(admin: httpx.AsyncClient, key: str = "size", document: Any = SIZE) -> Any:
    answer = await admin.post("/v1/schemes", json={"key": key, "title": key, "document": document})
    assert answer.status_code == 201, answer.text
    return answer


async def publish(admin: httpx.AsyncClient, run_jobs: RunJobs, key: str, n: int, **body: Any) -> Any:
    answer = await admin.post(f"/v1/schemes/{key}/versions/{n}/publish", json=body)
    assert answer.status_code == 202, answer.text
    await run_jobs()
    ended = (await admin.get(answer.headers["location"])).json()
    assert ended["status"] == "completed", ended
    return ended


async def draft(admin: httpx.AsyncClient, key: str, document: Any, note: str | None = None) -> int:
    answer = await admin.post(f"/v1/schemes/{key}/versions", json={"document": document, "note": note})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["version"])


async def counts(admin: httpx.AsyncClient, key: str) -> dict[str, int]:
    items = (await admin.get(f"/v1/schemes/{key}/classes")).json()["items"]
    return {each["class"]: each["customers"] for each in items}


async def statuses(admin: httpx.AsyncClient, key: str) -> dict[int, str]:
    items = (await admin.get(f"/v1/schemes/{key}/versions")).json()["items"]
    return {each["version"]: each["status"] for each in items}


async def value(database: Database, query: str, *given: Any) -> Any:
    async with database.connection() as connection:
        return await connection.fetchval(query, *given)


# ---- schemes and drafts ----------------------------------------------------------------------------------------------


async def test_a_new_scheme_classifies_nobody_until_it_is_published(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    made = await people(database, admin, run_jobs)
    created = (await scheme(admin)).json()
    assert (created["version"], created["latest_version"], created["status"]) == (0, 1, "draft")
    assert (created["classes"], created["freshness"], created["error"]) == (["large", "small"], ["event"], None)
    assert (await admin.get("/v1/schemes/size/classes")).status_code == 404
    ended = await publish(admin, run_jobs, "size", 1)
    assert (ended["cause"], ended["publishes"], ended["changed"]) == ("publish", 1, 10)
    assert await counts(admin, "size") == {"large": 6, "small": 4}
    shown = (await admin.get("/v1/schemes/size")).json()
    assert (shown["version"], shown["status"]) == (1, "published")
    (change,) = (await admin.get(f"/v1/customers/{made[0]}/classes/size/history")).json()["items"]
    assert (change["to_class"], change["version"], change["cause"]) == ("small", 1, "publish")
    assert shown in (await admin.get("/v1/schemes")).json()["items"]
    events = "SELECT array_agg(payload) FROM outbox_event WHERE name = 'scheme.published'"
    assert await value(database, events) == [
        {"scheme": "size", "before": None, "after": 1, "reason": {"cause": "publish", "note": None}}
    ]
    actions = "SELECT array_agg(action ORDER BY id) FROM audit_event WHERE resource = 'scheme' AND resource_id = 'size'"
    assert await value(database, actions) == ["scheme.created", "scheme.publish_requested", "scheme.published"]


async def test_what_a_document_may_not_say_is_named_where_it_stands(admin: httpx.AsyncClient) -> None:
    await scheme(admin)
    table: list[tuple[Any, list[str]]] = [
        ({**SIZE, "default": "no such thing!"}, ["/body/document/default"]),
        ({**SIZE, "surprise": 1}, ["/body/document/surprise"]),
        ({**ABC, "metric": "monetray"}, ["/body/document/metric"]),
        (
            {**READER, "rules": [{"class": "yes", "when": {"class": "gone", "op": "eq", "value": "x"}}]},
            ["/body/document/rules/0/when/class"],
        ),
        (
            {**READER, "rules": [{"class": "yes", "when": {"class": "abc", "op": "eq", "value": "Z"}}]},
            ["/body/document/rules/0/when/value"],
        ),
        (
            {**READER, "rules": [{"class": "yes", "when": {"class": "abc", "op": "contains", "value": "A"}}]},
            ["/body/document/rules/0/when/op"],
        ),
        (READER, ["/body/document/rules/0/when/value", "/body/document/rules/0/when/class"]),  # of itself
    ]
    for document, expected in table:
        answer = await admin.post("/v1/schemes/size/versions", json={"document": document})
        assert pointers(answer) == expected, answer.text
        answer = await admin.put("/v1/schemes/size/versions/1", json={"document": document})
        assert pointers(answer) == expected, answer.text
    assert await statuses(admin, "size") == {1: "draft"}
    for key in ("A", "9x", "x" * 41, ""):
        assert pointers(await admin.post("/v1/schemes", json={"key": key, "title": "x", "document": SIZE})) == [
            "/body/key"
        ]
    taken = await admin.post("/v1/schemes", json={"key": "abc", "title": "x", "document": SIZE})
    assert (taken.status_code, taken.json()["type"]) == (409, "urn:strata:problem:key-taken")


async def test_drafts_are_edited_by_one_at_a_time_and_published_versions_by_nobody(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    await people(database, admin, run_jobs)
    await scheme(admin)
    path = "/v1/schemes/size/versions/1"
    tag = (await admin.get(path)).headers["etag"]
    changed = await admin.put(path, json={"document": SMALLER, "note": "lower"}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["note"]) == (200, "lower")
    assert changed.headers["etag"] != tag
    stale = await admin.put(path, json={"document": SIZE}, headers={"If-Match": tag})
    assert stale.status_code == 412
    assert (await admin.delete(path, headers={"If-Match": tag})).status_code == 412
    assert (await admin.post(f"{path}/publish", json={}, headers={"If-Match": tag})).status_code == 412
    same = await admin.put(path, json={"document": SMALLER, "note": "lower"})
    assert same.headers["etag"] == changed.headers["etag"]
    both = await asyncio.gather(
        *(
            admin.put(path, json={"document": document}, headers={"If-Match": same.headers["etag"]})
            for document in (SIZE, ABC)
        )
    )
    assert sorted(each.status_code for each in both) == [200, 412]
    assert (await admin.delete(path)).status_code == 409  # the only one
    asked = await admin.post(f"{path}/publish", json={})
    for refused in (await admin.put(path, json={"document": SIZE}), await admin.delete(path)):
        assert (refused.status_code, "being published" in refused.text) == (409, True)
    assert asked.status_code == 202
    await run_jobs()
    for refused in (await admin.put(path, json={"document": SIZE}), await admin.delete(path)):
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:strata:problem:version-published")
    assert (await admin.post(f"{path}/publish", json={})).status_code == 409
    assert await draft(admin, "size", SIZE) == 2
    assert (await admin.delete("/v1/schemes/size/versions/2")).status_code == 204
    assert (await admin.get("/v1/schemes/size/versions/2")).status_code == 404
    listed = await admin.get("/v1/schemes/abc/versions")
    assert [each["created_by"] for each in listed.json()["items"]] == ["system"]


async def test_a_title_is_changed_by_who_has_read_it(admin: httpx.AsyncClient) -> None:
    tag = (await admin.get("/v1/schemes/abc")).headers["etag"]
    renamed = await admin.patch("/v1/schemes/abc", json={"title": "Pareto"}, headers={"If-Match": tag})
    assert (renamed.status_code, renamed.json()["title"]) == (200, "Pareto")
    assert (await admin.patch("/v1/schemes/abc", json={"title": "x"}, headers={"If-Match": tag})).status_code == 412
    assert (await admin.patch("/v1/schemes/nope", json={"title": "x"})).status_code == 404


async def test_definitions_need_the_scope_all(make_user: MakeUser) -> None:
    near = await make_user({"schemes:read": "all", "schemes:write": "unit", "schemes:publish": "unit"})
    body = {"key": "x", "title": "x", "document": SIZE}
    for answer in (
        await near.post("/v1/schemes", json=body),
        await near.patch("/v1/schemes/abc", json={"title": "x"}),
        await near.delete("/v1/schemes/abc"),
        await near.post("/v1/schemes/abc/versions", json={"document": SIZE}),
        await near.post("/v1/schemes/abc/versions/1/publish", json={}),
    ):
        assert answer.status_code == 403, answer.text


# ---- publishing ------------------------------------------------------------------------------------------------------


async def test_a_rollback_restores_the_classes_of_the_version_before(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    made = await people(database, admin, run_jobs)
    before = {each: (await classes(admin, each))["abc"] for each in made}
    fitted = (await admin.get("/v1/schemes/abc/breakpoints")).json()["id"]
    assert await draft(admin, "abc", ABC, "half and nine tenths") == 2
    assert pointers(await admin.post("/v1/schemes/abc/versions/2/publish", json={"refit": False})) == ["/body/refit"]
    await publish(admin, run_jobs, "abc", 2)
    assert {each: (await classes(admin, each))["abc"] for each in made} != before
    assert await statuses(admin, "abc") == {2: "published", 1: "retired"}
    assert (await admin.get("/v1/schemes/abc/breakpoints")).json()["version"] == 2
    await publish(admin, run_jobs, "abc", 1, refit=False)
    assert {each: (await classes(admin, each))["abc"] for each in made} == before
    assert await statuses(admin, "abc") == {2: "retired", 1: "published"}
    assert (await admin.get("/v1/schemes/abc/breakpoints")).json()["id"] == fitted
    moved = next(each for each in made if before[each] == "A" and each != made[-1])
    history = (await admin.get(f"/v1/customers/{moved}/classes/abc/history")).json()["items"]
    assert [each["version"] for each in history][:2] in ([1, 2], [1])
    events = "SELECT array_agg(payload -> 'before' ORDER BY id) FROM outbox_event WHERE name = 'scheme.published'"
    assert await value(database, events) == [1, 2]


async def test_schemes_that_read_the_published_one_follow_it(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    await people(database, admin, run_jobs)
    await scheme(admin)
    await publish(admin, run_jobs, "size", 1)
    await scheme(admin, "reader", READER)
    await publish(admin, run_jobs, "reader", 1)
    assert await counts(admin, "reader") == {"yes": 6, "no": 4}
    await draft(admin, "size", SMALLER)
    await publish(admin, run_jobs, "size", 2)
    assert await counts(admin, "reader") == {"yes": 9, "no": 1}
    without = {**SIZE, "rules": [{**SIZE["rules"][0], "class": "huge"}]}  # type: ignore[dict-item]
    answer = await admin.post("/v1/schemes/size/versions", json={"document": without})
    assert (pointers(answer), "reader" in answer.text) == (["/body/document"], True)


POINTS = {
    "when it has fitted": (_Run, "_fitted"),
    "within the switch": (publishing, "switch"),
    "after the switch": (_Run, "_publish"),
    "among the classes": (_Run, "_classify"),
}


@pytest.mark.parametrize("point", POINTS)
async def test_a_publication_interrupted_anywhere_is_carried_to_its_end_once(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    await people(database, admin, run_jobs)
    await draft(admin, "abc", ABC)
    monkeypatch.setattr(walking, "CHUNK", 2)
    owner, name = POINTS[point]
    carry_on, interrupted = getattr(owner, name), []

    async def once(*given: Any, **named: Any) -> Any:
        done = await carry_on(*given, **named)
        interrupted.append(point)
        if len(interrupted) == (2 if name == "_classify" else 1):
            raise Interrupted
        return done

    monkeypatch.setattr(owner, name, once)
    answer = await admin.post("/v1/schemes/abc/versions/2/publish", json={})
    await run_jobs()
    monkeypatch.setattr(owner, name, carry_on)
    await run_jobs()
    assert (await admin.get(answer.headers["location"])).json()["status"] == "completed"
    assert interrupted
    assert await statuses(admin, "abc") == {2: "published", 1: "retired"}
    assert await value(database, "SELECT count(*) FROM breakpoints WHERE scheme = 'abc' AND version = 2") == 1
    assert await value(database, "SELECT count(*) FROM outbox_event WHERE name = 'scheme.published'") == 1
    stands = await counts(admin, "abc")
    assert (await recalculate(admin, run_jobs))["changed"] == 0
    assert stands == await counts(admin, "abc")


async def test_a_publication_can_be_cancelled_until_it_is_in_force(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await people(database, admin, run_jobs)
    await draft(admin, "abc", ABC)
    before = await counts(admin, "abc")
    fitted, classify = _Run._fitted, _Run._classify
    answers: list[int] = []
    asked: list[str] = []

    async def cancel() -> None:
        answers.append((await admin.post(f"{asked[-1]}/cancel")).status_code)

    async def fitting(run: Any, *given: Any) -> Any:
        await cancel()
        return await fitted(run, *given)

    async def classifying(run: Any, *given: Any) -> int:
        await cancel()
        return await classify(run, *given)

    monkeypatch.setattr(_Run, "_fitted", fitting)
    asked.append((await admin.post("/v1/schemes/abc/versions/2/publish", json={})).headers["location"])
    await run_jobs()
    assert (await admin.get(asked[0])).json()["status"] == "cancelled"
    assert await statuses(admin, "abc") == {2: "draft", 1: "published"}
    assert await counts(admin, "abc") == before
    monkeypatch.setattr(_Run, "_fitted", fitted)
    monkeypatch.setattr(_Run, "_classify", classifying)
    asked.append((await admin.post("/v1/schemes/abc/versions/2/publish", json={})).headers["location"])
    await run_jobs()
    assert (answers[0], set(answers[1:])) == (200, {409})
    assert await statuses(admin, "abc") == {2: "published", 1: "retired"}


async def test_two_publications_at_once_come_one_after_the_other(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    await people(database, admin, run_jobs)
    await scheme(admin)
    await draft(admin, "size", SMALLER)
    asked = [await admin.post(f"/v1/schemes/size/versions/{n}/publish", json={}) for n in (1, 2)]
    await run_jobs()
    ended = [(await admin.get(each.headers["location"])).json() for each in asked]
    assert {each["status"] for each in ended} == {"completed"}
    in_force = (await admin.get("/v1/schemes/size")).json()["version"]
    assert await statuses(admin, "size") == {in_force: "published", 3 - in_force: "retired"}
    assert await counts(admin, "size") == ({"large": 6, "small": 4}, {"large": 9, "small": 1})[in_force - 1]


async def test_purchases_go_on_while_a_version_is_published(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    made = await people(database, admin, run_jobs)
    await draft(admin, "abc", ABC)
    await admin.post("/v1/schemes/abc/versions/2/publish", json={})
    running = asyncio.ensure_future(run_jobs())
    while not running.done():
        for customer in made[:3]:
            body = {"occurred_at": NOON.isoformat(), "amount": "1"}
            answer = await admin.post(f"/v1/customers/{customer}/purchases", json=body)
            assert (answer.status_code, "abc" in answer.json()["classes"]) == (201, True)
    await running
    assert (await recalculate(admin, run_jobs))["changed"] == 0
    assert await value(database, "SELECT count(*) FROM customer_class WHERE scheme = 'abc' AND class = ''") == 0


# ---- schemes that go -------------------------------------------------------------------------------------------------


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


# ---- schemes that fail -----------------------------------------------------------------------------------------------


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
