"""Simulations: every figure is what publishing brings, and nothing is written."""

from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.classification import outcomes, walking
from app.core.db import Database
from tests.classification.population import NOON, RunJobs, add, recalculate
from tests.classification.simulating import (
    CHANGES,
    PATH,
    ask,
    check_outcome,
    direction,
    draft,
    fetch,
    matrix,
    population,
    publish,
    shown_matrix,
    simulated,
    standing,
    value,
    worth,
)
from tests.conftest import MakeUser
from tests.customers.customers import pointers

UNTOUCHED = ("customer", "customer_metrics", "customer_class", "class_change", "breakpoints", "scheme", "outbox_event")


@pytest.fixture(autouse=True)
def clock(today: Callable[[date], None]) -> None:
    today(NOON.date())


async def ranked(database: Database, key: str, number: int) -> list[str]:
    query = "SELECT document FROM scheme_version WHERE scheme = $1 AND version = $2"
    document = await value(database, query, key, number)
    if "rules" in document:
        return list(dict.fromkeys([*(rule["class"] for rule in document["rules"]), document["default"]]))
    return document.get("classes") or list(dict.fromkeys(each["class"] for each in document["segments"]))


async def owned(database: Database, make_user: MakeUser, customers: list[str], owners: int) -> dict[str, str | None]:
    """Give the customers to so many owners; every seventh has none."""
    ids = [(await make_user({})).headers["X-Test-User"] for _ in range(owners)]
    mine = {each: None if n % 7 == 0 else ids[n % owners] for n, each in enumerate(customers)}
    for each, owner in mine.items():
        await fetch(database, "UPDATE customer SET owner_id = $2 WHERE id = $1", UUID(each), owner and UUID(owner))
    return mine


@pytest.mark.parametrize("key", CHANGES)
@pytest.mark.parametrize("chunk", [7, 10_000])
async def test_what_is_simulated_is_what_publishing_brings(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    make_user: MakeUser,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    chunk: int,
) -> None:
    owners = await owned(database, make_user, await population(database), 4)
    await recalculate(admin, run_jobs, refit=True)
    await draft(admin, key, **CHANGES[key])
    monkeypatch.setattr(walking, "CHUNK", chunk)
    now, money = await standing(database, key), await worth(database)
    found = await simulated(admin, run_jobs, key)
    assert (found["processed"], found["total"], found["eta"]) == (60, 60, None)
    await publish(admin, run_jobs, key)
    then = await standing(database, key)
    assert now != then
    ranks = await ranked(database, key, 2)
    check_outcome(found["outcome"], now, then, money, ranks)
    if key != "lifecycle":
        fitted = (await admin.get(f"/v1/schemes/{key}/breakpoints")).json()["values"]
        assert found["breakpoints"] == {"2": fitted}
    moved = (await admin.get(f"{PATH}/{found['id']}/customers", params={"limit": 200})).json()["items"]
    assert {each["customer_id"]: (each["from_class"], each["to_class"]) for each in moved} == {
        each: (now[each], then[each]) for each in now if now[each] != then[each]
    }
    assert found["outcome"]["workload"]["rest"] is None
    for load in found["outcome"]["workload"]["items"]:
        mine = [each for each, owner in owners.items() if owner == load["owner_id"]]
        _check_load(load, mine, now, then, ranks)
    assert len(found["outcome"]["workload"]["items"]) == 5
    assert await value(database, "SELECT count(*) FROM simulation_count") == 0


def _check_load(load: Any, mine: list[str], now: Any, then: Any, ranks: list[str]) -> None:
    assert load["customers"] == len(mine)
    assert load["now"] == Counter(now[each] for each in mine if now[each])
    assert load["then"] == Counter(then[each] for each in mine if then[each])
    moves = Counter(direction(now[each], then[each], ranks) for each in mine if now[each] != then[each])
    assert load["moved"] == moves.total()
    assert (load["gains"], load["losses"]) == (moves["up"] + moves["entered"], moves["down"] + moves["left"])


