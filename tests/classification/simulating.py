"""What tests of simulations share: drafts, publishing, and the same figures computed from the tables."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx

from app.core.db import Database
from tests.classification.population import RunJobs, add

PATH = "/v1/simulations"
_ROWS = ((3, "champions"), (2, "middle"), (1, "hibernating"))
CHANGES: dict[str, dict[str, Any]] = {
    "abc": {"cut_offs": ["0.5", "0.7"], "classes": ["A", "B", "D"]},
    "rfm": {"bins": 3, "segments": [{"class": name, "cells": [{"r": [r, r], "f": [1, 3]}]} for r, name in _ROWS]},
    "lifecycle": {"default": "first_purchase"},
}
"""What a second version of each scheme does differently."""

Classes = Mapping[str, str | None]


async def value(database: Database, query: str, *given: Any) -> Any:
    async with database.connection() as connection:
        return await connection.fetchval(query, *given)


async def fetch(database: Database, query: str, *given: Any) -> list[Any]:
    async with database.connection() as connection:
        rows: list[Any] = await connection.fetch(query, *given)
    return rows


async def population(database: Database, count: int = 60) -> list[str]:
    """Customers of every kind: many purchases and few, large and small, lately and long ago, and some without."""
    made = []
    for n in range(count):
        visits = [(1 + n * 7 % 400 + k * 30, f"{(n * 37) % 500 + k + 1}.25") for k in range(n % 6)]
        made.append(await add(database, f"c-{n}", visits))
    return made


async def draft(admin: httpx.AsyncClient, key: str, number: int = 2, **changes: Any) -> None:
    """A draft as the first version with these changes."""
    path = f"/v1/schemes/{key}/versions"
    document = (await admin.get(f"{path}/1")).json()["document"]
    answer = await admin.post(path, json={"document": {**document, "titles": {}, **changes}})
    assert (answer.status_code, answer.json().get("version")) == (201, number), answer.text


async def publish(admin: httpx.AsyncClient, run_jobs: RunJobs, key: str, number: int = 2) -> None:
    """Put a version in force for everybody, with breakpoints of its own."""
    answer = await admin.post(f"/v1/schemes/{key}/versions/{number}/publish", json={})
    assert answer.status_code == 202, answer.text
    await run_jobs()
    assert (await admin.get(answer.headers["location"])).json()["status"] == "completed"


async def ask(admin: httpx.AsyncClient, key: str, number: int = 2, **asked: Any) -> str:
    """Ask for a simulation; its address."""
    answer = await admin.post(f"/v1/schemes/{key}/versions/{number}/simulations", json=asked)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{PATH}/{answer.json()['id']}"
    return answer.headers["location"]


async def simulated(admin: httpx.AsyncClient, run_jobs: RunJobs, key: str, number: int = 2, **asked: Any) -> Any:
    """Ask for a simulation, run it and give it back."""
    path = await ask(admin, key, number, **asked)
    await run_jobs()
    ended = (await admin.get(path)).json()
    assert (ended["status"], ended["error"]) == ("completed", None)
    return ended


async def standing(database: Database, key: str) -> dict[str, str | None]:
    """Everybody's class, None included."""
    query = (
        "SELECT m.customer_id, k.class FROM customer_metrics m"
        " LEFT JOIN customer_class k ON k.customer_id = m.customer_id AND k.scheme = $1"
    )
    return {str(row["customer_id"]): row["class"] for row in await fetch(database, query, key)}


async def worth(database: Database) -> dict[str, Decimal]:
    rows = await fetch(database, "SELECT customer_id, monetary FROM customer_metrics")
    return {str(row["customer_id"]): row["monetary"] for row in rows}


# ---- the same figures, computed here ---------------------------------------------------------------------------------


def matrix(now: Classes, then: Classes, worth: Mapping[str, Decimal]) -> dict[Any, tuple[int, Decimal]]:
    counts: Counter[Any] = Counter()
    money: defaultdict[Any, Decimal] = defaultdict(Decimal)
    for each in now:
        counts[now[each], then[each]] += 1
        money[now[each], then[each]] += worth[each]
    return {pair: (counts[pair], money[pair]) for pair in counts}


def shown_matrix(outcome: Any) -> dict[Any, tuple[int, Decimal]]:
    return {(e["from"], e["to"]): (e["customers"], Decimal(e["monetary"])) for e in outcome["matrix"]}


def check_outcome(
    outcome: Any, now: Classes, then: Classes, worth: Mapping[str, Decimal], ranks: Sequence[str]
) -> None:
    """Every figure over the whole base."""
    assert shown_matrix(outcome) == matrix(now, then, worth)
    everybody, money = len(now), sum(worth.values())
    assert (outcome["customers"], Decimal(outcome["monetary"])) == (everybody, money)
    for each in outcome["classes"]:
        for time, classes in (("now", now), ("then", then)):
            members = [c for c in classes if classes[c] == each["class"]]
            assert each[time] == len(members)
            assert Decimal(each[f"monetary_{time}"]) == sum(worth[c] for c in members)
            assert each[f"share_{time}"] == round(len(members) / everybody, 6)
    assert {each["class"] for each in outcome["classes"]} >= {*now.values(), *then.values()}
    moved = outcome["moved"]
    moves = [c for c in now if now[c] != then[c]]
    assert moved["customers"] == len(moves)
    assert moved["share"] == round(len(moves) / everybody, 6)
    assert Decimal(moved["monetary"]) == sum(worth[c] for c in moves)
    for name in ("up", "down", "entered", "left", "other"):
        these = [c for c in moves if direction(now[c], then[c], ranks) == name]
        assert moved[name]["customers"] == len(these), name
        assert Decimal(moved[name]["monetary"]) == sum(worth[c] for c in these), name


def direction(was: str | None, is_: str | None, ranks: Sequence[str]) -> str:
    if was is None or is_ is None:
        return "entered" if was is None else "left"
    if was not in ranks or is_ not in ranks:
        return "other"
    return "up" if ranks.index(is_) < ranks.index(was) else "down"
