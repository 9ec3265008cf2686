"""Sending a file and waiting for what becomes of it."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from tests.conftest import RunJobs

HEADER = "customer_ref,order_ref,occurred_at,amount"


def csv_of(rows: Iterable[Iterable[object]], header: str = HEADER) -> bytes:
    """A CSV file with these rows."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return f"{header}\n{text.getvalue()}".encode()


async def send(
    client: httpx.AsyncClient, content: bytes, *, name: str = "purchases.csv", **form: Any
) -> httpx.Response:
    """POST the file; JSON fields may be given as values."""
    fields = {"kind": "purchases", "create_customers": "true"}
    for key, value in form.items():
        fields[key] = json.dumps(value) if isinstance(value, Mapping | bool) else str(value)
    return await client.post("/v1/imports", files={"file": (name, content)}, data=fields)


async def started(client: httpx.AsyncClient, content: bytes, **form: Any) -> str:
    """The id of the import of an accepted file."""
    answer = await send(client, content, **form)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def shown(client: httpx.AsyncClient, import_id: str) -> dict[str, Any]:
    """The import as it is now."""
    answer = await client.get(f"/v1/imports/{import_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def errors(client: httpx.AsyncClient, import_id: str) -> list[tuple[int, str | None, str]]:
    """Every bad row: line, field, reason."""
    found = []
    cursor = None
    while True:
        params = {"limit": "200"} | ({"cursor": cursor} if cursor else {})
        answer = await client.get(f"/v1/imports/{import_id}/errors", params=params)
        assert answer.status_code == 200, answer.text
        found += [(item["line"], item["field"], item["reason"]) for item in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


async def completed(client: httpx.AsyncClient, run_jobs: RunJobs, content: bytes, **form: Any) -> dict[str, Any]:
    """The import of a file when it is done, with its bad rows."""
    import_id = await started(client, content, **form)
    await run_jobs()
    done = await shown(client, import_id)
    assert done["status"] == "completed", done
    return {**done, "errors": await errors(client, import_id)}


def counts(document: dict[str, Any]) -> tuple[int, int, int]:
    """Accepted, rejected, skipped."""
    return document["accepted"], document["rejected"], document["skipped"]
