"""The generated company: customers, owners and purchases with the skew of a real one, the same at every run.

Every random number is a hash of what it is for, so that no plan and no parallel worker can change it.

- Customers joined over 25 months, more of them lately; 45 % have left since, 3 % never bought.
- Orders of a customer are lognormal (half have fewer than ten, a few hundreds), eight have exactly 10,000.
- Amounts are lognormal around the customer's own level; 2 % of the orders are refunds.
- Regions, tags and products follow a power law; four in five customers have an owner, all have a unit.
"""

from dataclasses import dataclass
from datetime import date

TODAY = date(2026, 7, 1)
"""Where the bench's business clock stands; the last purchase is of the moment before."""
GIANTS = 8
GIANT_ORDERS = 10_000
EXTERNAL = "C-"
OWNERS = 250
TEAMS = 25
DEPARTMENTS = 5


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is, and how much is imported on top."""

    name: str
    customers: int
    purchases: int
    imported: int


SIZES = {
    "100k": Size("100k", 100_000, 2_000_000, 200_000),
    "1m": Size("1m", 1_000_000, 20_000_000, 1_000_000),
}

FUNCTIONS = """
CREATE SCHEMA bench;
CREATE FUNCTION bench.uniform(n bigint, what bigint) RETURNS float8 IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN ((hashint8extended(n, what) & 4503599627370495)::float8 + 0.5) / 4503599627370496;
CREATE FUNCTION bench.normal(n bigint, what bigint) RETURNS float8 IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN sqrt(-2 * ln(bench.uniform(n, what))) * cos(2 * pi() * bench.uniform(n, what + 1));
CREATE FUNCTION bench.pick(choices text[], skew float8, n bigint, what bigint) RETURNS text
IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN choices[1 + floor(cardinality(choices) * power(bench.uniform(n, what), skew))::int];
CREATE FUNCTION bench.uuid_of(at timestamptz, n bigint, what bigint) RETURNS uuid IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN (
    lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
    || substr(lpad(to_hex(hashint8extended(n, what)), 16, '0'), 1, 3) || 'a'
    || substr(lpad(to_hex(hashint8extended(n, what)), 16, '0'), 4, 13) || '00'
)::uuid;
"""

PEOPLE = f"""
CREATE TABLE bench.unit AS
SELECT n, uuidv7() AS id FROM generate_series(1, {DEPARTMENTS + TEAMS}) n;
INSERT INTO org_unit (id, parent_id, name)
SELECT id, (SELECT id FROM org_unit WHERE parent_id IS NULL), 'Department ' || n
FROM bench.unit WHERE n <= {DEPARTMENTS};
INSERT INTO org_unit (id, parent_id, name)
SELECT u.id, (SELECT d.id FROM bench.unit d WHERE d.n = 1 + u.n % {DEPARTMENTS}), 'Team ' || (u.n - {DEPARTMENTS})
FROM bench.unit u WHERE u.n > {DEPARTMENTS};
CREATE TABLE bench.owner AS
SELECT o.n, uuidv7() AS id, (SELECT u.id FROM bench.unit u WHERE u.n = {DEPARTMENTS} + 1 + o.n % {TEAMS}) AS unit_id
FROM generate_series(0, {OWNERS - 1}) o (n);
INSERT INTO user_account (id, username, name, password_hash, unit_id)
SELECT id, 'owner' || n, 'Owner ' || n, 'none', unit_id FROM bench.owner;
INSERT INTO role (key, title, permissions)
VALUES ('bench', 'Bench', '{{"customers:read": "subtree", "purchases:read": "subtree", "purchases:write": "subtree"}}');
INSERT INTO user_account (username, name, password_hash, unit_id)
SELECT 'bench', 'Bench', 'none', id FROM org_unit WHERE parent_id IS NULL;
INSERT INTO user_role (user_id, role_id)
SELECT u.id, r.id FROM user_account u, role r WHERE u.username = 'bench' AND r.key = 'bench';
"""

PLAN = """
CREATE TABLE bench.person AS
WITH drawn AS (
    SELECT n, :today - interval '760 days' + interval '755 days' * power(n::float8 / :customers, 0.8) AS joined,
           bench.uniform(n, 11) AS staying, bench.uniform(n, 12) AS leaving, exp(1.3 * bench.normal(n, 13)) AS weight
    FROM generate_series(1, :customers) n
), lived AS (
    SELECT *, CASE WHEN n % (:customers / :giants) = 0 OR bench.uniform(n, 15) < 0.03 THEN 0 ELSE weight END AS w,
           CASE WHEN staying < 0.55 THEN :today ELSE joined + (:today - joined) * leaving END AS until
    FROM drawn
)
SELECT n, bench.uuid_of(joined, n, 1) AS id, joined, until, 4 + bench.normal(n, 16) AS level,
       CASE WHEN n % (:customers / :giants) = 0 THEN :giant_orders
            ELSE round(w * (:purchases - :giants * :giant_orders) / sum(w) OVER ())::int END AS orders
