"""The floors: what the same work costs with nothing of ours around it.

`bare` is a FastAPI application with Pydantic response models on a raw asyncpg pool of the size of ours.
It answers a customer in the same shape as our API: the row's columns, identities and classes, the latter two by
the same correlated subselects, all in one hand-written statement. It knows no token, no permission, no scope in
its WHERE, no mask, no ETag, no signed cursor, no request id, no metrics, no limits and no problem documents. Its
list takes the same filters and sorts alike. Its timeline is one hand-written union of the same tables. Its insert
is one purchase row, committed by itself, into the same table with its indexes and its foreign key: no line, no
metrics, no classes, no audit, no outbox, no idempotency key, no check that the customer may be seen.

`GROUP BY` is one statement over the whole table that yields the measures a recalculation stores, as psql would run
it with the server's own settings: parallel if the planner likes. Its rows are summed up by the server, so that it
has to compute every one and to send none. It compares nothing with what stands, decides no class and writes nothing.
`THREE_SUMS` is the least a GROUP BY can be: how many, how much, how late; the covering index makes it parallel.

`writing` copies the classes and the history that a first recalculation has written, ready as they are, into tables
like theirs: INSERT … SELECT in chunks of as many customers, as many at once as ours. It measures and decides nothing.

`INSERT` is one INSERT … SELECT FROM jsonb_to_recordset for as many interactions as a batch has, into the same table
with its indexes, each committed by itself, on one connection. It checks nothing, looks no customer up, finds no row
that was there before, announces nothing and leaves no customer to be measured again.

`COPY` is binary COPY into an unlogged table with the right types, and one INSERT … SELECT each into purchase and
purchase_line as they stand, with what they hold and with all their indexes, in one transaction, without checks of
foreign keys. It validates nothing, looks no reference up and finds no row that was there before.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

URL = "STRATA_DATABASE_URL"
POOL = 20
GROUP_BY = """
SELECT count(*), sum(frequency), sum(monetary), sum(refunded), sum(frequency_365d), sum(monetary_365d),
       max(first_purchase_at), max(last_purchase_at), max(first_purchase_on), max(last_purchase_on), sum(purchase_days)
FROM (
    SELECT customer_id,
           count(*) FILTER (WHERE base_amount >= 0) AS frequency,
           sum(base_amount) AS monetary,
           sum(base_amount) FILTER (WHERE base_amount < 0) AS refunded,
           count(*) FILTER (WHERE base_amount >= 0 AND occurred_at > $1) AS frequency_365d,
           sum(base_amount) FILTER (WHERE occurred_at > $1) AS monetary_365d,
           min(occurred_at) FILTER (WHERE base_amount >= 0) AS first_purchase_at,
           max(occurred_at) FILTER (WHERE base_amount >= 0) AS last_purchase_at,
           min(occurred_on) FILTER (WHERE base_amount >= 0) AS first_purchase_on,
           max(occurred_on) FILTER (WHERE base_amount >= 0) AS last_purchase_on,
           count(DISTINCT occurred_on) FILTER (WHERE base_amount >= 0) AS purchase_days
    FROM purchase WHERE occurred_at <= $1::timestamptz + interval '365 days' GROUP BY customer_id
) customers
"""
THREE_SUMS = """
SELECT count(*), sum(n), sum(total), max(latest)
FROM (
    SELECT customer_id, count(*) AS n, sum(base_amount) AS total, max(occurred_at) AS latest
    FROM purchase GROUP BY customer_id
) customers
"""

CUSTOMER = """
SELECT c.id, c.kind, c.name, c.title, c.company_id, c.region, c.source, c.language, c.phone, c.email,
       (SELECT coalesce(json_agg(json_build_object('kind', i.kind, 'value', i.value)), '[]')
        FROM customer_identity i WHERE i.customer_id = c.id) AS identities,
       c.tags, c.owner_id, c.unit_id, c.custom,
       (SELECT coalesce(json_object_agg(k.scheme, k.class), '{}')
        FROM customer_class k WHERE k.customer_id = c.id) AS classes,
       c.version, c.created_at, c.updated_at
FROM customer c
"""
_ONE = CUSTOMER + "WHERE c.id = $1"
_PAGE = (
    CUSTOMER
    + """
WHERE (c.region = $1 OR c.region ~>=~ ($1 || '-') AND c.region ~<~ ($1 || '-~'))
  AND EXISTS (SELECT FROM customer_class k WHERE k.customer_id = c.id AND k.scheme = $2 AND k.class = $3)