async def test_owners_beyond_the_limit_are_one_row(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    make_user: MakeUser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await owned(database, make_user, await population(database, 40), 6)
    await recalculate(admin, run_jobs, refit=True)
    await draft(admin, "abc", **CHANGES["abc"])
    every = (await simulated(admin, run_jobs, "abc"))["outcome"]["workload"]
    monkeypatch.setattr(outcomes, "OWNERS", 2)
    some = (await simulated(admin, run_jobs, "abc"))["outcome"]["workload"]
    assert some["items"] == every["items"][:2]
    assert [load["moved"] for load in every["items"]] == sorted((e["moved"] for e in every["items"]), reverse=True)
    rest = every["items"][2:]
    assert some["rest"]["owners"] == len(rest) == 5
    for name in ("customers", "moved", "gains", "losses"):
        assert some["rest"][name] == sum(load[name] for load in rest)
    for time in ("now", "then"):
        assert some["rest"][time] == sum((Counter(load[time]) for load in rest), Counter())


async def test_a_simulation_writes_nothing_but_itself(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    await population(database)
    await recalculate(admin, run_jobs, refit=True)
    before = await _tables(database)
    for key, changes in CHANGES.items():
        await draft(admin, key, **changes)
        await simulated(admin, run_jobs, key)
        await simulated(admin, run_jobs, key, against=1, refit=False)
    assert await _tables(database) == before


async def _tables(database: Database) -> dict[str, Any]:
    digest = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {} t"
    return {name: tuple((await fetch(database, digest.format(name)))[0]) for name in UNTOUCHED}


async def test_two_versions_stand_side_by_side(admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs) -> None:
    await population(database)
    await recalculate(admin, run_jobs, refit=True)
    await draft(admin, "abc", 2, **CHANGES["abc"])
    await draft(admin, "abc", 3, cut_offs=["0.3", "0.9"])
    there = await simulated(admin, run_jobs, "abc", 2, against=3)
    back = await simulated(admin, run_jobs, "abc", 3, against=2)
    assert set(there["breakpoints"]) == {"2", "3"}
    money, classes = await worth(database), []
    for number in (3, 2):
        await publish(admin, run_jobs, "abc", number)
        classes.append(await standing(database, "abc"))
    check_outcome(there["outcome"], classes[0], classes[1], money, ["A", "B", "D"])
    assert shown_matrix(back["outcome"]) == matrix(classes[1], classes[0], money)
    for mark in ("at_once", "pending", "overridden"):
        assert there["outcome"]["moved"][mark] is None


async def test_without_a_refit_the_newest_breakpoints_of_the_version_decide(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    await population(database)
    await recalculate(admin, run_jobs, refit=True)
    fitted = (await admin.get("/v1/schemes/abc/breakpoints")).json()["values"]
    await add(database, "whale", [(1, "100000")])
    await recalculate(admin, run_jobs)
    kept = await simulated(admin, run_jobs, "abc", 1, refit=False)
    assert (kept["breakpoints"], kept["outcome"]["moved"]["customers"]) == ({"1": fitted}, 0)
    now, money = await standing(database, "abc"), await worth(database)
    refitted = await simulated(admin, run_jobs, "abc", 1)
    await recalculate(admin, run_jobs, refit=True, schemes=["abc"])
    then = await standing(database, "abc")
    check_outcome(refitted["outcome"], now, then, money, ["A", "B", "C"])
    await draft(admin, "abc")
    unfitted = await simulated(admin, run_jobs, "abc", 2, refit=False)
    assert unfitted["breakpoints"] == {"2": None}
    assert unfitted["outcome"]["moved"]["left"]["customers"] == len(then)


async def test_rules_of_movement_and_overrides_say_how_many_move_at_once(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    await population(database)
    await recalculate(admin, run_jobs, refit=True)
    movement = {"upgrade": "at_once", "downgrade": {"grace_days": 30, "one_step": True}}
    # Whoever was worst is best, and the other way round.
    rules = [
        {"class": "prospect", "when": {"metric": "frequency", "op": "gte", "value": "4"}},
        {"class": "repeat", "when": {"metric": "frequency", "op": "gte", "value": "3"}},
        {"class": "churned", "when": {"metric": "frequency", "op": "gte", "value": "2"}},
    ]
    document = {"rules": rules, "default": "at_risk", "movement": movement, "population": {}, "titles": {}}
    await draft(admin, "lifecycle", 2, **document)
    for key in ("repeat", "churned"):
        query = "SELECT customer_id FROM customer_class WHERE scheme = 'lifecycle' AND class = $1 LIMIT 1"
        held = await value(database, query, key)
        await fetch(
            database,
            "INSERT INTO class_override (customer_id, scheme, class, reason, status, period, proposed_by, proposed_at)"
            " VALUES ($1, 'lifecycle', 'prospect', 'x', 'active', tstzrange('2020-01-01', NULL), 'x', now())",
            held,
        )
    now = await standing(database, "lifecycle")
    found = (await simulated(admin, run_jobs, "lifecycle"))["outcome"]
    moved = found["moved"]
    assert moved["at_once"] + moved["pending"] + moved["overridden"] == moved["customers"]
    assert min(moved["at_once"], moved["pending"]) > 0
    await publish(admin, run_jobs, "lifecycle")
    then = await standing(database, "lifecycle")
    forced = await fetch(database, "SELECT customer_id FROM customer_class WHERE overridden")
    at_once = sum(now[each] != then[each] for each in now) - sum(
        now[str(row["customer_id"])] != then[str(row["customer_id"])] for row in forced
    )
    assert moved["at_once"] == at_once
    assert moved["pending"] == await value(
        database, "SELECT count(*) FROM customer_class WHERE pending_class IS NOT NULL AND NOT overridden"
    )


async def test_a_simulation_reads_whatever_a_document_reads(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    customers = await population(database)
    await recalculate(admin, run_jobs, refit=True)
    await fetch(database, "UPDATE customer SET tags = '{wholesale}' WHERE id = ANY($1::uuid[])", customers[::9])
    await fetch(database, "UPDATE customer SET region = 'CN-31' WHERE id = ANY($1::uuid[])", customers[::8])
    conditions: dict[str, Any] = {
        "tagged": {"tag": "wholesale"},
        "near": {"field": "region", "op": "within", "value": "CN-31"},
        "large": {"class": "abc", "op": "eq", "value": "A"},
        "lately": {"event": "purchase", "within_days": 60, "count": {"gte": 1}},
    }
    rules = [{"class": name, "when": when} for name, when in conditions.items()]
    await draft(admin, "lifecycle", 2, rules=rules, default="others", population={}, titles={})
    now, money = await standing(database, "lifecycle"), await worth(database)
    found = await simulated(admin, run_jobs, "lifecycle")
    assert {each["class"] for each in found["outcome"]["classes"] if each["then"]} == {*conditions, "others"}
    await publish(admin, run_jobs, "lifecycle")
    then = await standing(database, "lifecycle")
    check_outcome(found["outcome"], now, then, money, [*conditions, "others"])


async def test_a_static_segment_is_simulated_by_its_members(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    customers = await population(database, 5)
    await recalculate(admin, run_jobs, refit=True)
    await fetch(database, "INSERT INTO scheme (key, title, version) VALUES ('guests', 'Guests', 0)")
    insert = "INSERT INTO scheme_version (scheme, version, document, status) VALUES ('guests', 1, $1, 'draft')"
    await fetch(database, insert, {"kind": "static"})
    member = "INSERT INTO segment_member (customer_id, scheme, added_by) VALUES ($1, 'guests', 'x')"
    await fetch(database, member, UUID(customers[2]))
    found = await simulated(admin, run_jobs, "guests", 1)
    assert {each["class"]: each["then"] for each in found["outcome"]["classes"]} == {"in": 1, None: 4}
    (mover,) = (await admin.get(f"{PATH}/{found['id']}/customers")).json()["items"]
    assert (mover["customer_id"], mover["from_class"], mover["to_class"]) == (customers[2], None, "in")


async def test_what_cannot_be_simulated_is_named(admin: httpx.AsyncClient, database: Database) -> None:
    await draft(admin, "abc")
    path = "/v1/schemes/abc/versions/2/simulations"
    table: list[tuple[dict[str, Any], str]] = [
        ({"against": 7}, "/body/against"),
        ({"against": 2}, "/body/against"),
        ({"against": 0}, "/body/against"),
        ({"as_of": "2020-07-01"}, "/body/as_of"),
        ({"refit": "yes"}, "/body/refit"),
        ({"version": 1}, "/body/version"),
    ]
    for body, pointer in table:
        assert pointers(await admin.post(path, json=body)) == [pointer], body
    for unknown in ("/v1/schemes/abc/versions/9/simulations", "/v1/schemes/nope/versions/1/simulations"):
        assert (await admin.post(unknown, json={})).status_code == 404
    for missing in ("", "/customers", "/export"):
        assert (await admin.get(f"{PATH}/{uuid4()}{missing}")).status_code == 404
    assert (await admin.post(f"{PATH}/{uuid4()}/cancel")).status_code == 404
    assert await value(database, "SELECT count(*) FROM simulation") == 0


async def test_a_day_means_its_end_and_ages_are_of_that_day(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    customer = await add(database, "one", [(100, "10")])
    await recalculate(admin, run_jobs, refit=True)
    rules = [{"class": "long_ago", "when": {"metric": "recency_days", "op": "gte", "value": "90"}}]
    await draft(admin, "lifecycle", 2, rules=rules, default="lately", population={}, titles={})
    for as_of, instant, name in (
        ("2020-06-20", "2020-06-20T23:59:59.999999Z", "long_ago"),
        ("2020-06-19", "2020-06-19T23:59:59.999999Z", "lately"),
        ("2020-06-20T00:00:00Z", "2020-06-20T00:00:00Z", "long_ago"),
    ):
        found = await simulated(admin, run_jobs, "lifecycle", as_of=as_of)
        assert found["as_of"] == instant
        (mover,) = (await admin.get(f"{PATH}/{found['id']}/customers")).json()["items"]
        assert (mover["customer_id"], mover["to_class"]) == (customer, name)


async def test_a_draft_edited_afterwards_is_not_what_was_simulated(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    await population(database, 20)
    await recalculate(admin, run_jobs, refit=True)
    await draft(admin, "abc", **CHANGES["abc"])
    path = await ask(admin, "abc")
    version = "/v1/schemes/abc/versions"
    first = (await admin.get(f"{version}/1")).json()["document"]
    assert (await admin.put(f"{version}/2", json={"document": first})).status_code == 200
    await run_jobs()
    ended = (await admin.get(path)).json()
    assert ended["status"] == "completed"
    assert "D" in [each["class"] for each in ended["outcome"]["classes"]]


async def test_simulations_are_listed_the_latest_first_and_by_scheme(
    admin: httpx.AsyncClient, database: Database
) -> None:
    paths = [await ask(admin, key, 1) for key in ("abc", "rfm", "abc")]
    ids = [path.rsplit("/", 1)[1] for path in reversed(paths)]
    assert [each["id"] for each in (await admin.get(PATH)).json()["items"]] == ids
    page = (await admin.get(PATH, params={"scheme": "abc", "limit": 1})).json()
    assert [each["id"] for each in page["items"]] == ids[:1]
    last = (await admin.get(PATH, params={"scheme": "abc", "limit": 1, "cursor": page["next_cursor"]})).json()
    assert ([each["id"] for each in last["items"]], last["next_cursor"]) == (ids[2:], None)
    foreign = await admin.get(PATH, params={"scheme": "rfm", "cursor": page["next_cursor"]})
    assert foreign.status_code == 422


async def test_the_same_key_gives_the_same_simulation(admin: httpx.AsyncClient, database: Database) -> None:
    path, headers = "/v1/schemes/abc/versions/1/simulations", {"Idempotency-Key": "once"}
    first, second = [await admin.post(path, json={}, headers=headers) for _ in range(2)]
    assert first.json() == second.json()
    assert await value(database, "SELECT count(*) FROM simulation") == 1
