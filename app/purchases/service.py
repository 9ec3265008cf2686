"""Recording what a customer bought or gave back, one at a time."""

from collections.abc import Set
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import ColumnElement, Date, Text, column, delete, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

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
from app.purchases.money import RATE_DAYS, in_base_currency
from app.purchases.recording import insert_one, line_params, lines_of
from app.purchases.schemas import ExchangeRate, PurchaseIn

WRITE = "purchases:write"
DELETE = "purchases:delete"

Paid = tuple[str, date]
"""A currency and a day."""


class OrderRecorded(Conflict):
    type = "order-recorded"
    title = "This order of this customer is recorded already"


async def record(session: WriteSession, actor: Actor, customer_id: UUID, body: PurchaseIn) -> dict[str, Any]:
    """Record a purchase; whoever hears of it (classification) joins the transaction.

    The customer's row is held from here on: two purchases of one customer follow each other. Raises `NotFound` out
    of the actor's reach, `Invalid` for a date more than a day ahead, an unknown currency or lines that do not add up,
    `OrderRecorded` when the order was recorded before.
    """
    check(body)
    base_amount = in_base(body, await _rate_on(session, *paid(body)))
    row = await _insert(session, actor, customer_id, body, base_amount)
    given = await publish(session, written_down(session, actor, customer_id, row["id"], body))
    return {"classes": {}, **row, "lines": [dict(line) for line in lines_of(body)], **given}


def written_down(
    session: WriteSession, actor: Actor, customer_id: UUID, purchase_id: UUID, body: PurchaseIn
) -> PurchaseRecorded:
    """Have the audit say that it was recorded; the event that says so to others."""
    currency, _ = paid(body)
    audit.record(
        session,
        actor,
        "purchase.recorded",
        "purchase",
        purchase_id,
        after={
            "customer_id": customer_id,
            "kind": body.kind,
            "amount": body.amount,
            "currency": currency,
            "order_ref": body.order_ref,
            "occurred_at": body.occurred_at,
        },
    )
    return PurchaseRecorded(customer_id, purchase_id, body.kind, body.amount, currency, body.occurred_at)


def check(body: PurchaseIn) -> None:
    """Raises `Invalid` for what cannot be a purchase, whoever it is about and whatever currencies are worth."""
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


def paid(body: PurchaseIn) -> Paid:
    """The currency, and the local day in the business time zone, by which it is worth something."""
    return body.currency or get_settings().currency, clock.business_day(body.occurred_at)


def in_base(body: PurchaseIn, rate: Decimal | None) -> Decimal:
    """What it is worth in the base currency. Raises `Invalid` without a rate, and for what is too much."""
    if rate is None:
        currency, day = paid(body)
        raise Invalid.at(
            "/body/currency", f"there is no exchange rate for {currency} on {day}; put one with /v1/exchange-rates"
        )
    base_amount = in_base_currency(body.amount, rate, body.kind)
    if abs(base_amount) >= MAX_AMOUNT:
        raise Invalid.at("/body/amount", f"in {get_settings().currency} this has more than 14 digits before the point")
    return base_amount


async def _rate_on(session: ReadSession, currency: str, day: date) -> Decimal | None:
    """Base currency for one unit on a day; None when no rate of the last seven days is known."""
    if currency == get_settings().currency:
        return Decimal(1)
    rate: Decimal | None = await session.scalar(select(_latest_rate(literal(currency), literal(day))))
    return rate


async def rates_on(session: ReadSession, asked: Set[Paid]) -> dict[Paid, Decimal]:
    """Base currency for one unit of each of these currencies on its day, as far as it is known."""
    base = get_settings().currency
    known = {each: Decimal(1) for each in asked if each[0] == base}
    if foreign := sorted(asked - known.keys()):
        currencies, days = (list(each) for each in zip(*foreign, strict=True))
        given = (
            func.unnest(literal(currencies, ARRAY(Text)), literal(days, ARRAY(Date)))
            .table_valued(column("currency", Text()), column("day", Date()))
            .render_derived(name="asked")
        )
        rates = select(given.c.currency, given.c.day, _latest_rate(given.c.currency, given.c.day))
        known |= {(code, day): rate for code, day, rate in await session.all(rates) if rate is not None}
    return known


def _latest_rate(currency: ColumnElement[Any], day: ColumnElement[Any]) -> ColumnElement[Any]:
    r = exchange_rate.c
    return (
        select(r.rate)
        .where(r.currency == currency, r.day <= day, r.day > day - RATE_DAYS)
        .order_by(r.day.desc())
        .limit(1)
        .correlate_except(exchange_rate)
        .scalar_subquery()
    )


def columns_of(body: PurchaseIn) -> dict[str, Any]:
    """What the body says, as the table keeps it."""
    currency, day = paid(body)
    return {
        "order_ref": body.order_ref,
        "kind": body.kind,
        "occurred_at": body.occurred_at,
        "occurred_on": day,
        "amount": body.amount,
        "currency": currency,
    }


def recorded_already(body: PurchaseIn) -> str:
    """What is wrong with an order that was recorded before."""
    return f"the {body.kind} {body.order_ref} is recorded already"


async def _insert(
    session: WriteSession, actor: Actor, customer_id: UUID, body: PurchaseIn, base_amount: Decimal
) -> Record:
    given = {"customer_id": customer_id, **columns_of(body), "base_amount": base_amount}
    try:
        row = await session.first(_insertion(actor), {**given, **line_params(body), **scope_params(actor)})
    except asyncpg.UniqueViolationError as error:
        raise OrderRecorded.at("/body/order_ref", recorded_already(body)) from error
    if row is None:
        raise NotFound("There is no such customer among those you may see")
    return row


_insertions: dict[Scope | None, Prepared] = {}


def _insertion(actor: Actor) -> Prepared:
    """One statement for the actor's scope: hold the customer, insert the purchase and its lines."""
    scope = actor.scope(WRITE)
    if scope not in _insertions:
        _insertions[scope] = insert_one(actor, WRITE)
    return _insertions[scope]


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
    """Insert or replace exchange rates. Purchases recorded before keep the rate they were recorded with,
    until an import adds a line to one.
    """
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
