"""The definitions on real data give the published numbers, to the last digit."""

import gzip
import json
from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from importlib import resources
from pathlib import Path

import httpx
import pytest

RunJobs = Callable[[], Awaitable[None]]
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
    "quantity": "number_of_cds",
    "amount": "dollar_value",
}


async def bring_in(
    admin: httpx.AsyncClient, run_jobs: RunJobs, file: bytes, name: str, mapping: dict[str, str], **form: str
) -> dict[str, object]:
    """Import a file, wait for it and what follows, and give back what became of it."""
    answer = await admin.post(
        "/v1/imports",
        files={"file": (name, file)},
        data={"kind": "purchases", "mapping": json.dumps(mapping), "create_customers": "true", **form},
    )
    assert answer.status_code == 202, answer.text
    await run_jobs()
    ended: dict[str, object] = (await admin.get(f"/v1/imports/{answer.json()['id']}")).json()
    assert ended["status"] == "completed", ended
    return ended


async def counts(admin: httpx.AsyncClient, scheme: str) -> dict[str, int]:
    items = (await admin.get(f"/v1/schemes/{scheme}/classes")).json()["items"]
    return {item["class"]: item["customers"] for item in items}


async def values(admin: httpx.AsyncClient, scheme: str) -> dict[str, list[Decimal]]:
    found = (await admin.get(f"/v1/schemes/{scheme}/breakpoints")).json()["values"]
    return {name: [Decimal(edge) for edge in edges] for name, edges in found.items()}


@pytest.mark.shared_data
async def test_online_retail_gives_the_published_classes(
    admin: httpx.AsyncClient,
    run_jobs: RunJobs,
    today: Callable[[date], None],
    setting: Callable[..., None],
    shared_data: Path,
) -> None:
    setting(currency="GBP")
    today(date(2011, 12, 10))
    file = (shared_data / "online_retail" / "online_retail.csv.gz").read_bytes()
    ended = await bring_in(
        admin, run_jobs, file, "online_retail.csv.gz", ONLINE_RETAIL, skip_when=json.dumps({"InvoiceNo": "C*"})
    )
    assert ended["accepted"] == 397_884
    assert ended["accepted"] + ended["rejected"] + ended["skipped"] == ended["processed"] == 541_909  # type: ignore[operator]

    asked = {"schemes": ["abc", "rfm"], "as_of": "2011-12-10", "refit": True}
    assert (await admin.post("/v1/recalculations", json=asked)).status_code == 202
    await run_jobs()

    abc = (await admin.get("/v1/schemes/abc/classes")).json()["items"]
    assert sum(Decimal(item["monetary"]) for item in abc) == Decimal("8911407.904")
    assert await counts(admin, "abc") == {"A": 1_133, "B": 1_469, "C": 1_736}
    edges = await values(admin, "rfm")
    assert edges["recency_days"] == [Decimal("13.8"), 33, 72, 180]
    assert edges["frequency"] == [1, 2, 3, 6]
    rounded = [edge.quantize(Decimal("0.001")) for edge in edges["monetary"]]
    assert rounded == [Decimal(e) for e in ("250.194", "490.096", "942.276", "2058.426")]
    segments = await counts(admin, "rfm")
    published = {
        "hibernating": 1_335,
        "loyal_customers": 688,
        "champions": 604,
        "about_to_sleep": 478,
        "at_risk": 357,
        "cant_lose": 35,
        "new_customers": 67,
    }
    assert {name: segments[name] for name in published} == published
    assert sum(segments.values()) == 4_338
    answer = await admin.get("/v1/purchases?limit=1")
    assert answer.status_code == 200


async def test_cdnow_goes_in_whole_and_every_customer_is_classified(
    admin: httpx.AsyncClient, run_jobs: RunJobs, today: Callable[[date], None], setting: Callable[..., None]
) -> None:
    setting(currency="USD")
    today(date(1998, 7, 1))
    file = (resources.files("app.demo") / "cdnow_sample.csv.gz").read_bytes()
    ended = await bring_in(admin, run_jobs, file, "cdnow_sample.csv.gz", CDNOW)
    assert (ended["accepted"], ended["rejected"]) == (6_919, 0)
    assert gzip.decompress(file).count(b"\n") == 6_920

    for scheme in ("abc", "rfm", "lifecycle"):
        assert sum((await counts(admin, scheme)).values()) == 2_357

    again = await bring_in(admin, run_jobs, file, "cdnow_sample.csv.gz", CDNOW)
    assert again["accepted"] == 6_919
    assert (await admin.get("/v1/customers?include=total&limit=1")).json()["total"] == 2_357
