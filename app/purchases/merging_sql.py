"""The SQL of merging: staged rows, their orders, the purchases that follow.

`merged_row` and `merged_order` are temporary tables of one transaction.
"""
# ruff: noqa: S608  every part of these statements is a constant of this file

TABLES = """
CREATE TEMPORARY TABLE merged_row (
    customer_id uuid NOT NULL, kind text NOT NULL, order_ref text NOT NULL, line bigint NOT NULL,
    occurred_at timestamptz NOT NULL, amount numeric(18, 4) NOT NULL, currency text NOT NULL,
    product_ref text, product_name text, category text, quantity numeric(18, 4) NOT NULL,
    content_hash bigint NOT NULL, occurrence integer NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE merged_order (
    customer_id uuid NOT NULL, kind text NOT NULL, order_ref text NOT NULL, purchase_id uuid NOT NULL,
    is_new boolean NOT NULL, first_line bigint NOT NULL, occurred_at timestamptz NOT NULL, occurred_on date NOT NULL,
    amount numeric NOT NULL, total numeric NOT NULL, currency text NOT NULL, mixed boolean NOT NULL, rate numeric
) ON COMMIT DROP
"""

_BATCH = "import_number = :number AND bucket >= :first AND bucket < :end"
_SAME_ORDER = "r.customer_id = o.customer_id AND r.kind = o.kind AND r.order_ref = o.order_ref"

REFERENCES = f"SELECT DISTINCT customer_ref FROM purchase_import_row WHERE {_BATCH}"

UNKNOWN = f"""
DELETE FROM purchase_import_row WHERE {_BATCH} AND customer_ref = ANY(CAST(:unknown AS text[])) RETURNING line
"""

# A row without an order is an order of its own. It is known by what it says and by how many such rows stood
# before it in the file, so that the same file finds it again.
ROWS = f"""
WITH taken AS (DELETE FROM purchase_import_row WHERE {_BATCH} RETURNING *),
numbered AS (
    SELECT c.customer_id, t.*,
           row_number() OVER (PARTITION BY c.customer_id, t.kind, t.order_ref, t.content_hash ORDER BY t.line) AS nth
    FROM taken t
    JOIN unnest(CAST(:known AS text[]), CAST(:customer_ids AS uuid[])) AS c (customer_ref, customer_id)
        USING (customer_ref)
)
INSERT INTO merged_row
SELECT customer_id, kind, coalesce(order_ref, '~' || lpad(to_hex(content_hash), 16, '0') || '-' || nth), line,
       occurred_at, amount, currency, product_ref, product_name, category, quantity, content_hash,
       CASE WHEN order_ref IS NULL THEN 1 ELSE nth END
FROM numbered
"""

ORDERS = """
INSERT INTO merged_order
SELECT o.customer_id, o.kind, o.order_ref, coalesce(o.id, uuidv7()), o.id IS NULL, o.first_line, o.occurred_at,
       o.occurred_on, o.amount, o.amount + o.recorded, o.currency, o.mixed,
       CASE WHEN o.currency = :base THEN 1 ELSE (
           SELECT x.rate FROM exchange_rate x
           WHERE x.currency = o.currency AND x.day <= o.occurred_on AND x.day > o.occurred_on - CAST(:rate_days AS int)
           ORDER BY x.day DESC LIMIT 1
       ) END
FROM (
    SELECT g.customer_id, g.kind, g.order_ref, g.first_line, g.amount, p.id, coalesce(p.amount, 0) AS recorded,
           least(g.occurred_at, p.occurred_at) AS occurred_at,
           CAST(least(g.occurred_at, p.occurred_at) AT TIME ZONE CAST(:zone AS text) AS date) AS occurred_on,
           coalesce(p.currency, g.currency) AS currency,
           g.currency <> g.other_currency OR coalesce(p.currency <> g.currency, false) AS mixed
    FROM (
        SELECT customer_id, kind, order_ref, min(line) AS first_line, min(occurred_at) AS occurred_at,
               sum(amount) AS amount, min(currency) AS currency, max(currency) AS other_currency
        FROM merged_row GROUP BY customer_id, kind, order_ref
    ) g
    LEFT JOIN purchase p ON p.customer_id = g.customer_id AND p.order_ref = g.order_ref AND p.kind = g.kind
) o
"""

# An order's currency is the recorded purchase's, else its first row's; rows in another are refused.
OTHER_CURRENCIES = f"""
DELETE FROM merged_row r
USING merged_order o
LEFT JOIN purchase p ON p.customer_id = o.customer_id AND p.id = o.purchase_id
LEFT JOIN merged_row f ON f.line = o.first_line
WHERE o.mixed AND {_SAME_ORDER} AND r.currency <> coalesce(p.currency, f.currency)
RETURNING r.line, coalesce(p.currency, f.currency) AS currency
"""

