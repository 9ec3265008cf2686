"""What several tests of classification begin with."""

from datetime import date

import httpx
import pytest

from app.core.db import Database
from tests.classification.moving import Today, Until
from tests.classification.population import recalculate
from tests.classification.predicting import cdnow, put
from tests.classification.schemes import on_day
from tests.conftest import RunJobs


@pytest.fixture
def until(database: Database, run_jobs: RunJobs, today: Today) -> Until:
    """Lets time pass until a day; a sweep comes on that day."""

    async def move(day: date) -> None:
        await on_day(database, run_jobs, today, day)

    return move


@pytest.fixture
async def shop(database: Database, admin: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    """A few hundred customers, measured and classified."""
    await put(database, cdnow())
    await recalculate(admin, run_jobs, refit=True)
