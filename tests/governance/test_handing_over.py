"""However much is kept of a customer, it is handed over in little memory, and of one instant."""

import asyncio
import io
import json
import tracemalloc
import zipfile
from uuid import UUID

import httpx

from app.core.db import Database
from app.governance import handing_over
from app.identity.actor import SYSTEM
from tests.customers.customers import create

MANY = 100_000
BOUGHT = """
INSERT INTO purchase (customer_id, order_ref, occurred_at, occurred_on, kind, amount, currency, base_amount)
SELECT $1, 'SO-' || n, timestamptz '2020-01-01' + n * interval '1 minute', '2020-01-01', 'purchase', 10, 'GBP', 10
FROM generate_series(1, $2) n
"""
LINES = """
INSERT INTO purchase_line
    (customer_id, purchase_id, content_hash, occurrence, position, amount, quantity, product_name)
SELECT customer_id, id, 1, 1, 1, 10, 1, 'tea' FROM purchase WHERE customer_id = $1
"""


async def bought(database: Database, customer: str, many: int) -> None:
    async with database.connection() as connection:
        await connection.execute(BOUGHT, UUID(customer), many)
        await connection.execute(LINES, UUID(customer))


async def test_a_hundred_thousand_purchases_are_handed_over_in_little_memory(
    admin: httpx.AsyncClient, database: Database
) -> None:
    customer = (await create(admin))["id"]
    await bought(database, customer, MANY)
    written = io.BytesIO()
    tracemalloc.start()
    async for piece in await handing_over.archive(database.reading(), SYSTEM, UUID(customer), None):
        if not written.tell():
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        written.write(piece)
    archive = zipfile.ZipFile(written)
    size = sum(each.file_size for each in archive.infolist())
    assert size > 50_000_000
    assert peak < 8_000_000, f"{peak:,} bytes of memory for {size:,}"
    manifest = json.loads(archive.read("manifest.json"))
    rows = {each["name"]: each["rows"] for each in manifest["files"]}
    assert (rows["purchase.ndjson"], rows["purchase_line.ndjson"]) == (MANY, MANY)
    lines = archive.read("purchase.ndjson").splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == MANY


async def test_what_is_handed_over_is_of_one_instant(admin: httpx.AsyncClient, database: Database) -> None:
    """What is bought while the archive is made is in it with all its lines, or not at all."""
    customer = (await create(admin))["id"]
    await bought(database, customer, 5_000)
    path, body = f"/v1/customers/{customer}", {"occurred_at": "2024-01-02T03:04:05Z", "amount": "1"}

    async def buys() -> None:
        for _ in range(30):
            assert (await admin.post(f"{path}/purchases", json=body)).status_code == 201

    answer, _ = await asyncio.gather(admin.get(f"{path}/data"), buys())
    assert answer.status_code == 200, answer.text
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    purchases = {json.loads(line)["id"] for line in archive.read("purchase.ndjson").splitlines()}
    lines = {json.loads(line)["purchase_id"] for line in archive.read("purchase_line.ndjson").splitlines()}
    assert lines <= purchases
    assert len(purchases) >= 5_000


async def test_a_connection_is_given_back_before_the_archive_is_sent(
    admin: httpx.AsyncClient, database: Database
) -> None:
    customer = (await create(admin))["id"]
    sending = [await handing_over.archive(database.reading(), SYSTEM, UUID(customer), None) for _ in range(40)]
    assert (await admin.get(f"/v1/customers/{customer}")).status_code == 200
    for each in sending:
        assert (await anext(each)).startswith(b"PK")
        await each.aclose()  # type: ignore[attr-defined]  # what is broken off leaves no file
