"""Customers who are made one and two again, and all that is known of them."""

from typing import Any

import httpx

from app import features
from app.core.checks import findings
from app.core.db import Database

KEY = "spending"
MERGES = "/v1/customers/merges"
CHANGED_BY_MERGING = {"version", "updated_at", "as_of", "revision", "decided", "since"}
APART = {"customer_duplicate_due", "customer_merge", "customer_merge_row", "class_change", "customer_class"}


async def post(client: httpx.AsyncClient, path: str, body: Any = None, status: int = 201) -> Any:
    answer = await client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def of(customer: Any, rest: str = "") -> str:
    return f"/v1/customers/{customer['id']}{rest}"


async def bought(client: httpx.AsyncClient, customer: Any, amount: str, **more: Any) -> Any:
    body = {"occurred_at": "2020-06-02T03:04:05Z", "amount": amount, **more}
    return await post(client, of(customer, "/purchases"), body)


async def merged(client: httpx.AsyncClient, survivor: Any, other: Any, **more: Any) -> Any:
    return await post(client, MERGES, {"survivor_id": survivor["id"], "merged_id": other["id"], **more})


async def undone(client: httpx.AsyncClient, merge: Any) -> Any:
    return await post(client, f"{MERGES}/{merge['id']}/undo", status=200)


async def read(client: httpx.AsyncClient, customer: Any, rest: str = "") -> Any:
    answer = await client.get(of(customer, rest))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def broken(database: Database) -> set[str]:
    return {each.promise async for each in findings(database, features.CHECKS) if each.violations}


async def stands(database: Database) -> dict[str, list[str]]:
    """All that is known of customers, row by row, without what says when it was written last."""
    found = {}
    async with database.connection() as connection:
        for place in [*features.PLACES]:
            if place.table.name not in APART:
                rows = await connection.fetch(f"SELECT to_jsonb(t) AS row FROM {place.table.name} t")
                kept = [
                    {name: value for name, value in row["row"].items() if name not in CHANGED_BY_MERGING}
                    for row in rows
                ]
                found[place.table.name] = sorted(map(str, kept))
        rows = await connection.fetch("SELECT customer_id, scheme, class FROM customer_class ORDER BY 1, 2")
        found["customer_class"] = [str(tuple(row)) for row in rows]
    return found
