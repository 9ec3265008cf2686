"""What the presets decide on real data is what an independent computation in fractions says, customer by customer."""

import csv
import gzip
import io
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from math import floor
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from app.core.db import Database
from tests.classification.test_golden import CDNOW, ONLINE_RETAIL, bring_in, counts
from tests.classification.test_rules import linear

RunJobs = Callable[[], Awaitable[None]]
YEAR = timedelta(days=365)


class Order(NamedTuple):
    at: datetime
    amount: Decimal


class Measures(NamedTuple):
    recency: int
    tenure: int
    frequency: int
    monetary: Decimal
    frequency_365d: int
    monetary_365d: Decimal


def measures(orders: Sequence[Order], as_of: datetime) -> Measures:
    lately = [order for order in orders if as_of - YEAR < order.at]
    return Measures(
        (as_of.date() - max(order.at for order in orders).date()).days,
        (as_of.date() - min(order.at for order in orders).date()).days,
        len(orders),
        sum((order.amount for order in orders), Decimal(0)),
        len(lately),
        sum((order.amount for order in lately), Decimal(0)),
    )


def expected(orders: dict[str, list[Order]], as_of: datetime) -> dict[str, dict[str, str]]:
    """The classes of every customer by scheme, as the definitions say."""
    found = {customer: measures(each, as_of) for customer, each in orders.items()}
    everybody = list(found.values())
    tenths = [Fraction(n, 10) for n in range(1, 10)]
    edges = [
        [linear([getattr(each, name) for each in everybody], tenth) for tenth in tenths]
        for name in ("monetary_365d", "frequency_365d", "recency")
    ]
    means = [Fraction(sum(Fraction(each[n]) for each in everybody), len(everybody)) for n in (0, 2, 3)]
    classes = {}
    for customer, each in found.items():
        values: list[Decimal | int] = [each.monetary_365d, each.frequency_365d, each.recency]
        spent, often, ago = (sum(value > edge for edge in of) for value, of in zip(values, edges, strict=True))
        score = floor(Fraction(50 * spent + 30 * often + 20 * (9 - ago), 9))
        value = "high" if score >= 70 else "medium" if score >= 40 else "low"
        code = f"{int(each.recency <= means[0])}{int(each.frequency > means[1])}{int(each.monetary > means[2])}"
        classes[customer] = {
            "value": value,
            "score": str(score),
            "rfm8": EIGHT[code],
            "tier": "potential" if each.tenure < 90 else "vip" if value == "high" else "regular",
            "behaviour": behaviour(each),
            "need": "product",
            "region": "unknown",
        }
    return classes


EIGHT = {
    "111": "key_value",
    "101": "key_develop",
    "011": "key_keep",
    "001": "key_win_back",
    "110": "general_value",
    "100": "general_develop",
    "010": "general_keep",
    "000": "general_win_back",
}
CDNOW_EIGHT = (465, 29, 40, 59, 189, 160, 52, 1_363)
RETAIL_EIGHT = (689, 117, 27, 38, 358, 1_750, 40, 1_319)


def behaviour(each: Measures) -> str:
    if each.recency >= 90:
        return "none"
    if each.tenure < 90:
        return "new"
    return "loyal" if each.frequency_365d >= 4 else "returning"


async def decided(database: Database) -> dict[str, dict[str, str]]:
    async with database.connection() as connection:
        rows = await connection.fetch(
            "SELECT i.value AS customer, k.scheme, k.class, k.score FROM customer_class k"
            " JOIN customer_identity i ON i.customer_id = k.customer_id AND i.kind = 'external'"
        )
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        of = found.setdefault(row["customer"], {})
        if row["scheme"] not in ("abc", "rfm", "lifecycle"):
            of[row["scheme"]] = row["class"]
        if row["scheme"] == "value":
            of["score"] = str(row["score"])
    return found


async def fitted_as_of(admin: httpx.AsyncClient) -> datetime:
    """The instant as of which the import's recalculation decided."""
    return datetime.fromisoformat((await admin.get("/v1/schemes/value/breakpoints")).json()["as_of"])


async def test_cdnow(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    today: Callable[[date], None],
    setting: Callable[..., None],
) -> None:
    setting(currency="USD")
    today(date(1998, 7, 1))
    file = (resources.files("app.demo") / "cdnow_sample.csv.gz").read_bytes()
    await bring_in(admin, run_jobs, file, "cdnow_sample.csv.gz", CDNOW)

    orders: dict[str, list[Order]] = {}
    for row in csv.DictReader(io.StringIO(gzip.decompress(file).decode())):
        order = Order(datetime.fromisoformat(row["date"]).replace(tzinfo=UTC), Decimal(row["dollar_value"]))
        orders.setdefault(row["customer_id"], []).append(order)
    assert await decided(database) == expected(orders, await fitted_as_of(admin))
    assert await counts(admin, "value") == {"high": 737, "medium": 71, "low": 1_549}
    assert await counts(admin, "rfm8") == dict(zip(EIGHT.values(), CDNOW_EIGHT, strict=True))


def online_retail(file: bytes) -> Iterator[tuple[str, Order]]:
    """The orders that count: of known customers, not cancelled, with a quantity and a price."""
    amounts: Counter[tuple[str, str]] = Counter()
    instants: dict[tuple[str, str], datetime] = {}
    for row in csv.DictReader(io.StringIO(gzip.decompress(file).decode())):
        quantity, price = Decimal(row["Quantity"]), Decimal(row["UnitPrice"])
        if row["CustomerID"] and not row["InvoiceNo"].startswith("C") and quantity > 0 and price > 0:
            key = row["CustomerID"], row["InvoiceNo"]
            at = datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=UTC)
            amounts[key] += quantity * price  # type: ignore[assignment]
            instants[key] = min(at, instants.get(key, at))
    return ((key[0], Order(instants[key], Decimal(amount))) for key, amount in amounts.items())


@pytest.mark.shared_data
async def test_online_retail(
    admin: httpx.AsyncClient,
    database: Database,
    run_jobs: RunJobs,
    today: Callable[[date], None],
    setting: Callable[..., None],
    shared_data: Path,
) -> None:
    setting(currency="GBP")
    today(date(2011, 12, 11))  # a year before it was a Saturday without orders: the time of day changes nothing
    file = (shared_data / "online_retail" / "online_retail.csv.gz").read_bytes()
    skip_when = json.dumps({"InvoiceNo": "C*"})
    await bring_in(admin, run_jobs, file, "online_retail.csv.gz", ONLINE_RETAIL, skip_when=skip_when)

    orders: dict[str, list[Order]] = {}
    for customer, order in online_retail(file):
        orders.setdefault(customer, []).append(order)
    assert await decided(database) == expected(orders, await fitted_as_of(admin))
    assert await counts(admin, "value") == {"high": 1_204, "medium": 1_242, "low": 1_892}
    assert await counts(admin, "rfm8") == dict(zip(EIGHT.values(), RETAIL_EIGHT, strict=True))
