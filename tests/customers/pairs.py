"""Pairs of possible duplicates over HTTP."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx

from app.core.db import Database

PATH = "/v1/customers/duplicates"
NAME = "Blue Lantern Teahouse"
SEES = {"customers:read": "own", "customers:merge": "own"}
SEES_CONTACT = {**SEES, "customers:read_contact": "own"}

Find = Callable[..., Awaitable[None]]


async def listed(client: httpx.AsyncClient, path: str = PATH, **query: Any) -> list[Any]:
    """All pairs, page by page."""
    items: list[Any] = []
    asked = {"limit": 2, **query}
    while True:
        answer = await client.get(path, params=asked)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if (cursor := answer.json()["next_cursor"]) is None:
            return items
        asked["cursor"] = cursor


def pair(found: Any) -> set[str]:
    return {found["customer"]["id"], found["other"]["id"]}


def ids(*customers: Any) -> set[str]:
    return {each["id"] for each in customers}


async def give(database: Database, user: httpx.AsyncClient, *customers: Any) -> None:
    async with database.connection() as connection:
        for each in customers:
            owner = UUID(user.headers["X-Test-User"])
            await connection.execute("UPDATE customer SET owner_id = $1 WHERE id = $2", owner, UUID(each["id"]))
