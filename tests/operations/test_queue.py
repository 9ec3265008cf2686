"""Whoever looks after the service sees its jobs, has a dead one carried again, and takes a waiting one away."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.core import jobs
from app.core.db import Database
from app.core.jobs import enqueue
from tests.conftest import MakeUser, RunJobs

PATH = "/v1/jobs"
EXPORT = {"format": "csv"}


async def put(database: Database, name: str = "jobs.forget", **payload: Any) -> str:
    async with database.transaction(correlation_id="c-1") as session:
        return str(await enqueue(session, name, payload))


async def died(database: Database, name: str = "jobs.forget", reason: str = "failed 5 times: OSError") -> str:
    """A job as a worker leaves it that gives it up: carried no more."""
    job_id = await put(database, name)
    async with database.connection() as connection:
        await connection.execute("DELETE FROM pgqueuer WHERE payload = $1", UUID(job_id).bytes)
        await connection.execute(
            "UPDATE job SET status = 'dead', starts = 5, error = $2, started_at = now(), finished_at = now()"
            " WHERE id = $1",
            UUID(job_id),
            reason,
        )
    return job_id


async def test_a_job_is_shown_with_the_ids_that_it_was_given_and_nothing_else(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    about = str(uuid4())
    job_id = await put(database, export_id=about, text="whatever it says", many=[about])
    shown = (await admin.get(f"{PATH}/{job_id}")).json()
    assert shown["subjects"] == {"export_id": about}
    assert "whatever" not in str(shown)
    assert (shown["kind"], shown["status"], shown["attempts"], shown["error"]) == ("jobs.forget", "queued", 0, None)
    assert shown["request_id"] == "c-1"
    assert shown["queued_at"] is not None
    assert shown["started_at"] is None
    await run_jobs()
    done = (await admin.get(f"{PATH}/{job_id}")).json()
    assert (done["status"], done["attempts"]) == ("done", 1)
    assert shown["queued_at"] <= done["started_at"] <= done["finished_at"]


async def test_of_an_error_the_first_line_is_shown(admin: httpx.AsyncClient, database: Database) -> None:
    job_id = await died(database, reason=f"{'x' * 600}\nand more")
    assert (await admin.get(f"{PATH}/{job_id}")).json()["error"] == "x" * 500


async def test_jobs_are_listed_the_latest_first_by_status_and_kind(
    admin: httpx.AsyncClient, database: Database
) -> None:
    made = [await put(database) for _ in range(3)] + [await died(database, "audit.seal"), await died(database)]
    found: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = (await admin.get(PATH, params=params)).json()
        found += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert found == made[::-1]
    for query, expected in [
        ({"status": "dead"}, made[:2:-1]),
        ({"kind": "audit.seal"}, [made[3]]),
        ({"kind": "audit.seal", "status": "queued"}, []),
        ({"status": "queued"}, made[2::-1]),
    ]:
        assert [each["id"] for each in (await admin.get(PATH, params=query)).json()["items"]] == expected, query
    cursor = (await admin.get(PATH, params={"limit": 1})).json()["next_cursor"]
    assert (await admin.get(PATH, params={"cursor": cursor, "status": "dead"})).status_code == 422


async def test_a_dead_job_is_carried_again_and_ends(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    job_id = await died(database)
    again = await admin.post(f"{PATH}/{job_id}/retry")
    assert again.status_code == 200, again.text
    assert (again.json()["status"], again.json()["attempts"], again.json()["error"]) == ("queued", 0, None)
    assert (await admin.post(f"{PATH}/{job_id}/retry")).status_code == 409
    await run_jobs()
    assert (await admin.get(f"{PATH}/{job_id}")).json()["status"] == "done"
    audited = (await admin.get("/v1/audit", params={"resource_id": job_id})).json()["items"]
    assert [(each["action"], each["before"]) for each in audited] == [
        ("job.retried", {"error": "failed 5 times: OSError"})
    ]


@pytest.mark.parametrize(
    ("kind", "says"), [("exports.run", "ask for that anew"), ("nobody.knows", "Nobody carries out")]
)
async def test_a_job_that_would_come_to_nothing_is_not_retried(
    admin: httpx.AsyncClient, database: Database, kind: str, says: str
) -> None:
    job_id = await died(database, kind)
    refused = await admin.post(f"{PATH}/{job_id}/retry")
    assert refused.status_code == 409
    assert says in refused.json()["detail"]
    assert (await admin.get(f"{PATH}/{job_id}")).json()["status"] == "dead"


async def test_a_job_that_waits_is_cancelled_and_what_it_was_to_do_fails(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    export = (await admin.post("/v1/exports", json=EXPORT)).json()
    listed = (await admin.get(PATH, params={"kind": "exports.run"})).json()["items"]
    assert [each["subjects"] for each in listed] == [{"export_id": export["id"]}]
    path = f"{PATH}/{listed[0]['id']}"
    cancelled = await admin.post(f"{path}/cancel")
    assert cancelled.status_code == 200, cancelled.text
    assert cancelled.json()["status"] == "cancelled"
    assert cancelled.json()["finished_at"] is not None
    followed = (await admin.get(f"/v1/exports/{export['id']}")).json()
    assert (followed["status"], followed["error"]) == ("failed", "its job was cancelled")
    await run_jobs()
    assert (await admin.get(path)).json()["attempts"] == 0
    assert (await admin.post(f"{path}/cancel")).status_code == 409
    async with database.connection() as connection:
        await connection.execute("UPDATE job SET created_at = now() - interval '31 days'")
    await put(database)
    await run_jobs()
    assert (await admin.get(path)).status_code == 404, "what was cancelled is forgotten like what was done"


@pytest.mark.parametrize("status", ["running", "done", "dead"])
async def test_what_does_not_wait_is_not_cancelled(admin: httpx.AsyncClient, database: Database, status: str) -> None:
    job_id = await died(database)
    async with database.connection() as connection:
        await connection.execute("UPDATE job SET status = $1", status)
    assert (await admin.post(f"{PATH}/{job_id}/cancel")).status_code == 409
    assert (await admin.get(f"{PATH}/{job_id}")).json()["status"] == status
    assert status in jobs.FINISHED or status == "running"


@pytest.mark.parametrize("scope", ["own", "unit", "subtree"])
async def test_jobs_are_only_for_who_looks_after_the_whole_installation(
    database: Database, make_user: MakeUser, scope: str
) -> None:
    job_id = await died(database)
    narrow = await make_user({"jobs:read": scope, "jobs:write": scope})
    for method, below in [
        ("GET", ""),
        ("GET", f"/{job_id}"),
        ("POST", f"/{job_id}/retry"),
        ("POST", f"/{job_id}/cancel"),
    ]:
        assert (await narrow.request(method, PATH + below)).status_code == 403, below
    reader = await make_user({"jobs:read": "all"})
    assert (await reader.get(f"{PATH}/{job_id}")).status_code == 200
    assert (await reader.get(f"{PATH}/{uuid4()}")).status_code == 404
