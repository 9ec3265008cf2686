"""The feed of events: in order, each once, whatever commits late."""

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.core import outbox
from app.core.db import Database
from app.webhooks import feed
from app.webhooks.checks import CHECKS
from app.webhooks.rules import like_patterns
from tests.webhooks.horizon import others_have_ended


async def announce(database: Database, *names: str) -> None:
    """One transaction that stores these events."""
    async with database.transaction() as session:
        for name in names:
            outbox.store(session, name, {"name": name})
    await others_have_ended(database)


async def pull(client: httpx.AsyncClient, cursor: str | None = None, **params: Any) -> dict[str, Any]:
    given = {**params, **({"cursor": cursor} if cursor else {})}
    answer = await client.get("/v1/events", params=given)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def everything(client: httpx.AsyncClient, cursor: str | None = None, **params: Any) -> tuple[list[str], str]:
    """The types of all events from the cursor on, and where that ends."""
    types, more = [], True
    while more:
        page = await pull(client, cursor, **params)
        types += [each["type"] for each in page["items"]]
        cursor, more = page["next_cursor"], page["more"]
    assert cursor is not None
    return types, cursor


async def test_what_happened_is_told_once_and_in_order(admin: httpx.AsyncClient, database: Database) -> None:
    await announce(database, "test.before")
    _, start = await everything(admin, limit=1)
    await announce(database, *(f"test.n_{letter}" for letter in "abcde"))
    types, end = await everything(admin, start, limit=2)
    assert types == [f"test.n_{letter}" for letter in "abcde"]
    assert await everything(admin, end, limit=2) == ([], end)
    await announce(database, "test.later")
    assert (await everything(admin, end, limit=2))[0] == ["test.later"]


async def test_an_event_says_what_happened(admin: httpx.AsyncClient, database: Database) -> None:
    made = (await admin.post("/v1/customers", json={"name": "Blue Lantern"})).json()
    await others_have_ended(database)
    page = await pull(admin, types=["customer.created"])
    event = page["items"][-1]
    assert (event["type"], event["data"]) == ("customer.created", {"customer_id": made["id"]})
    assert set(event) == {"id", "type", "timestamp", "data"}
    assert "Blue Lantern" not in str(page)


async def test_an_event_never_appears_behind_a_cursor(admin: httpx.AsyncClient, database: Database) -> None:
    """One transaction begins first and commits last: what came between waits for it."""
    await announce(database, "test.before")
    _, start = await everything(admin)
    async with database.transaction() as slow:
        outbox.store(slow, "test.slow", {})
        await slow.flush()
        await announce(database, "test.quick")
        seen, cursor = await everything(admin, start)
        assert seen == []
    assert (await everything(admin, cursor))[0] == ["test.slow", "test.quick"]


async def test_what_is_rolled_back_holds_nobody_back(admin: httpx.AsyncClient, database: Database) -> None:
    await announce(database, "test.before")
    _, start = await everything(admin)
    with pytest.raises(ZeroDivisionError):
        await _announce_and_fail(database)
    await announce(database, "test.after")
    assert (await everything(admin, start))[0] == ["test.after"]


async def _announce_and_fail(database: Database) -> None:
    async with database.transaction() as failing:
        outbox.store(failing, "test.never", {})
        await failing.flush()
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["test.a_b"], ["test.a_b"]),
        (["test.*"], ["test.a_b", "test.axb"]),
        (["test.axb", "other.*"], ["test.axb", "other.one"]),
        (["*"], ["test.a_b", "test.axb", "other.one"]),
        (["nobody.*"], []),
    ],
)
async def test_a_filter_names_types_and_kinds(
    admin: httpx.AsyncClient, database: Database, types: list[str], expected: list[str]
) -> None:
    await announce(database, "test.a_b", "test.axb", "other.one")
    found, _ = await everything(admin, types=types)
    assert [each for each in found if each in ("test.a_b", "test.axb", "other.one")] == expected


async def test_a_filter_that_meets_nothing_moves_on(
    admin: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await announce(database, *["test.noise"] * 7, "test.wanted")
    monkeypatch.setattr(feed, "SCANNED", 3)
    page = await pull(admin, types=["test.wanted"])
    assert page["items"] == []
    assert page["more"]
    found, _ = await everything(admin, page["next_cursor"], types=["test.wanted"])
    assert found == ["test.wanted"]


async def test_a_cursor_belongs_to_its_filter(admin: httpx.AsyncClient, database: Database) -> None:
    await announce(database, "test.one")
    cursor = (await pull(admin, types=["test.*"]))["next_cursor"]
    for params in ({"types": "other.*"}, {}):
        answer = await admin.get("/v1/events", params={**params, "cursor": cursor})
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:strata:problem:invalid-cursor")


@pytest.mark.parametrize("pattern", ["", "Customer.created", "a.*.b", "%", "a..b", "*.created", "a" * 300])
async def test_a_pattern_that_names_nothing_is_refused(admin: httpx.AsyncClient, pattern: str) -> None:
    answer = await admin.get("/v1/events", params={"types": pattern})
    assert answer.status_code == 422


async def test_events_are_for_those_who_may_see_everybody(make_user: Callable[..., Any]) -> None:
    for scope in ("own", "unit", "subtree"):
        client = await make_user({"events:read": scope})
        assert (await client.get("/v1/events")).status_code == 403
    assert (await (await make_user({"events:read": "all"})).get("/v1/events")).status_code == 200


async def test_an_event_of_another_server_is_found_by_the_check(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO outbox_event (name, payload, transaction_id) VALUES ('test.far', '{}', 1::bigint << 62)"
        )
    (check,) = CHECKS
    rows = await database.reading().all(check.violations)
    assert [row["name"] for row in rows] == ["test.far"]


def test_every_event_is_wanted_when_nothing_is_named() -> None:
    assert like_patterns([]) is None
    assert like_patterns(["a.b", "*"]) is None
    assert like_patterns(["a_b.*", "a_b.*"]) == [r"a\_b.%"]
    assert feed.Position(0, uuid.uuid4()) > feed.START