ORDER BY c.id DESC LIMIT $4
"""
)
_TIMELINE = """
(SELECT 'purchase' AS kind, id::text, occurred_at AS at,
        json_build_object('kind', kind, 'amount', amount::text, 'currency', currency, 'order_ref', order_ref) AS details
 FROM purchase WHERE customer_id = $1 ORDER BY occurred_at DESC LIMIT $2)
UNION ALL
(SELECT 'interaction', id::text, occurred_at,
        json_build_object('kind', kind, 'direction', direction, 'outcome', outcome, 'subject', subject,
                          'matter', matter)
 FROM interaction WHERE customer_id = $1 ORDER BY occurred_at DESC LIMIT $2)
UNION ALL
(SELECT 'class_change', id::text, at,
        json_build_object('scheme', scheme, 'from', from_class, 'to', to_class, 'cause', cause)
 FROM class_change WHERE customer_id = $1 ORDER BY at DESC LIMIT $2)
UNION ALL
(SELECT 'feedback', id::text, occurred_at,
        json_build_object('kind', kind, 'measure', measure, 'score', score::text, 'channel', channel, 'topic', topic)
 FROM feedback WHERE customer_id = $1 ORDER BY occurred_at DESC LIMIT $2)
ORDER BY at DESC LIMIT $2
"""
_INSERT = """
INSERT INTO purchase (customer_id, order_ref, kind, occurred_at, occurred_on, amount, currency, base_amount)
VALUES ($1, $2, $3, $4, ($4::timestamptz AT TIME ZONE 'UTC')::date, $5, $6, $5)
RETURNING id, customer_id, order_ref, kind, occurred_at, amount, currency, base_amount
"""


class Identity(BaseModel):
    kind: str
    value: str


class Customer(BaseModel):
    id: UUID
    kind: str
    name: str
    title: str | None
    company_id: UUID | None
    region: str | None
    source: str | None
    language: str | None
    phone: str | None
    email: str | None
    identities: list[Identity]
    tags: list[str]
    owner_id: UUID | None
    unit_id: UUID | None
    custom: dict[str, str]
    classes: dict[str, str]
    version: int
    created_at: datetime
    updated_at: datetime


class CustomerPage(BaseModel):
    items: list[Customer]


class Entry(BaseModel):
    kind: str
    id: str
    at: datetime
    details: dict[str, str | None]


class Timeline(BaseModel):
    items: list[Entry]


class PurchaseIn(BaseModel):
    order_ref: str | None = None
    kind: str = "purchase"
    occurred_at: datetime
    amount: Decimal
    currency: str


class Purchase(BaseModel):
    id: UUID
    customer_id: UUID
    order_ref: str | None
    kind: str
    occurred_at: datetime
    amount: Decimal
    currency: str
    base_amount: Decimal


def bare() -> FastAPI:
    """The application on the database of the environment."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(os.environ[URL], min_size=2, max_size=POOL, init=_read_json) as pool:
            app.state.pool = pool
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/ready")
    async def ready() -> str:
        return "ready"

    @app.get("/customers/{customer_id}", response_model=Customer)
    async def get_customer(request: Request, customer_id: UUID) -> Any:
        row = await request.app.state.pool.fetchrow(_ONE, customer_id)
        if row is None:
            raise HTTPException(404)
        return dict(row)

    @app.get("/customers", response_model=CustomerPage)
    async def list_customers(request: Request, region: str, scheme: str, name: str, limit: int = 50) -> Any:
        rows = await request.app.state.pool.fetch(_PAGE, region, scheme, name, limit)
        return {"items": [dict(row) for row in rows]}

    @app.get("/customers/{customer_id}/timeline", response_model=Timeline)
    async def read_timeline(request: Request, customer_id: UUID, limit: int = 50) -> Any:
        rows = await request.app.state.pool.fetch(_TIMELINE, customer_id, limit)
        return {"items": [dict(row) for row in rows]}

    @app.post("/customers/{customer_id}/purchases", status_code=201, response_model=Purchase)
    async def insert_purchase(request: Request, customer_id: UUID, body: PurchaseIn) -> Any:
        values = (customer_id, body.order_ref, body.kind, body.occurred_at, body.amount, body.currency)
        return dict(await request.app.state.pool.fetchrow(_INSERT, *values))

    return app


async def _read_json(connection: Any) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def group_by(connection: Any, as_of: datetime) -> float:
    """Seconds of the best run of GROUP BY over every purchase, all measures."""
    return await _best(connection, GROUP_BY, as_of - timedelta(days=365))


async def three_sums(connection: Any) -> float:
    """Seconds of the best run of GROUP BY over every purchase, three measures."""
    return await _best(connection, THREE_SUMS)


