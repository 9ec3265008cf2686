"""What a columnar engine needs to do everything anew: DuckDB, from a Parquet file of the purchases.

It is in no lock: `.venv/bin/pip install duckdb` has it measured, and without it there is no such row.
"""

import importlib
import tempfile
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.bench.report import say

_FACTS = "SELECT customer_id, occurred_at, occurred_on, base_amount FROM purchase"
_TYPES = "{'customer_id': 'UUID', 'occurred_at': 'TIMESTAMPTZ', 'occurred_on': 'DATE', 'base_amount': 'DECIMAL(18,4)'}"
_MEASURED = """
CREATE OR REPLACE TABLE measured AS
SELECT customer_id,
       count(*) FILTER (base_amount >= 0) AS frequency,
       sum(base_amount) AS monetary,
       coalesce(sum(base_amount) FILTER (base_amount < 0), 0) AS refunded,
       count(*) FILTER (base_amount >= 0 AND occurred_at > $as_of - INTERVAL 365 DAY) AS frequency_365d,
       sum(base_amount) FILTER (occurred_at > $as_of - INTERVAL 365 DAY) AS monetary_365d,
       min(occurred_at) FILTER (base_amount >= 0) AS first_purchase_at,
       max(occurred_at) FILTER (base_amount >= 0) AS last_purchase_at,
       count(DISTINCT occurred_on) FILTER (base_amount >= 0) AS purchase_days
FROM read_parquet($file) WHERE occurred_at <= $as_of GROUP BY customer_id
"""
_CLASSIFIED = """
CREATE OR REPLACE TABLE classified AS
SELECT customer_id,
       CASE WHEN share < 0.80 THEN 'A' WHEN share < 0.95 THEN 'B' ELSE 'C' END AS abc,
       100 * r + 10 * f + m AS rfm
FROM (
    SELECT customer_id,
           (sum(monetary) OVER (ORDER BY monetary DESC, customer_id) - monetary) / sum(monetary) OVER () AS share,
           ntile(5) OVER (ORDER BY last_purchase_at) AS r,
           ntile(5) OVER (ORDER BY frequency) AS f,
           ntile(5) OVER (ORDER BY monetary) AS m
    FROM measured
)
"""


async def everything_anew(connection: Any, as_of: datetime, *, runs: int = 3) -> float | None:
    """Seconds of the best run of measuring everybody and deciding ABC and RFM, two of nine; None without DuckDB."""
    duckdb = None
    with suppress(ImportError):
        duckdb = importlib.import_module("duckdb")
    if duckdb is None:
        say("  no DuckDB here: not compared")
        return None
    with tempfile.TemporaryDirectory(prefix="strata-bench-") as folder:
        rows, file = Path(folder) / "purchases.csv", Path(folder) / "purchases.parquet"
        await connection.copy_from_query(_FACTS, output=str(rows), format="csv")
        engine = duckdb.connect(str(Path(folder) / "duck.db"))
        engine.execute(
            f"COPY (FROM read_csv('{rows}', header = false, columns = {_TYPES})) TO '{file}' (FORMAT parquet)"
        )
        rows.unlink()
        times = []
        for _ in range(runs):
            started = time.perf_counter()
            engine.execute(_MEASURED, {"as_of": as_of, "file": str(file)})
            engine.execute(_CLASSIFIED)
            times.append(time.perf_counter() - started)
        engine.close()
    return min(times)
