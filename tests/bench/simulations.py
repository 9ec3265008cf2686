"""Simulations of drafts on the whole base, against a full recalculation of everything."""

import json
from typing import Any

from app import features
from app.classification import simulations
from app.core.workers import Worker
from app.identity.actor import SYSTEM
from tests.bench.bulk import worker_database
from tests.bench.report import Result

AT_MOST = 0.5
_DRAFT = """
INSERT INTO scheme_version (scheme, version, document, status)
SELECT scheme, 1000, document || $2::jsonb, 'draft' FROM scheme_version WHERE scheme = $1 AND version = 1
"""
_ROW = [{"class": name, "cells": [{"r": [r, r], "f": [1, 3]}]} for r, name in ((3, "champions"), (2, "b"), (1, "c"))]
_DRAFTS: dict[str, dict[str, Any]] = {
    "abc": {"cut_offs": ["0.70", "0.90"]},
    "rfm": {"bins": 3, "segments": _ROW, "titles": {}},
}


async def drafts(url: str, connection: Any, full: Result) -> list[Result]:
    """Each with breakpoints of its own, held against the full recalculation of the same run."""
    features.install()
    await connection.execute("VACUUM ANALYZE customer_metrics, customer_class")
    results = []
    for key, changes in _DRAFTS.items():
        await connection.execute(_DRAFT, key, json.dumps(changes))
        seconds, moved = await _simulate(url, key)
        work = f"simulation of a draft of {key} on the whole base"
        note = f"{moved:.1%} of customers move"
        results.append(Result(work, "s", seconds, full.ours, "full recalculation", "≤", AT_MOST, note))
    return results


async def _simulate(url: str, key: str) -> tuple[float, float]:
    """Seconds from its start to its end, and the share of customers who move."""
    async with worker_database(url) as database:
        async with database.transaction() as session:
            run_id = await simulations.request(session, SYSTEM, key, 1000, against=None, as_of=None, refit=True)
        await Worker(database, features.JOBS, [], concurrency=1).drain()
        async with database.connection() as opened:
            row = await opened.fetchrow(
                "SELECT status, error, outcome, extract(epoch FROM finished_at - started_at)::float8 AS seconds"
                " FROM simulation WHERE id = $1",
                run_id,
            )
    if row["status"] != "completed":
        raise RuntimeError(f"the simulation {row['status']}: {row['error']}")
    return row["seconds"], row["outcome"]["moved"]["share"]
