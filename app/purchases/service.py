"""Recording what a customer bought or gave back, one at a time."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import BigInteger, Integer, Numeric, Select, Text, bindparam, delete, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.types import TypeEngine

from app.core import audit, clock
from app.core.bounds import MAX_AMOUNT
from app.core.db import Prepared, ReadSession, Record, WriteSession
from app.core.errors import Conflict, Invalid, NotFound
from app.core.events import publish
from app.core.settings import get_settings
from app.customers.occurring import TOO_LATE, is_too_late
from app.customers.queries import held
from app.identity.actor import Actor, Scope
from app.identity.scopes import scope_params
from app.purchases.currencies import CODES
from app.purchases.events import PurchaseDeleted, PurchaseRecorded
from app.purchases.models import exchange_rate, purchase, purchase_line
from app.purchases.money import RATE_DAYS, content_hash, in_base_currency
from app.purchases.schemas import ExchangeRate, LineIn, PurchaseIn

WRITE = "purchases:write"
DELETE = "purchases:delete"


class OrderRecorded(Conflict):
    type = "order-recorded"
    title = "This order of this customer is recorded already"


async def record(session: WriteSession, actor: Actor, customer_id: UUID, body: PurchaseIn) -> dict[str, Any]:
    """Record a purchase; whoever hears of it (classification) joins the transaction.

    The customer's row is held from here on: two purchases of one customer follow each other. Raises `NotFound` out
    of the actor's reach, `Invalid` for a date more than a day ahead, an unknown currency or lines that do not add up,
    `OrderRecorded` when the order was recorded before.
    """
    _check(body)
    currency = body.currency or get_settings().currency
    day = clock.business_day(body.occurred_at)
    rate = await rate_on(session, currency, day)
    base_amount = in_base_currency(body.amount, rate, body.kind)
    if abs(base_amount) >= MAX_AMOUNT:
        raise Invalid.at("/body/amount", f"in {get_settings().currency} this has more than 14 digits before the point")
    row = await _insert(session, actor, customer_id, body, currency, day, base_amount)
    audit.record(
        session,
        actor,
        "purchase.recorded",
        "purchase",
        row["id"],
        after={
            "customer_id": customer_id,
            "kind": body.kind,
            "amount": body.amount,
            "currency": currency,
            "order_ref": body.order_ref,
            "occurred_at": body.occurred_at,
        },
    )
    event = PurchaseRecorded(customer_id, row["id"], body.kind, body.amount, currency, body.occurred_at)
    given = await publish(session, event)
    return {"classes": {}, **row, "lines": [dict(line) for line in body.lines or [LineIn(amount=body.amount)]], **given}


def _check(body: PurchaseIn) -> None:
    if is_too_late(body.occurred_at, clock.business_now()):
        raise Invalid.at("/body/occurred_at", TOO_LATE)
    if body.kind == "refund" and not body.amount:
        raise Invalid.at("/body/amount", "a refund of nothing is no refund")
    _check_currency(body.currency or get_settings().currency, "/body/currency")
    if body.lines and sum(line.amount for line in body.lines) != body.amount:
        raise Invalid.at("/body/lines", "the lines' amounts must add up to the purchase's amount")


def _check_currency(code: str, pointer: str) -> None:
    if code not in CODES and code != get_settings().currency:
        raise Invalid.at(pointer, f"{code} is no currency of ISO 4217 such as EUR")


async def rate_on(session: ReadSession, currency: str, day: date) -> Decimal:
    """Base currency for one unit on a day. Raises `Invalid` when no rate of the last seven days is known."""
    if currency == get_settings().currency:
        return Decimal(1)
    r = exchange_rate.c
    rate = await session.scalar(
        select(r.rate)
        .where(r.currency == currency, r.day <= day, r.day > day - timedelta(days=RATE_DAYS))
        .order_by(r.day.desc())
        .limit(1)
    )
    if rate is None:
        raise Invalid.at(
            "/body/currency", f"there is no exchange rate for {currency} on {day}; put one with /v1/exchange-rates"
        )
    return Decimal(rate)


async def _insert(
    session: WriteSession,
    actor: Actor,
    customer_id: UUID,
    body: PurchaseIn,
    currency: str,
    day: date,
    base_amount: Decimal,
) -> Record:
    lines = body.lines or [LineIn(amount=body.amount)]
    try:
        row = await session.first(
            _insertion(actor),
            {
                "customer_id": customer_id,
                "order_ref": body.order_ref,
                "kind": body.kind,
                "occurred_at": body.occurred_at,
                "occurred_on": day,
                "amount": body.amount,
                "currency": currency,
                "base_amount": base_amount,
                **_line_arrays(lines, body),
                **scope_params(actor),
            },
        )
    except asyncpg.UniqueViolationError as error:
        raise OrderRecorded.at("/body/order_ref", f"the {body.kind} {body.order_ref} is recorded already") from error
    if row is None:
        raise NotFound("There is no such customer among those you may see")
    return row


def _line_arrays(lines: list[LineIn], body: PurchaseIn) -> dict[str, list[Any]]:
    """The lines, a column each: one statement inserts the purchase with however many lines."""
    hashes = [
        content_hash(line.product_ref, line.product_name, line.category, line.quantity, line.amount, body.occurred_at)
        for line in lines
    ]
    return {
        "hashes": hashes,
        "occurrences": [hashes[: n + 1].count(hashes[n]) for n in range(len(hashes))],
        "positions": list(range(1, len(lines) + 1)),
        "product_refs": [line.product_ref for line in lines],
        "product_names": [line.product_name for line in lines],
        "categories": [line.category for line in lines],
        "quantities": [line.quantity for line in lines],
        "amounts": [line.amount for line in lines],
    }


_insertions: dict[Scope | None, Prepared] = {}


def _insertion(actor: Actor) -> Prepared:
    """One statement for the actor's scope: hold the customer, insert the purchase and its lines."""
    scope = actor.scope(WRITE)
    if scope not in _insertions:
        _insertions[scope] = Prepared(_insert_held(actor))
    return _insertions[scope]


