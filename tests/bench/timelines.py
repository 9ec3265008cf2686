"""Reading with scopes on: of who sees everybody, and of who sees fifty customers."""

import json
import os

import asyncpg

from tests.bench import data, searches
from tests.bench.report import Result
from tests.bench.serving import Serving, log_in

AT_LEAST = 0.6
SEEN = 50
READ = ("customers:read", "purchases:read", "interactions:read", "feedback:read", "classes:read")
WHO = {"all": "who sees {customers:,} customers", "own": f"who sees {SEEN} customers"}
_PERSON = """
WITH made AS (
    INSERT INTO role (key, title, permissions) VALUES ($1, $1, $2) RETURNING id
), known AS (
    INSERT INTO user_account (username, name, password_hash, unit_id)
    SELECT $1, $1, 'none', id FROM org_unit WHERE parent_id IS NULL RETURNING id
)
INSERT INTO user_role (user_id, role_id) SELECT known.id, made.id FROM known, made
"""
_BUSY = """
SELECT customer_id FROM customer_metrics WHERE frequency BETWEEN 40 AND 400 ORDER BY customer_id LIMIT $1
"""
_GIVE = "UPDATE customer SET owner_id = (SELECT id FROM user_account WHERE username = $1) WHERE id = ANY($2)"
_WHO = "SELECT id FROM user_account WHERE username = $1"
_TALKS = f"""
INSERT INTO interaction (customer_id, kind, direction, outcome, occurred_at, subject, written_by)
SELECT id, 'call', 'outbound', 'interested', DATE '{data.TODAY.isoformat()}' - n * interval '7 days', 'Spring teas',
       'bench'
FROM unnest($1::uuid[]) id, generate_series(1, 30) n
"""


async def timelines(serving: Serving, connection: asyncpg.Connection) -> list[Result]:
    """Customers with some dozens of purchases, 30 interactions and changes of class: first pages of 50, and by id."""
    busy = [row["customer_id"] for row in await connection.fetch(_BUSY, SEEN)]
    await connection.execute(_TALKS, busy)
    common = await connection.fetchval(
        "SELECT class FROM customer_class WHERE scheme = 'abc' GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
    )
    customers = await connection.fetchval("SELECT count(*) FROM customer")
    results = []
    for scope, described in WHO.items():
        username = f"sees_{scope}"
        await connection.execute(_PERSON, username, json.dumps(dict.fromkeys(READ, scope)))
        if scope == "own":
            await connection.execute(_GIVE, username, busy)
        token = await log_in(connection, os.environ["STRATA_SECRET_KEY"], username)
        reader = Serving(serving.ours, serving.bare, serving.generator, token)
        who = described.format(customers=customers)
        ours = [reader.get(f"/v1/customers/{each}/timeline?limit=50") for each in busy]
        bare = [reader.get(f"/customers/{each}/timeline?limit=50") for each in busy]
        figures = reader.compare(f"timeline, {scope}", ours, bare)
        results.append(figures.result(f"GET …/timeline, page of 50, {who}", AT_LEAST))
        bare = [reader.get(f"/customers?scheme=abc&name={common}&region=CN&limit=50")]
        figures = reader.compare(f"list, {scope}", [reader.get("/v1/customers?limit=50")], bare)
        results.append(figures.result(f"GET /v1/customers, page of 50, {who}", AT_LEAST))
        ours = [reader.get(f"/v1/customers/{each}") for each in busy]
        figures = reader.compare(f"get, {scope}", ours, [reader.get(f"/customers/{each}") for each in busy])
        results.append(figures.result(f"GET /v1/customers/{{c}}, {who}", AT_LEAST))
        owner_id = await connection.fetchval(_WHO, username) if scope == "own" else None
        results += [
            await searches.first_page(reader, connection, name, of=f", {who}", owner_id=owner_id)
            for name in searches.SEARCHES
        ]
    return results
