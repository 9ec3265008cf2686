"""What several tests of customers begin with."""

import pytest

from app.core.db import Database
from app.core.jobs import enqueue
from app.customers.duplicates import finding
from tests.conftest import RunJobs
from tests.customers.pairs import Find


@pytest.fixture
def find(database: Database, run_jobs: RunJobs) -> Find:
    """The job, as its schedule enqueues it."""

    async def run(name: str = finding.JOB) -> None:
        async with database.transaction() as session:
            await enqueue(session, name, {})
        await run_jobs()

    return run