_BASE = "o.amount * o.rate"
_PROBLEM = """
CASE WHEN o.rate IS NULL THEN 'rate'
     WHEN o.total >= :limit OR o.total * o.rate >= :limit THEN 'large' END
"""
REFUSED_ROWS = f"""
DELETE FROM merged_row r USING merged_order o
WHERE {_SAME_ORDER} AND {_PROBLEM} IS NOT NULL
RETURNING r.line, o.currency, o.occurred_on, {_PROBLEM} AS problem
"""
REFUSED_ORDERS = f"DELETE FROM merged_order o WHERE {_PROBLEM} IS NOT NULL"

COUNTS = """
SELECT (SELECT count(*) FROM merged_row) AS rows, count(*) FILTER (WHERE is_new) AS new,
       count(*) FILTER (WHERE NOT is_new) AS old
FROM merged_order
"""


def _half_even(value: str) -> str:
    """round() rounds halves away from zero; money here rounds them to the even digit."""
    exact, cut = f"({value})", f"trunc({value}, 4)"
    is_half = f"{exact} - {cut} = 0.00005 AND mod({cut} * 10000, 2) = 0"
    return f"CASE WHEN {is_half} THEN {cut} ELSE round({exact}, 4) END"


NEW_PURCHASES = f"""
INSERT INTO purchase (customer_id, id, order_ref, kind, occurred_at, occurred_on, amount, currency, base_amount)
SELECT o.customer_id, o.purchase_id, o.order_ref, o.kind, o.occurred_at, o.occurred_on, o.amount, o.currency,
       CASE o.kind WHEN 'refund' THEN -greatest({_half_even(_BASE)}, 0.0001) ELSE {_half_even(_BASE)} END
FROM merged_order o WHERE o.is_new
ORDER BY o.customer_id, o.occurred_on
"""

_LINE_COLUMNS = """
customer_id, purchase_id, content_hash, occurrence, position, product_ref, product_name, category, quantity, amount
"""
NEW_LINES = f"""
INSERT INTO purchase_line ({_LINE_COLUMNS})
SELECT o.customer_id, o.purchase_id, r.content_hash, r.occurrence, r.line - o.first_line + 1,
       r.product_ref, r.product_name, r.category, r.quantity, r.amount
FROM merged_row r JOIN merged_order o ON {_SAME_ORDER}
WHERE o.is_new
ORDER BY o.customer_id, o.purchase_id, r.content_hash
"""
MORE_LINES = f"""
WITH added AS (
    INSERT INTO purchase_line ({_LINE_COLUMNS})
    SELECT o.customer_id, o.purchase_id, r.content_hash, r.occurrence, r.line - o.first_line + 1 + coalesce((
               SELECT max(l.position) FROM purchase_line l
               WHERE l.customer_id = o.customer_id AND l.purchase_id = o.purchase_id
           ), 0),
           r.product_ref, r.product_name, r.category, r.quantity, r.amount
    FROM merged_row r JOIN merged_order o ON {_SAME_ORDER}
    WHERE NOT o.is_new AND NOT EXISTS (
        SELECT FROM purchase_line l
        WHERE l.customer_id = o.customer_id AND l.purchase_id = o.purchase_id
          AND l.content_hash = r.content_hash AND l.occurrence = r.occurrence
    )
    RETURNING customer_id, purchase_id, amount
), grown AS (
    SELECT o.customer_id, o.purchase_id, o.occurred_at, o.occurred_on, o.rate, o.kind, a.amount + coalesce((
               SELECT sum(l.amount) FROM purchase_line l
               WHERE l.customer_id = o.customer_id AND l.purchase_id = o.purchase_id
           ), 0) AS amount
    FROM (SELECT customer_id, purchase_id, sum(amount) AS amount FROM added GROUP BY 1, 2) a
    JOIN merged_order o USING (customer_id, purchase_id)
)
UPDATE purchase p
SET amount = o.amount, occurred_at = o.occurred_at, occurred_on = o.occurred_on,
    base_amount = CASE o.kind WHEN 'refund' THEN -greatest({_half_even(_BASE)}, 0.0001) ELSE {_half_even(_BASE)} END
FROM grown o
WHERE p.customer_id = o.customer_id AND p.id = o.purchase_id
RETURNING p.customer_id
"""
NEW_CUSTOMERS = "SELECT DISTINCT customer_id FROM merged_order WHERE is_new"


MIXED = "SELECT EXISTS (SELECT FROM merged_order WHERE mixed)"
NO_ORDERS = "DELETE FROM merged_order"
