"""Real files go in whole, and every row of them is accounted for."""

from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.conftest import RunJobs
from tests.imports.sending import counts, errors, shown, started

ONLINE_RETAIL = {
    "customer_ref": "CustomerID",
    "order_ref": "InvoiceNo",
    "occurred_at": "InvoiceDate",
    "amount": "Quantity * UnitPrice",
    "product_ref": "StockCode",
    "product_name": "Description",
    "quantity": "Quantity",
}
CDNOW = {
    "customer_ref": "customer_id",
    "occurred_at": "date",
    "amount": "dollar_value",
    "quantity": "number_of_cds",
}


async def _facts(database: Database) -> dict[str, tuple[Any, ...]]:
    """By kind: purchases, their customers, their sum, their lines, and the lines' sum."""
    query = """
        SELECT p.kind, count(*), count(DISTINCT p.customer_id), sum(p.amount)::text,
               sum(l.lines), sum(l.amount)::text, sum(p.base_amount)::text
        FROM purchase p JOIN (
            SELECT customer_id, purchase_id, count(*)::int AS lines, sum(amount) AS amount
            FROM purchase_line GROUP BY 1, 2
        ) l ON l.customer_id = p.customer_id AND l.purchase_id = p.id
        GROUP BY 1
    """
    async with database.connection() as connection:
        return {row[0]: tuple(row)[1:] for row in await connection.fetch(query)}


async def test_cdnow(admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database) -> None:
    file = (resources.files("app.demo") / "cdnow_sample.csv.gz").read_bytes()
    for changed in (6919, 0):
        import_id = await started(admin, file, name="cdnow_sample.csv.gz", mapping=CDNOW)
        await run_jobs()
        done = await shown(admin, import_id)
        assert (done["status"], counts(done), done["changed"]) == ("completed", (6919, 0, 0), changed)
        facts = await _facts(database)
        assert facts.keys() == {"purchase"}
        assert facts["purchase"][:4] == (6919, 2357, "244091.9400", 6919)


@pytest.mark.shared_data
async def test_online_retail_without_its_cancellations(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database, shared_data: Path
) -> None:
    file = (shared_data / "online_retail" / "online_retail.csv.gz").read_bytes()
    for customers, changed in ((4338, 18532), (0, 0)):
        form = {"mapping": ONLINE_RETAIL, "skip_when": {"InvoiceNo": "C*"}}
        import_id = await started(admin, file, name="online_retail.csv.gz", **form)
        await run_jobs()
        done = await shown(admin, import_id)
        assert (done["status"], done["total"], counts(done)) == ("completed", 541_909, (397_884, 134_737, 9288))
        assert (done["customers_created"], done["changed"]) == (customers, changed)
        total = "8911407.9040"
        assert await _facts(database) == {"purchase": (18532, 4338, total, 397_884, total, total)}
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT field, reason FROM import_error WHERE import_id = $1", import_id)
    assert Counter(map(tuple, rows)) == {
        ("customer_ref", "customer_ref is missing"): 134_697,
        ("amount", "UnitPrice must not be 0"): 40,
    }


@pytest.mark.shared_data
async def test_online_retail_with_its_cancellations_as_refunds(
    admin: httpx.AsyncClient, run_jobs: RunJobs, database: Database, shared_data: Path
) -> None:
    file = (shared_data / "online_retail" / "online_retail.csv.gz").read_bytes()
    import_id = await started(admin, file, name="online_retail.csv.gz", mapping=ONLINE_RETAIL)
    await run_jobs()
    done = await shown(admin, import_id)
    assert (done["status"], counts(done)) == ("completed", (406_789, 135_120, 0))
    facts = await _facts(database)
    assert facts["purchase"][:4] == (18532, 4338, "8911407.9040", 397_884)
    assert facts["refund"] == (3654, 1589, "611342.0900", 8905, "611342.0900", "-611342.0900")
    assert len(await errors(admin, import_id)) == 135_120
