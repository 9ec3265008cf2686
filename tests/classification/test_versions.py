"""Versions: drafted, checked, published for everybody at once, interrupted anywhere, returned to; schemes that go."""

import asyncio
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest

from app.classification import publishing, walking
from app.classification.recalculate import _Run
from app.core.db import Database
from app.core.jobs import Interrupted
from tests.classification.population import NOON, RunJobs, classes, recalculate
from tests.classification.versions import (
    ABC,
    READER,
    SIZE,
    SMALLER,
    counts,
    draft,
    people,
    publish,
    scheme,
    statuses,
    value,
)
from tests.conftest import MakeUser
from tests.customers.customers import pointers


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


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
