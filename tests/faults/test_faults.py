"""What the harness of faults says is so: it sees what is lost and what is doubled, and its proxy cuts where it says.

And every route that writes, with its connection cut at COMMIT: never a success, and the effect is there once.
"""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
import pytest_asyncio

from app.core.db import Database
from app.core.settings import get_settings
from tests.api_operations import OPERATIONS
from tests.core.requests import KEEP_ANSWERS, WRITES, request_of, with_headers
from tests.faults.proxy import Cut, Proxy
from tests.faults.traffic import Acknowledged
from tests.service import Service, busy_customers, service

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[Service]:
    with busy_customers():
        async with service() as made:
            yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(served: Service) -> AsyncIterator[Proxy]:
    """The service's pool leads through it."""
    found = re.search(r"host=([^&]+)", served.url)
    assert found is not None
    with tempfile.TemporaryDirectory(prefix="strata-proxy-") as folder:
        made = Proxy(Path(folder), Path(unquote(found[1])) / ".s.PGSQL.5432")
        await made.start()
        direct = served.app.state.database
        url = served.url.replace(found[1], quote(folder))
        served.app.state.database = through = await Database.connect(url, get_settings())
        yield made
        served.app.state.database = direct
        await through.close()
        await made.stop()


COUNTED = {"change_my_profile", "confirm_my_profile", "leave_feedback", "record_my_consent"}
"""A first COMMIT keeps that somebody tried, whatever becomes of it."""


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("name", WRITES)
async def test_a_commit_that_is_cut_is_never_a_success_and_its_effect_is_there_once(
    served: Service, proxy: Proxy, name: str, where: Cut
) -> None:
    operation = OPERATIONS[name]
    path, options = await request_of(served, operation)
    if name in KEEP_ANSWERS:
        options = with_headers(options, Idempotency_Key=f"cut-{name}-{where}")
    before = await served.digest(but={"login_attempt"})
    cutting = asyncio.create_task(proxy.cut(where, 1, spare=int(name in COUNTED)))
    await asyncio.sleep(0)
    answer = await served.send(operation.method, path, **options)
    await cutting
    assert answer.status == 503, (answer.status, answer.body)
    assert int(answer.headers["retry-after"]) >= 1
    after = await served.digest(but={"login_attempt"})
    if where == "before":
        assert after == before, "half a write"
        again = await served.send(operation.method, path, **options)
        assert again.status < 300, again.body
    elif name in KEEP_ANSWERS:
        assert after != before
        again = await served.send(operation.method, path, **options)
        # What is shown only once was shown to nobody: the caller is told so.
        assert again.headers.get("idempotent-replayed") == "true" or again.status in (401, 409), again.body
        assert await served.digest(but={"login_attempt"}) == after


async def test_what_was_acknowledged_and_is_not_there_is_lost_and_what_is_there_twice_is_doubled(
    served: Service,
) -> None:
    for name in ("once", "twice", "twice"):
        await served.fetch("INSERT INTO customer (kind, name) VALUES ('person', $1)", name)
    told = Acknowledged()
    told.marks["customers"] = ["once", "twice", "never"]
    async with served.database.connection() as connection:
        assert await told.lost_and_doubled(connection) == (["customers never"], ["customers twice"])