def _insert_held(actor: Actor) -> Select[Any]:
    types = {c.name: c.type for c in purchase.columns}
    customer = held(actor, WRITE).cte("held")
    names = ["order_ref", "kind", "occurred_at", "occurred_on", "amount", "currency", "base_amount"]
    recorded = (
        insert(purchase)
        .from_select(
            ["customer_id", *names], select(customer.c.id, *(bindparam(name, type_=types[name]) for name in names))
        )
        .returning(*purchase.columns)
        .cte("recorded")
    )
    arrays: list[tuple[str, TypeEngine[Any]]] = [
        ("hashes", BigInteger()),
        ("occurrences", Integer()),
        ("positions", Integer()),
        ("product_refs", Text()),
        ("product_names", Text()),
        ("categories", Text()),
        ("quantities", Numeric()),
        ("amounts", Numeric()),
    ]
    lines = (
        func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in arrays))
        .table_valued(*(name for name, _ in arrays))
        .render_derived()
    )
    written = (
        insert(purchase_line)
        .from_select(
            [
                "customer_id",
                "purchase_id",
                "content_hash",
                "occurrence",
                "position",
                "product_ref",
                "product_name",
                "category",
                "quantity",
                "amount",
            ],
            select(recorded.c.customer_id, recorded.c.id, *(lines.c[name] for name, _ in arrays)),
        )
        .cte("written")
    )
    return select(recorded).add_cte(written)


async def remove(session: WriteSession, actor: Actor, customer_id: UUID, purchase_id: UUID) -> None:
    """Take a purchase back that should never have been recorded; whoever heard of it hears of this.

    Raises `NotFound` out of the actor's reach. The audit trail keeps what it was.
    """
    reached = await session.first(held(actor, DELETE), {"customer_id": customer_id, **scope_params(actor)})
    p, line = purchase.c, purchase_line.c
    row = reached and await session.first(
        delete(purchase).where(p.customer_id == customer_id, p.id == purchase_id).returning(*purchase.columns)
    )
    if row is None:
        raise NotFound("There is no such purchase among those you may delete")
    await session.execute(delete(purchase_line).where(line.customer_id == customer_id, line.purchase_id == purchase_id))
    before = {name: row[name] for name in ("kind", "amount", "currency", "order_ref", "occurred_at")}
    audit.record(
        session, actor, "purchase.deleted", "purchase", purchase_id, before={"customer_id": customer_id, **before}
    )
    await publish(session, PurchaseDeleted(customer_id, purchase_id))


async def put_rates(session: WriteSession, actor: Actor, rates: list[ExchangeRate]) -> None:
    """Insert or replace exchange rates. Purchases recorded before keep the rate they were recorded with."""
    for index, rate in enumerate(rates):
        if rate.currency == get_settings().currency:
            raise Invalid.at(f"/body/rates/{index}/currency", "the base currency has no rate")
        _check_currency(rate.currency, f"/body/rates/{index}/currency")
        statement = upsert(exchange_rate).values(currency=rate.currency, day=rate.day, rate=rate.rate)
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["currency", "day"], set_={"rate": statement.excluded.rate, "updated_at": func.now()}
            )
        )
        audit.record(
            session,
            actor,
            "exchange_rate.put",
            "exchange_rate",
            f"{rate.currency} {rate.day}",
            after={"rate": rate.rate},
        )
