"""How many a segment would hold, before there is one."""

from typing import Any
from uuid import UUID

import httpx

from app.core.db import Database
from tests.conftest import MakeUser
from tests.customers.customers import pointers
from tests.directory.test_search import Where, is_, people

__all__ = ["people"]
PATH = "/v1/segments/preview"


async def preview(client: httpx.AsyncClient, when: Where) -> tuple[int, int, float]:
    answer = await client.post(PATH, json={"when": when})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found["customers"], found["of"], found["share"]


async def test_a_preview_counts_who_would_be_in(
    admin: httpx.AsyncClient, people: dict[str, Any], run_jobs: Any
) -> None:
    table: list[tuple[Where, int]] = [
        (is_("metric", "monetary", "gte", "40"), 2),
        (is_("metric", "recency_days", "eq", 10), 1),
        (is_("metric", "recency_days", "is_null"), 2),
        (is_("metric", "monetary_365d", "lte", 0), 3),
        (is_("field", "region", "within", "CN-31"), 2),
        ({"tag": "fair"}, 2),
        ({"not": {"tag": "fair"}}, 2),
        ({"all": [{"tag": "fair"}, is_("metric", "frequency", "gte", 1)]}, 1),
        ({"any": [{"tag": "vip"}, is_("metric", "frequency", "gte", 1)]}, 3),
        ({"event": "purchase", "count": {"gte": 2}}, 1),
        ({"tag": "nobody's"}, 0),
    ]
    for n, (when, expected) in enumerate(table):
        assert await preview(admin, when) == (expected, 4, expected / 4), when
        made = await admin.post("/v1/segments", json={"key": f"s{n}", "title": "x", "when": when})
        assert made.status_code == 201, made.text
    await run_jobs()
    for n, (when, expected) in enumerate(table):
        assert (await admin.get(f"/v1/segments/s{n}")).json()["customers"] == expected, when
    held = {"class": "s0", "op": "eq", "value": "in"}
    assert await preview(admin, held) == (2, 4, 0.5)
    assert await preview(admin, {"not": held}) == (2, 4, 0.5)


async def test_a_preview_counts_among_whom_both_permissions_reach(
    database: Database, people: dict[str, Any], make_user: MakeUser
) -> None:
    users = [
        await make_user({"segments:read": "own", "customers:read": "all"}),
        await make_user({"segments:read": "all", "customers:read": "own"}),
    ]
    for user in users:
        async with database.connection() as connection:
            owner, mine = UUID(user.headers["X-Test-User"]), [UUID(people[name]["id"]) for name in "AD"]
            await connection.execute("UPDATE customer SET owner_id = $1 WHERE id = ANY($2::uuid[])", owner, mine)
        assert await preview(user, is_("metric", "frequency", "gte", 1)) == (1, 2, 0.5)
    only = await make_user({"segments:read": "all"})
    assert await preview(only, is_("metric", "frequency", "gte", 0)) == (0, 0, 0.0)


async def test_what_no_segment_could_ask_is_refused_where_it_stands(admin: httpx.AsyncClient) -> None:
    big = is_("metric", "monetary", "gte", "50")
    table: list[tuple[Any, list[str]]] = [
        ({"when": {"all": [big, is_("metric", "monetray", "gte", "1")]}}, ["/body/when/all/1/metric"]),
        ({"when": is_("class", "nope", "eq", "x")}, ["/body/when/class"]),
        ({"when": is_("class", "abc", "eq", "Z")}, ["/body/when/value"]),
        ({"when": is_("field", "phone", "eq", "+8613812345678")}, ["/body/when/field"]),
        ({"when": {"all": [big, is_("metric", "distinct_categories", "gt", 1)]}}, ["/body/when/all/1/metric"]),
        ({"when": big, "static": True}, ["/body/static"]),
        ({}, ["/body/when"]),
    ]
    for body, expected in table:
        assert pointers(await admin.post(PATH, json=body)) == expected, body