FROM lived
"""

CUSTOMERS = """
INSERT INTO customer (id, kind, name, company_id, region, source, language, phone, email, tags, owner_id, unit_id,
                      custom, created_at, updated_at)
SELECT p.id, CASE WHEN bench.uniform(p.n, 21) < 0.2 THEN 'company' ELSE 'person' END,
       bench.pick('{Amber,Blue,Cedar,Delta,Ember,Fair,Golden,Harbour,Indigo,Jade,Kind,Lantern,Maple,North}', 1, p.n, 22)
       || ' ' || bench.pick('{Bakery,Books,Garden,Kitchen,Market,Motors,Press,Studio,Tea,Tools,Works}', 1, p.n, 23)
       || ' ' || p.n, NULL,
       CASE WHEN bench.uniform(p.n, 24) < 0.8
            THEN 'CN-' || lpad((11 + floor(31 * power(bench.uniform(p.n, 25), 2)))::text, 2, '0')
            ELSE bench.pick('{US-CA,US-NY,DE-BE,DE-BY,GB-LND,FR-IDF,JP-13,SG}', 1.5, p.n, 26) END,
       bench.pick('{web,shop,fair,partner,import}', 2, p.n, 27), bench.pick('{zh,en,de,fr,ja}', 3, p.n, 28),
       CASE WHEN bench.uniform(p.n, 29) < 0.9 THEN '+8613' || lpad(p.n::text, 9, '0') END,
       CASE WHEN bench.uniform(p.n, 30) < 0.7 THEN 'customer' || p.n || '@example.com' END,
       ARRAY(SELECT DISTINCT bench.pick('{wholesale,fair,newsletter,press,vip,local,export,gift}', 2, p.n, 30 + t)
             FROM generate_series(1, floor(4 * bench.uniform(p.n, 39))::int) t ORDER BY 1),
       CASE WHEN bench.uniform(p.n, 40) < 0.8 THEN o.id END, o.unit_id,
       CASE WHEN bench.uniform(p.n, 41) < 0.3 THEN '{"size": "small"}'::jsonb ELSE '{}' END, p.joined, p.joined
FROM bench.person p
JOIN bench.owner o ON o.n = floor(:owners * power(bench.uniform(p.n, 42), 1.3))
ORDER BY p.n
"""

IDENTITIES = f"""
INSERT INTO customer_identity (kind, value, customer_id, created_at)
SELECT 'external', '{EXTERNAL}' || p.n, p.id, p.joined FROM bench.person p
UNION ALL
SELECT 'loyalty_card', '9' || lpad(p.n::text, 11, '0'), p.id, p.joined FROM bench.person p
WHERE bench.uniform(p.n, 43) < 0.25
"""

PURCHASES = """
INSERT INTO purchase (customer_id, id, order_ref, kind, occurred_at, occurred_on, amount, currency, base_amount,
                      created_at)
