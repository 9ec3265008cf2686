"""What was in force at an instant, by the clock as it is: versions that were returned to among it."""

import httpx

from app.core import clock
from app.core.db import Database
from tests.classification import schemes
from tests.classification.moving import KEY
from tests.classification.schemes import RunJobs, spending
from tests.classification.versions import draft, publish


async def test_a_past_instant_is_explained_by_the_version_of_then_whatever_was_returned_to_since(
    admin: httpx.AsyncClient, database: Database, run_jobs: RunJobs
) -> None:
    customer = (await admin.post("/v1/customers", json={"name": "one"})).json()["id"]
    await schemes.publish(database, KEY, spending())
    instants = [(1, clock.now())]
    for n in (2, 1, 2):
        if len(instants) == 1:
            await draft(admin, KEY, spending(minimum_stay_days=1))
        await publish(admin, run_jobs, KEY, n)
        instants.append((n, clock.now()))
    found = []
    for _, at in instants[1:]:
        path = f"/v1/customers/{customer}/classes/{KEY}/explanation"
        told = (await admin.get(path, params={"as_of": at.isoformat()})).json()
        found.append((told["version"], told["in_force"]))
    assert found == [(n, True) for n, _ in instants[1:]]
