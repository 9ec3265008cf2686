"""The nightly sweep: customers who are due are reviewed, against a full recalculation of everybody."""

import asyncio
import time
from typing import Any

from app import features
from app.classification import sweep
from app.core import clock
from app.core.jobs import JobContext
from tests.bench import columns
from tests.bench.bulk import worker_database
from tests.bench.report import Result

AT_MOST = 0.05
DUE = 100
"""One customer in so many."""
_MAKE_DUE = """
UPDATE customer_metrics SET next_review_at = $1 WHERE abs(hashtextextended(customer_id::text, 5)) % $2 = 0
"""


async def of_who_is_due(url: str, connection: Any, full: Result) -> list[Result]:
    """One customer in a hundred is due; nobody else is looked at. The quickest of three nights.

    Held against the full recalculation of a day later: what the night would cost without it.
    """
    features.install()
    await connection.execute("VACUUM ANALYZE customer_metrics, customer_class")
    now = clock.business_now()
    await _sweep(url)
    nights = []
    for _ in range(3):
        status = await connection.execute(_MAKE_DUE, now, DUE)
        nights.append(await _sweep(url))
    note = f"{int(status.split()[-1]):,} customers due"
    work = f"sweep of the customers who are due, one in {DUE}"
    results = [Result(work, "s", min(nights), full.ours, "full recalculation", "≤", AT_MOST, note)]
    if (anew := await columns.everything_anew(connection, now)) is not None:
        note = "DuckDB has everybody measured from Parquet, and ABC and RFM"
        results.append(Result("the same", "s", min(nights), anew, "DuckDB", "≤", 1, note))
    return results


async def _sweep(url: str) -> float:
    async with worker_database(url) as database:
        started = time.perf_counter()
        await sweep.run_sweep(JobContext(database, {}, None, asyncio.Event()))
        return time.perf_counter() - started
