"""Staged rows become purchases, a batch of customers at a time, in SQL over sets.

Rows are put together into orders in two temporary tables. An order that is new goes in with its lines and
its totals in one insert each; of one that is there, only missing lines are added, and its totals follow.
So the same rows again change nothing. The customers stay locked meanwhile: purchases recorded through the
API wait their turn.
"""

from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

from app.core.bounds import MAX_AMOUNT
from app.core.db import WriteSession
from app.core.events import publish
from app.core.settings import get_settings
from app.customers import references
from app.imports.kinds import Batch, Merged, Rejection
from app.purchases import merging_sql
from app.purchases.events import PurchasesImported
from app.purchases.money import RATE_DAYS

WRITE = "purchases:write"


async def merge(session: WriteSession, batch: Batch) -> Merged:
    """Merge one batch within the transaction; in a dry run, find out what would happen and write nothing."""
    merged = Merged()
    customers = await _customers(session, batch, merged)
    await _put_together(session, batch, customers)
    await _refuse(session, merged)
    counts = await session.first(_statement(merging_sql.COUNTS))
    assert counts is not None
    merged.accepted, merged.changed = counts["rows"], counts["new"]
    if not batch.dry_run:
        await _write(session, merged, recorded=counts["old"])
    return merged


async def _customers(session: WriteSession, batch: Batch, merged: Merged) -> dict[str, UUID]:
    """The customer of each reference in the batch; rows of the others are refused."""
    wanted = {row[0] for row in await session.all(_statement(merging_sql.REFERENCES), _range(batch))}
    create = batch.options.create_customers
    settled = await references.settle(session, batch, WRITE, wanted)
    merged.customers_created = settled.created
    if settled.unknown:
        unknown = {**_range(batch), "unknown": list(settled.unknown)}
        refused = await session.all(_statement(merging_sql.UNKNOWN), unknown)
        reason = references.why_unknown(create=create)
        merged.rejections += [Rejection(row[0], "customer_ref", reason) for row in refused]
    return settled.known


async def _put_together(session: WriteSession, batch: Batch, customers: dict[str, UUID]) -> None:
    for table in merging_sql.TABLES.split(";"):
        await session.execute(_statement(table))
    given = {"known": list(customers), "customer_ids": list(customers.values())}
    await session.execute(_statement(merging_sql.ROWS), {**_range(batch), **given})
    await _orders(session)


async def _orders(session: WriteSession) -> None:
    settings = get_settings()
    parameters = {"base": settings.currency, "zone": settings.time_zone, "rate_days": RATE_DAYS}
    await session.execute(_statement(merging_sql.ORDERS), parameters)


async def _refuse(session: WriteSession, merged: Merged) -> None:
    """Take out the rows that cannot be money of their order."""
    if await session.scalar(_statement(merging_sql.MIXED)):
        rows = await session.all(_statement(merging_sql.OTHER_CURRENCIES))
        merged.rejections += [
            Rejection(row["line"], "currency", f"the order's currency is {row['currency']}") for row in rows
        ]
        await session.execute(_statement(merging_sql.NO_ORDERS))
        await _orders(session)
    limit = {"limit": MAX_AMOUNT}
    refused = await session.all(_statement(merging_sql.REFUSED_ROWS), limit)
    if refused:
        await session.execute(_statement(merging_sql.REFUSED_ORDERS), limit)
        merged.rejections += [_rejection(row) for row in refused]


def _rejection(row: Any) -> Rejection:
    base = get_settings().currency
    if row["problem"] == "rate":
        return Rejection(
            row["line"],
            "currency",
            f"no exchange rate for {row['currency']} on {row['occurred_on']}; put one with /v1/exchange-rates",
        )
    return Rejection(row["line"], "amount", f"the order's amount has more than 14 digits before the point in {base}")


async def _write(session: WriteSession, merged: Merged, *, recorded: int) -> None:
    changed: set[UUID] = set()
    if merged.changed:
        await session.execute(_statement(merging_sql.NEW_PURCHASES))
        await session.execute(_statement(merging_sql.NEW_LINES))
        changed.update(row[0] for row in await session.all(_statement(merging_sql.NEW_CUSTOMERS)))
    if recorded:
        grown = await session.all(_statement(merging_sql.MORE_LINES))
        changed.update(row[0] for row in grown)
        merged.changed += len(grown)
    if changed:
        await publish(session, PurchasesImported(sorted(changed)))


def _range(batch: Batch) -> dict[str, Any]:
    return {"number": batch.number, "first": batch.first, "end": batch.end}


@lru_cache
def _statement(sql: str) -> TextClause:
    return text(sql)