async def _best(connection: Any, statement: str, *arguments: Any, runs: int = 3) -> float:
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        await connection.fetch(statement, *arguments)
        times.append(time.perf_counter() - started)
    return min(times)


_LIKE = """
CREATE TABLE bench_class (LIKE customer_class INCLUDING ALL);
CREATE TABLE bench_change (LIKE class_change INCLUDING ALL)
"""
_READY = (
    "INSERT INTO bench_class SELECT * FROM customer_class WHERE customer_id > $1 AND customer_id <= $2"
    " ORDER BY customer_id, scheme",
    "INSERT INTO bench_change OVERRIDING SYSTEM VALUE SELECT * FROM class_change"
    " WHERE customer_id > $1 AND customer_id <= $2",
)


async def writing(url: str, connection: Any, chunk: int, lanes: int) -> float:
    """Seconds to write every class and change anew, which stand, in so many lanes."""
    numbered = "SELECT id, row_number() OVER (ORDER BY id) AS n, count(*) OVER () AS of FROM customer"
    ends = await connection.fetch(f"SELECT id FROM ({numbered}) c WHERE n % $1 = 0 OR n = of ORDER BY id", chunk)
    ids = [UUID(int=0), *(row["id"] for row in ends)]
    ranges = iter(list(pairwise(ids)))
    await connection.execute(_LIKE)

    async def lane() -> None:
        own = await asyncpg.connect(url)
        for after, up_to in ranges:
            async with own.transaction():
                for statement in _READY:
                    await own.execute(statement, after, up_to)
        await own.close()

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(lanes):
            group.create_task(lane())
    seconds = time.perf_counter() - started
    await connection.execute("DROP TABLE bench_class, bench_change")
    return seconds


_COPY_TABLE = """
CREATE UNLOGGED TABLE bench_copy (
    id uuid NOT NULL DEFAULT uuidv7(), customer_id uuid NOT NULL, customer_ref text NOT NULL, order_ref text NOT NULL,
    occurred_at timestamptz NOT NULL, amount numeric NOT NULL, product_ref text, product_name text, category text,
    quantity numeric NOT NULL
)
"""
_COPY_COLUMNS = (
    "customer_id",
    "customer_ref",
    "order_ref",
    "occurred_at",
    "amount",
    "product_ref",
    "product_name",
    "category",
    "quantity",
)
_COPY_PURCHASES = """
INSERT INTO purchase (customer_id, id, order_ref, kind, occurred_at, occurred_on, amount, currency, base_amount)
SELECT customer_id, id, order_ref, 'purchase', occurred_at, (occurred_at AT TIME ZONE 'UTC')::date, amount, 'CNY',
       amount
FROM bench_copy
"""
_COPY_LINES = """
INSERT INTO purchase_line (customer_id, purchase_id, content_hash, occurrence, position, product_ref, product_name,
                           category, quantity, amount)
SELECT customer_id, id, hashtextextended(order_ref, 0), 1, 1, product_ref, product_name, category, quantity, amount
FROM bench_copy
"""


async def copy(connection: Any, rows: list[tuple[Any, ...]]) -> float:
    """Seconds to COPY these rows and to put them into the tables of purchases."""
    await connection.execute(_COPY_TABLE)
    await connection.execute("SET session_replication_role = replica")
    started = time.perf_counter()
    async with connection.transaction():
        await connection.copy_records_to_table("bench_copy", records=rows, columns=_COPY_COLUMNS)
        await connection.execute(_COPY_PURCHASES)
        await connection.execute(_COPY_LINES)
    seconds = time.perf_counter() - started
    await connection.execute("RESET session_replication_role; DROP TABLE bench_copy")
    return seconds


_INSERT_INTERACTIONS = """
INSERT INTO interaction (customer_id, reference, kind, direction, outcome, occurred_at, duration_seconds, subject,
                         minutes, matter, written_by)
SELECT customer_id, reference, kind, direction, outcome, occurred_at, duration_seconds, subject,
       minutes, matter, 'bench'
FROM jsonb_to_recordset($1::text::jsonb) AS given (
    customer_id uuid, reference text, kind text, direction text, outcome text, occurred_at timestamptz,
    duration_seconds integer, subject text, minutes text, matter text
)
"""


async def interactions(connection: Any, batches: list[list[dict[str, Any]]]) -> float:
    """Seconds to insert these batches, one after the other."""
    bodies = [json.dumps(batch) for batch in batches]
    await connection.execute(_INSERT_INTERACTIONS, bodies.pop())
    started = time.perf_counter()
    for body in bodies:
        await connection.execute(_INSERT_INTERACTIONS, body)
    return (time.perf_counter() - started) * len(batches) / len(bodies)
