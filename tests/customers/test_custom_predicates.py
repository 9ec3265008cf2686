"""Custom fields in conditions: searched by, decided by, and required."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from app.core.comparisons import Op, compare
from app.core.db import Database
from app.customers.fields import field
from app.customers.models import customer
from tests.classification import schemes
from tests.customers.customers import create, pointers

RunJobs = Callable[[], Awaitable[None]]
FIELDS = [
    {"key": "size", "title": "Size", "type": "number"},
    {"key": "rent", "title": "Rent", "type": "money"},
    {"key": "opened", "title": "Opened", "type": "date"},
    {"key": "chain", "title": "Chain", "type": "boolean"},
    {"key": "sells", "title": "Sells", "type": "multi_choice", "options": ["tea", "cups"]},
]
CUSTOMERS: dict[str, dict[str, str]] = {
    "small": {"size": "9.5", "rent": "100", "opened": "2019-12-31", "chain": "false", "sells": "tea"},
    "large": {"size": "120", "rent": "2500.5", "opened": "2020-01-01", "chain": "true", "sells": "cups;tea"},
    "odd": {"remark": "120", "code": "007"},
    "none": {},
}


async def a_company(admin: httpx.AsyncClient) -> None:
    for each in FIELDS:
        assert (await admin.post("/v1/custom-fields", json=each)).status_code == 201
    for name, custom in CUSTOMERS.items():
        await create(admin, name=name, custom=custom)


async def found(admin: httpx.AsyncClient, where: dict[str, Any]) -> set[str]:
    answer = await admin.post("/v1/customers/search", json={"where": where})
    assert answer.status_code == 200, answer.text
    return {each["name"] for each in answer.json()["items"]}


async def test_customers_are_found_by_custom_fields(admin: httpx.AsyncClient) -> None:
    await a_company(admin)
    table: list[tuple[str, str, Any, set[str]]] = [
        ("size", "gte", "9.5", {"small", "large"}),
        ("size", "gt", "9.5", {"large"}),
        ("size", "lt", 10, {"small"}),
        ("size", "eq", "9.50", {"small"}),
        ("rent", "eq", "100", {"small"}),
        ("rent", "in", ["100.00", "2500.5"], {"small", "large"}),
        ("rent", "lte", "2500.50", {"small", "large"}),
        ("opened", "gte", "2020-01-01", {"large"}),
        ("opened", "lt", "2020-01-01", {"small"}),
        ("chain", "eq", True, {"large"}),
        ("chain", "ne", "true", {"small"}),
        ("sells", "contains", "cups", {"large"}),
        ("remark", "gte", "100", {"odd"}),
        ("code", "eq", "7", set()),
        ("code", "eq", "007", {"odd"}),
        ("opened", "gte", "1", set()),
        ("size", "is_null", True, {"odd", "none"}),
        ("nobodys", "not_in", ["x"], set()),
    ]
    for key, op, value, expected in table:
        assert await found(admin, {"field": f"custom.{key}", "op": op, "value": value}) == expected, (key, op, value)
    outside = {"not": {"field": "custom.size", "op": "gte", "value": "10"}}
    assert await found(admin, outside) == {"small", "odd", "none"}


@pytest.mark.parametrize(
    ("leaf", "pointer"),
    [
        ({"field": "custom.size", "op": "gte", "value": "wide"}, "/body/where/value"),
        ({"field": "custom.size", "op": "gte", "value": True}, "/body/where/value"),
        ({"field": "custom.size", "op": "gte", "value": ["1"]}, "/body/where/value"),
        ({"field": "custom.opened", "op": "lt", "value": "2020-02-31"}, "/body/where/value"),
        ({"field": "custom.size", "op": "in", "value": "1"}, "/body/where/value"),
        ({"field": "custom.", "op": "eq", "value": "1"}, "/body/where/field"),
        ({"field": "custom.a.b", "op": "eq", "value": "1"}, "/body/where/field"),
        ({"field": "other.size", "op": "eq", "value": "1"}, "/body/where/field"),
    ],
)
async def test_what_cannot_be_compared_is_refused(admin: httpx.AsyncClient, leaf: dict[str, Any], pointer: str) -> None:
    assert pointers(await admin.post("/v1/customers/search", json={"where": leaf})) == [pointer]


async def test_schemes_decide_by_custom_fields_and_follow_them(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    rule = {"class": "wide", "when": {"field": "custom.size", "op": "gte", "value": "100"}}
    await schemes.publish(database, "sizes", {"kind": "rules", "rules": [rule], "default": "narrow"})
    made = await create(admin, custom={"size": "99.9"})
    assert made["classes"]["sizes"] == "narrow"
    path = f"/v1/customers/{made['id']}"
    assert (await admin.patch(path, json={"custom": {"size": "100"}})).json()["classes"]["sizes"] == "wide"
    explained = (await admin.get(f"{path}/classes/sizes/explanation")).json()
    assert explained["conditions"][0]["value"] == "100"
    changed = (await admin.post("/v1/recalculations", json={})).json()["id"]
    await run_jobs()
    assert (await admin.get(f"/v1/recalculations/{changed}")).json()["changed"] == 0


async def test_a_required_field_is_asked_of_whoever_writes(admin: httpx.AsyncClient) -> None:
    before = await create(admin)
    field = {"key": "size", "title": "Size", "type": "number", "required": True}
    assert (await admin.post("/v1/custom-fields", json=field)).json()["required"] is True
    for body in ({"name": "x"}, {"name": "x", "custom": {"size": ""}}, {"name": "x", "custom": {"other": "1"}}):
        assert pointers(await admin.post("/v1/customers", json=body)) == ["/body/custom/size"]
    made = await create(admin, custom={"size": "1"})
    path = f"/v1/customers/{made['id']}"
    assert pointers(await admin.patch(path, json={"custom": {}})) == ["/body/custom/size"]
    assert (await admin.patch(path, json={"name": "y"})).status_code == 200
    assert (await admin.patch(f"/v1/customers/{before['id']}", json={"name": "z"})).status_code == 200
    await admin.patch("/v1/custom-fields/size", json={"required": False})
    assert (await admin.patch(path, json={"custom": {}})).json()["custom"] == {}


async def plan(database: Database, key: str, op: Op, value: Any) -> str:
    """How one customer in a hundred thousand would be found."""
    condition = compare(field(f"custom.{key}"), op, value, "")
    statement = select(customer.c.id).where(condition)
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's constructor has no types
    sql = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    async with database.connection() as connection:
        await connection.execute("SET enable_seqscan = off")
        rows = await connection.fetch(f"EXPLAIN {sql}")
        await connection.execute("RESET enable_seqscan")
    return "\n".join(row[0] for row in rows)


async def indexes(database: Database) -> int:
    async with database.connection() as connection:
        found = "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix_customer_custom_%'"
        return int(await connection.fetchval(found))


@pytest.mark.parametrize(
    ("kind", "op", "value", "of"),
    [
        ("number", Op.GTE, "10", "spelled"),
        ("money", Op.LT, "10", "spelled"),
        ("date", Op.GT, "2020-01-01", "spelled"),
        ("number", Op.EQ, "10", "text"),
        ("text", Op.IN, ["x", "y"], "text"),
    ],
)
async def test_indexes_are_made_and_dropped_when_asked(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs, kind: str, op: Op, value: Any, of: str
) -> None:
    await create(admin, custom={"size": "11", "other": "x"})
    body = {"key": "size", "title": "Size", "type": kind}
    await admin.post("/v1/custom-fields", json=body)
    await run_jobs()
    assert (await indexes(database), "ix_customer_custom" in await plan(database, "size", op, value)) == (0, False)
    path = "/v1/custom-fields/size"
    assert (await admin.patch(path, json={"indexed": True})).json()["indexed"] is True
    await run_jobs()
    assert await indexes(database) == (1 if kind == "text" else 2)
    found = await plan(database, "size", op, value)
    assert "ix_customer_custom_" in found, found
    assert f"_{of} " in found, found
    assert "ix_customer_custom_" not in await plan(database, "other", op, value)
    await admin.delete(path)
    await run_jobs()
    assert await indexes(database) == 0
