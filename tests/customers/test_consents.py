"""Consents: what stands per channel and purpose, all that was said, and who hears of it."""

from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.customers.customers import create, pointers

GIVEN = {"channel": "email", "purpose": "marketing", "status": "given", "source": "canary form at the fair"}


async def say(client: httpx.AsyncClient, customer: Any, **changes: Any) -> Any:
    answer = await client.post(f"/v1/customers/{customer['id']}/consents", json={**GIVEN, **changes})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def items(client: httpx.AsyncClient, customer: Any, below: str = "", **query: Any) -> list[dict[str, Any]]:
    answer = await client.get(f"/v1/customers/{customer['id']}/consents{below}", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_the_latest_of_each_channel_and_purpose_stands_and_all_is_kept(admin: httpx.AsyncClient) -> None:
    made, other = await create(admin), await create(admin)
    first = await say(admin, made)
    post = await say(admin, made, channel="post", purpose="research")
    await say(admin, other)
    withdrawn = await say(admin, made, status="withdrawn", source="a call")
    assert await items(admin, made) == [withdrawn, post]
    assert await items(admin, made, "/history") == [withdrawn, post, first]
    me = (await admin.get("/v1/me")).json()
    assert {each["recorded_by"] for each in (first, post, withdrawn)} == {f"user:{me['id']}"}


async def test_what_was_said_later_goes_on_standing(admin: httpx.AsyncClient) -> None:
    made = await create(admin)
    withdrawn = await say(admin, made, status="withdrawn", at="2020-06-01T00:00:00Z")
    found_later = await say(admin, made, at="2020-01-01T00:00:00Z")
    assert await items(admin, made) == [withdrawn]
    assert await items(admin, made, "/history") == [found_later, withdrawn]


async def test_history_comes_in_pages(admin: httpx.AsyncClient) -> None:
    made = await create(admin)
    said = [await say(admin, made) for _ in range(3)]
    path = f"/v1/customers/{made['id']}/consents/history"
    first = (await admin.get(path, params={"limit": 2})).json()
    second = (await admin.get(path, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [*first["items"], *second["items"]] == said[::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"channel": "pigeon"}, "/body/channel"),
        ({"purpose": "Any thing"}, "/body/purpose"),
        ({"status": "maybe"}, "/body/status"),
        ({"source": " "}, "/body/source"),
        ({"at": "2199-01-01T00:00:00Z"}, "/body/at"),
        ({"recorded_by": "somebody"}, "/body/recorded_by"),
    ],
)
async def test_a_consent_that_is_wrong_is_refused(
    admin: httpx.AsyncClient, change: dict[str, Any], pointer: str
) -> None:
    made = await create(admin)
    answer = await admin.post(f"/v1/customers/{made['id']}/consents", json={**GIVEN, **change})
    assert pointers(answer) == [pointer]
    assert await items(admin, made, "/history") == []


async def test_a_consent_is_audited_and_announced_without_its_source(
    admin: httpx.AsyncClient, database: Database
) -> None:
    made = await create(admin)
    await say(admin, made)
    await say(admin, made, status="withdrawn")
    async with database.connection() as connection:
        written = await connection.fetch("SELECT * FROM audit_event WHERE action LIKE 'consent.%' ORDER BY id")
        told = await connection.fetch("SELECT * FROM outbox_event WHERE name LIKE 'consent.%' ORDER BY id")
    assert [row["action"] for row in written] == [row["name"] for row in told] == ["consent.given", "consent.withdrawn"]
    assert {row["resource_id"] for row in written} == {row["payload"]["customer_id"] for row in told} == {made["id"]}
    assert set(told[0]["payload"]) == {"customer_id", "channel", "purpose", "at"}
    assert "canary" not in str([dict(row) for row in (*written, *told)])


async def test_consents_go_with_their_customer(admin: httpx.AsyncClient, database: Database) -> None:
    made = await create(admin)
    await say(admin, made)
    assert (await admin.delete(f"/v1/customers/{made['id']}")).status_code == 204
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM customer_consent") == 0
