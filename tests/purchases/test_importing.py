"""Staged rows become purchases: orders and lines, refunds, currencies, the same rows again."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.core.db import Database
from tests.conftest import MakeUser, RunJobs
from tests.imports.sending import completed, counts, csv_of

Row = list[object]
Import = Callable[..., Any]
TOTALS = """
    SELECT i.value, p.order_ref, p.kind, p.amount::text, p.currency, p.base_amount::text, p.occurred_on::text,
           (SELECT count(*) FROM purchase_line l WHERE l.customer_id = p.customer_id AND l.purchase_id = p.id)
    FROM purchase p JOIN customer_identity i ON i.customer_id = p.customer_id
    ORDER BY i.value, p.occurred_at, p.order_ref, p.kind
"""
LINES = """
    SELECT p.order_ref, l.position, l.occurrence, l.product_ref, l.quantity::text, l.amount::text
    FROM purchase_line l JOIN purchase p ON p.customer_id = l.customer_id AND p.id = l.purchase_id
    ORDER BY p.order_ref, l.position
"""


@pytest.fixture
def import_rows(admin: httpx.AsyncClient, run_jobs: RunJobs) -> Import:
    """Imports rows as the administrator, or as `client`; the import when it is done."""

    async def run(rows: list[Row], header: str | None = None, *, client: Any = None, **form: Any) -> dict[str, Any]:
        content = csv_of(rows, header) if header else csv_of(rows)
        done = await completed(client or admin, run_jobs, content, **form)
        assert done["processed"] == done["total"] == len(rows)
        return done

    return run


async def _fetch(database: Database, query: str) -> list[tuple[Any, ...]]:
    async with database.connection() as connection:
        return [tuple(row) for row in await connection.fetch(query)]


async def test_rows_of_one_order_are_one_purchase_with_lines(import_rows: Import, database: Database) -> None:
    done = await import_rows(
        [
            ["C1", "O1", "2024-01-02 10:00", "6", "P1", "2"],
            ["C2", "O1", "2024-01-05", "1", "P1", "1"],  # the same order number of another customer
            ["C1", "O1", "2024-01-01 09:00", "4", "P2", "1"],
            ["C1", "O1", "2024-01-02 10:00", "6", "P1", "2"],  # the same line again is a line
        ],
        "customer_ref,order_ref,occurred_at,amount,product_ref,quantity",
    )
    assert (counts(done), done["customers_created"], done["changed"]) == ((4, 0, 0), 2, 2)
    assert await _fetch(database, TOTALS) == [
        ("C1", "O1", "purchase", "16.0000", "CNY", "16.0000", "2024-01-01", 3),
        ("C2", "O1", "purchase", "1.0000", "CNY", "1.0000", "2024-01-05", 1),
    ]
    assert [row for row in await _fetch(database, LINES) if row[4] == "2.0000"] == [
        ("O1", 1, 1, "P1", "2.0000", "6.0000"),
        ("O1", 4, 2, "P1", "2.0000", "6.0000"),
    ]


async def test_what_comes_back_is_a_refund_of_its_own(import_rows: Import, database: Database) -> None:
    await import_rows([["C1", "O1", "2024-01-02", "10"], ["C1", "O1", "2024-01-03", "-4"]])
    assert [row[1:6] for row in await _fetch(database, TOTALS)] == [
        ("O1", "purchase", "10.0000", "CNY", "10.0000"),
        ("O1", "refund", "4.0000", "CNY", "-4.0000"),
    ]


@pytest.mark.parametrize("header", [None, "customer_ref,number,occurred_at,amount"])
async def test_the_same_file_again_changes_nothing(import_rows: Import, database: Database, header: str | None) -> None:
    line: Row = ["C1", "O1", "2024-01-02", "5"]
    rows = [line, line, line, ["C1", "O2", "2024-01-02", "5"], ["C2", "O1", "2024-02-02", "-5"]]
    first = await import_rows(rows, header)
    before = [await _fetch(database, query) for query in (TOTALS, LINES, "SELECT * FROM purchase ORDER BY id")]
    again = await import_rows(rows, header)
    assert (counts(first), counts(again)) == ((5, 0, 0), (5, 0, 0))
    assert (first["changed"], again["changed"], again["customers_created"]) == (3 if header is None else 5, 0, 0)
    assert [await _fetch(database, query) for query in (TOTALS, LINES, "SELECT * FROM purchase ORDER BY id")] == before


async def test_rows_without_an_order_are_purchases_of_their_own(import_rows: Import, database: Database) -> None:
    await import_rows([["C1", "2024-01-02", "5"]] * 2 + [["C1", "2024-01-02", "6"]], "customer_ref,occurred_at,amount")
    found = await _fetch(database, TOTALS)
    assert [row[3] for row in sorted(found, key=lambda row: row[3])] == ["5.0000", "5.0000", "6.0000"]
    assert all(row[1].startswith("~") and len(row[1]) == 19 for row in found)
    done = await import_rows([["C1", "2024-01-02", "5"]] * 3, "customer_ref,occurred_at,amount")
    assert done["changed"] == 1  # the third of them is new


async def test_a_later_file_adds_lines_to_an_order(import_rows: Import, database: Database) -> None:
    await import_rows([["C1", "O1", "2024-01-05", "10"]])
    done = await import_rows(
        [["C1", "O1", "2024-01-05", "10"], ["C1", "O1", "2024-01-03", "2.5"], ["C2", "O9", "2024-01-01", "1"]]
    )
    assert (done["changed"], done["customers_created"]) == (2, 1)
    assert await _fetch(database, TOTALS) == [
        ("C1", "O1", "purchase", "12.5000", "CNY", "12.5000", "2024-01-03", 2),
        ("C2", "O9", "purchase", "1.0000", "CNY", "1.0000", "2024-01-01", 1),
    ]


async def test_an_order_recorded_over_the_api_is_found_by_an_import(
    import_rows: Import, database: Database, admin: httpx.AsyncClient
) -> None:
    await import_rows([["C1", "O0", "2024-01-01", "1"]])
    customer = (await _fetch(database, "SELECT id FROM customer"))[0][0]
    body = {
        "order_ref": "O1", "occurred_at": "2024-01-05T10:00:00Z", "amount": "7.50",
        "lines": [{"product_ref": "P1", "quantity": "2", "amount": "7.50"}],
    }  # fmt: skip
    assert (await admin.post(f"/v1/customers/{customer}/purchases", json=body)).status_code == 201
    header = "customer_ref,order_ref,occurred_at,amount,product_ref,quantity"
    done = await import_rows([["C1", "O1", "2024-01-05 10:00:00", "7.5", "P1", "2.0"]], header)
    assert (counts(done), done["changed"]) == ((1, 0, 0), 0)


async def test_a_dry_run_says_what_would_happen_and_writes_nothing(import_rows: Import, database: Database) -> None:
    rows: list[Row] = [["C1", "O1", "2024-01-02", "5"], ["", "O1", "2024-01-02", "5"], ["C2", "O2", "2024-01-02", "x"]]
    dry = await import_rows(rows, dry_run=True)
    assert (counts(dry), dry["customers_created"], dry["changed"]) == ((1, 2, 0), 1, 1)
    for table in ("customer", "customer_identity", "purchase", "purchase_line", "purchase_import_row", "import_chunk"):
        assert await _fetch(database, f"SELECT count(*) FROM {table}") == [(0,)]
    assert await _fetch(database, "SELECT count(*) FROM outbox_event WHERE name LIKE 'import%'") == [(0,)]
    wet = await import_rows(rows)
    assert (counts(wet), wet["errors"]) == (counts(dry), dry["errors"])
    unknown = await import_rows([["C9", "O1", "2024-01-02", "5"]], dry_run=True, create_customers=False)
    assert counts(unknown) == (0, 1, 0)


async def test_unknown_customers_are_refused_unless_asked_for(import_rows: Import, database: Database) -> None:
    await import_rows([["C1", "O1", "2024-01-02", "5"]])
    done = await import_rows(
        [["C2", "O2", "2024-01-02", "5"], ["C1", "O3", "2024-01-02", "5"], ["C2", "O4", "2024-01-02", "5"]],
        create_customers=False,
    )
    reason = "no customer within your reach has this reference; import with create_customers=true to create it"
    assert counts(done) == (1, 2, 0)
    assert done["errors"] == [(2, "customer_ref", reason), (4, "customer_ref", reason)]
    assert await _fetch(database, "SELECT name, kind, source, owner_id FROM customer") == [
        ("C1", "person", "import", None)
    ]


async def test_rows_are_skipped_by_their_values(import_rows: Import) -> None:
    rows: list[Row] = [["C1", "C100", "2024-01-02", "5"], ["C1", "100", "2024-01-02", "5"], ["", "C7", "bad", "bad"]]
    done = await import_rows(rows, skip_when={"order_ref": "C*"})
    assert (counts(done), done["errors"]) == ((1, 0, 2), [])


RATES = {
    "rates": [
        {"currency": "USD", "day": "2024-01-05", "rate": "7.1"},
        {"currency": "USD", "day": "2024-01-08", "rate": "7.2"},
        {"currency": "JPY", "day": "2024-01-05", "rate": "0.05"},
        {"currency": "KWD", "day": "2024-01-05", "rate": "23.5"},
    ]
}
WITH_CURRENCY = "customer_ref,order_ref,occurred_at,amount,currency"


async def test_other_currencies_convert_at_the_days_rate(
    import_rows: Import, database: Database, admin: httpx.AsyncClient
) -> None:
    assert (await admin.put("/v1/exchange-rates", json=RATES)).status_code == 204
    done = await import_rows(
        [
            ["C1", "O1", "2024-01-05", "10", "USD"],
            ["C1", "O2", "2024-01-07", "10", "USD"],  # no rate on a weekend
            ["C1", "O3", "2024-01-08", "-10", "USD"],
            ["C1", "O4", "2024-01-05", "0.0010", "JPY"],  # 0.00005 is even at 0.0000
            ["C1", "O5", "2024-01-05", "0.0030", "JPY"],  # 0.00015 is even at 0.0002
            ["C1", "O6", "2024-01-04", "10", "USD"],
            ["C1", "O7", "2024-02-01", "10", "USD"],
            ["C1", "O8", "2024-01-05", "10", "EUR"],
            ["C1", "O9", "2024-01-05", "10", ""],
        ],
        WITH_CURRENCY,
    )
    assert counts(done) == (6, 3, 0)
    assert {row[1]: row[5] for row in await _fetch(database, TOTALS)} == {
        "O1": "71.0000", "O2": "71.0000", "O3": "-72.0000", "O4": "0.0000", "O5": "0.0002", "O9": "10.0000",
    }  # fmt: skip
    assert done["errors"] == [
        (line, "currency", f"no exchange rate for {code} on {day}; put one with /v1/exchange-rates")
        for line, code, day in ((7, "USD", "2024-01-04"), (8, "USD", "2024-02-01"), (9, "EUR", "2024-01-05"))
    ]


async def test_an_order_has_the_currency_of_its_first_row(
    import_rows: Import, database: Database, admin: httpx.AsyncClient
) -> None:
    await admin.put("/v1/exchange-rates", json=RATES)
    done = await import_rows(
        [
            ["C1", "O1", "2024-01-06", "10", "USD"],
            ["C1", "O1", "2024-01-05", "99", "CNY"],
            ["C1", "O1", "2024-01-06", "5", "USD"],
            ["C1", "O2", "2024-01-06", "5", "CNY"],
        ],
        WITH_CURRENCY,
    )
    assert (counts(done), done["errors"]) == ((3, 1, 0), [(3, "currency", "the order's currency is USD")])
    assert [row[1:8] for row in await _fetch(database, TOTALS)] == [
        ("O1", "purchase", "15.0000", "USD", "106.5000", "2024-01-06", 2),
        ("O2", "purchase", "5.0000", "CNY", "5.0000", "2024-01-06", 1),
    ]
    again = await import_rows(
        [["C1", "O1", "2024-01-06", "1", "CNY"], ["C1", "O1", "2024-01-06", "2", "USD"]], WITH_CURRENCY
    )
    assert (counts(again), again["errors"]) == ((1, 1, 0), [(2, "currency", "the order's currency is USD")])


async def test_an_order_too_large_for_money_is_refused(
    import_rows: Import, database: Database, admin: httpx.AsyncClient
) -> None:
    await admin.put("/v1/exchange-rates", json=RATES)
    most = "99999999999999.9999"
    done = await import_rows(
        [
            ["C1", "O1", "2024-01-05", most, ""],
            ["C1", "O2", "2024-01-05", most, ""],
            ["C1", "O2", "2024-01-05", "0.0001", ""],
            ["C1", "O3", "2024-01-05", most, "KWD"],
        ],
        WITH_CURRENCY,
    )
    assert counts(done) == (1, 3, 0)
    assert {(line, field) for line, field, _ in done["errors"]} == {(3, "amount"), (4, "amount"), (5, "amount")}
    done = await import_rows([["C1", "O1", "2024-01-05", "1", ""]], WITH_CURRENCY)
    assert counts(done) == (0, 1, 0)


async def test_the_day_is_the_business_day(
    import_rows: Import, database: Database, setting: Callable[..., None]
) -> None:
    setting(time_zone="Asia/Shanghai")
    await import_rows([["C1", "O1", "2024-01-01T20:00:00Z", "1"], ["C1", "O2", "2024-01-02 03:00", "1"]])
    await import_rows([["C1", "O3", "2024-01-01 15:00", "1"]], time_zone="America/New_York")
    assert [row[6] for row in await _fetch(database, TOTALS)] == ["2024-01-02"] * 3


SELLS = {"imports:read": "own", "imports:write": "own"}


async def test_customers_out_of_reach_are_unknown(import_rows: Import, database: Database, make_user: MakeUser) -> None:
    await import_rows([["C1", "O1", "2024-01-02", "5"], ["C2", "O2", "2024-01-02", "5"]])
    seller = await make_user({**SELLS, "purchases:write": "own"})
    async with database.connection() as connection:
        await connection.execute("UPDATE customer SET owner_id = $1 WHERE name = 'C1'", seller.headers["X-Test-User"])
    rows: list[Row] = [
        ["C1", "O3", "2024-01-02", "5"],
        ["C2", "O4", "2024-01-02", "5"],
        ["C3", "O5", "2024-01-02", "5"],
    ]
    done = await import_rows(rows, client=seller, create_customers=False)
    assert counts(done) == (1, 2, 0)
    assert len({reason for _, _, reason in done["errors"]}) == 1  # whether C2 exists cannot be told
    assert [row[:2] for row in await _fetch(database, TOTALS)] == [("C1", "O1"), ("C1", "O3"), ("C2", "O2")]


@pytest.mark.parametrize("scope", ["own", "unit", "subtree", "all"])
async def test_one_reaches_the_customers_that_one_creates(
    import_rows: Import, make_user: MakeUser, database: Database, scope: str
) -> None:
    seller = await make_user({**SELLS, "purchases:write": scope, "customers:write": scope})
    await import_rows([["C1", "O1", "2024-01-02", "5"]], client=seller)
    done = await import_rows([["C1", "O2", "2024-01-02", "5"]], client=seller, create_customers=False)
    assert counts(done) == (1, 0, 0)
    owner, unit = (await _fetch(database, "SELECT owner_id::text, unit_id IS NOT NULL FROM customer"))[0]
    assert (owner, unit) == (seller.headers["X-Test-User"] if scope == "own" else None, True)


async def test_a_customer_that_is_created_with_create_customers_but_out_of_reach_stays_out(
    import_rows: Import, make_user: MakeUser
) -> None:
    await import_rows([["C1", "O1", "2024-01-02", "5"]])
    seller = await make_user({**SELLS, "purchases:write": "own", "customers:write": "own"})
    done = await import_rows([["C1", "O2", "2024-01-02", "5"], ["C5", "O3", "2024-01-02", "5"]], client=seller)
    assert (counts(done), done["errors"]) == (
        (1, 1, 0),
        [(2, "customer_ref", "this customer is out of your reach, or was erased")],
    )


async def test_a_reference_is_text_whatever_it_looks_like(import_rows: Import, database: Database) -> None:
    references = ["017", "17", "C\\1", "客户", "a,b", 'q"q', r"\N", "=1+1", " padded "]
    done = await import_rows([[reference, "O1", "2024-01-02", "5"] for reference in references])
    assert counts(done) == (9, 0, 0)
    found = {row[0] for row in await _fetch(database, "SELECT value FROM customer_identity")}
    assert found == {reference.strip() for reference in references}