SELECT customer_id, bench.uuid_of(at, k, 2), 'SO-' || k, CASE WHEN refund THEN 'refund' ELSE 'purchase' END,
       at, (at AT TIME ZONE 'UTC')::date, amount, 'CNY', CASE WHEN refund THEN -amount ELSE amount END, at
FROM (
    SELECT p.id AS customer_id, k, date_trunc('second', p.joined + (p.until - p.joined) * bench.uniform(k, 51)) AS at,
           greatest(round(exp(p.level + 0.7 * bench.normal(k, 52))::numeric, 2), 0.5) AS amount,
           i > 1 AND bench.uniform(k, 54) < 0.02 AS refund
    FROM bench.person p, generate_series(1, p.orders) i, LATERAL (SELECT p.n::bigint * 100000 + i AS k) keyed
) drawn
ORDER BY at
"""

LINES = """
INSERT INTO purchase_line (customer_id, purchase_id, content_hash, occurrence, position, product_ref, product_name,
                           category, quantity, amount)
SELECT customer_id, id, hash >> 1 & 9223372036854775807, 1, 1, 'P' || product, 'Product number ' || product,
       'category ' || product % 40, 1 + (hash & 3), amount
FROM (
    SELECT *, hashtextextended(order_ref, 3) AS hash,
           1 + floor(4000 * power(bench.uniform(hashtextextended(order_ref, 4), 5), 3))::int AS product
    FROM purchase
) bought
"""

DONE = ["DROP SCHEMA bench CASCADE", "VACUUM (FREEZE, ANALYZE)", "CHECKPOINT"]

STEPS: list[tuple[str, str]] = [
    ("people", PEOPLE),
    ("plan", PLAN),
    ("customers", CUSTOMERS),
    ("identities", IDENTITIES),
    ("purchases", PURCHASES),
    ("lines", LINES),
]
LOADED = ["customer", "customer_identity", "purchase", "purchase_line"]
"""Tables that are filled without their indexes, which are made again afterwards."""


def values(size: Size) -> dict[str, str]:
    """What stands for the named values of the statements."""
    return {
        ":today": f"TIMESTAMPTZ '{TODAY.isoformat()} 00:00+00'",
        ":customers": str(size.customers),
        ":purchases": str(size.purchases),
        ":giants": str(GIANTS),
        ":giant_orders": str(GIANT_ORDERS),
        ":owners": str(OWNERS),
    }


def filled(statement: str, size: Size) -> str:
    """The statement with its values; longer names first, so that none is taken for the beginning of another."""
    for name, value in sorted(values(size).items(), key=lambda pair: -len(pair[0])):
        statement = statement.replace(name, value)
    return statement


ROWS_TO_IMPORT = f"""
SELECT c.id AS customer_id, i.value AS customer_ref, :prefix || n AS order_ref,
       date_trunc('second', :until - interval '30 days' * u.day) AS occurred_at,
       greatest(round(exp(4 + 1.1 * u.amount)::numeric, 2), 0.5) AS amount, 'P' || u.product AS product_ref,
       'Product number ' || u.product AS product_name, 'category ' || u.product % 40 AS category,
       (1 + n % 4)::numeric AS quantity
FROM generate_series(1, :rows) n
CROSS JOIN LATERAL (
    SELECT hashint8extended(n, :seed) & 1048575 AS h, hashint8extended(n, :seed + 1) & 1048575 AS g,
           hashint8extended(n, :seed + 2) & 1048575 AS f
) hashed
CROSS JOIN LATERAL (
    SELECT floor(:customers * power(h / 1048576.0, 1.6))::int + 1 AS customer, g / 1048576.0 AS day,
           sqrt(-2 * ln((f + 0.5) / 1048576.0)) * cos(2 * pi() * g / 1048576.0) AS amount,
           1 + floor(4000 * power(f / 1048576.0, 3))::int AS product
) u
JOIN customer_identity i ON i.kind = 'external' AND i.value = '{EXTERNAL}' || u.customer
JOIN customer c ON c.id = i.customer_id
ORDER BY occurred_at
"""
