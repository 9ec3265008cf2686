"""Schemes, drafts and publications over HTTP, and what became of them."""

from typing import Any

import httpx

from app.core.db import Database
from tests.classification.population import RunJobs, add, recalculate

SIZE = {
    "kind": "rules",
    "rules": [{"class": "large", "when": {"metric": "monetary", "op": "gte", "value": "50"}}],
    "default": "small",
}
SMALLER = {**SIZE, "rules": [{"class": "large", "when": {"metric": "monetary", "op": "gte", "value": "15"}}]}
ABC = {"kind": "abc", "metric": "monetary", "cut_offs": ["0.50", "0.90"], "classes": ["A", "B", "C"]}


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


READER = {
    "kind": "rules",
    "rules": [{"class": "yes", "when": {"class": "size", "op": "eq", "value": "large"}}],
    "default": "no",
}
