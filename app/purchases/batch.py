"""Many purchases at once: the good rows are recorded by one statement, the others say what is wrong with them."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from app.core.db import WriteSession
from app.core.errors import Invalid
from app.core.events import keep, publish
from app.customers.fact_batches import UNKNOWN_CUSTOMER, FactBatch
from app.customers.queries import hold_reached
from app.identity.actor import Actor
from app.purchases import recording, service
from app.purchases.events import PurchasesRecorded
from app.purchases.schemas import PurchaseRow
from app.purchases.service import WRITE

_rows = TypeAdapter(list[PurchaseRow])
_Batch = FactBatch[PurchaseRow]


async def record_all(session: WriteSession, actor: Actor, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Record the rows that can be recorded; whoever hears of them (classification) joins the transaction.

    Each is written down and announced as if it had come alone, and refused for the same. The customers are held, so
    that purchases of one follow each other; each is judged once, by all that is recorded of it here.
    """
    batch = _Batch("purchases", _rows)
    batch.read(rows)
    _check(batch)
    await batch.find_customers(session, actor, WRITE)
    base_amounts = await _in_base_currency(session, batch)
    await _hold(session, actor, batch)
    ids = await _insert(session, batch, base_amounts)
    if ids:
        await _announce(session, actor, batch, ids)
    return batch.outcome(ids, len(rows))


def _check(batch: _Batch) -> None:
    for index, row in list(batch.good.items()):
        try:
            service.check(row)
        except Invalid as error:
            batch.refuse_as(index, error)


async def _in_base_currency(session: WriteSession, batch: _Batch) -> dict[int, Decimal]:
    """What each row is worth in the base currency."""
    rates = await service.rates_on(session, {service.paid(row) for row in batch.good.values()})
    worth: dict[int, Decimal] = {}
    for index, row in list(batch.good.items()):
        try:
            worth[index] = service.in_base(row, rates.get(service.paid(row)))
        except Invalid as error:
            batch.refuse_as(index, error)
    return worth


async def _hold(session: WriteSession, actor: Actor, batch: _Batch) -> None:
    wanted = sorted({batch.customers[index] for index in batch.good})
    reached = await hold_reached(session, actor, WRITE, wanted) if wanted else set()
    for index, row in list(batch.good.items()):
        if batch.customers[index] not in reached:
            batch.refuse(index, "/identity" if row.customer_id is None else "/customer_id", UNKNOWN_CUSTOMER)


async def _insert(session: WriteSession, batch: _Batch, base_amounts: dict[int, Decimal]) -> dict[int, UUID]:
    """The new purchases' ids by their rows' places. An order that was recorded before is refused."""
    if not batch.good:
        return {}
    given = {
        index: (
            {"customer_id": batch.customers[index], **service.columns_of(row), "base_amount": base_amounts[index]},
            row,
        )
        for index, row in batch.good.items()
    }
    ids: dict[int, UUID] = dict(await session.all(recording.insert_many(), recording.many_params(given)))
    for index, row in list(batch.good.items()):
        if index not in ids:
            batch.refuse(index, "/order_ref", service.recorded_already(row))
    return ids


async def _announce(session: WriteSession, actor: Actor, batch: _Batch, ids: dict[int, UUID]) -> None:
    events = [
        service.written_down(session, actor, batch.customers[index], ids[index], row)
        for index, row in batch.good.items()
    ]
    for event in events:
        keep(session, event)
    await publish(session, PurchasesRecorded(events))
