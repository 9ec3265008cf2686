"""Routes of purchases and exchange rates."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query

from app.core.bounds import CurrencyCode
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.customers import document
from app.customers.fact_batches import FactBatchOut
from app.identity.access import Requires
from app.identity.actor import Actor
from app.purchases import batch, queries, service
from app.purchases.schemas import (
    ExchangeRatePage,
    ExchangeRatesIn,
    PurchaseBatchIn,
    PurchaseIn,
    PurchasePage,
    PurchaseRecordedOut,
)

routes = router(tag="Purchases")

CanReadPurchases = Annotated[Actor, Depends(Requires("purchases:read"))]
CanRecordPurchases = Annotated[Actor, Depends(Requires("purchases:write"))]
CanDeletePurchases = Annotated[Actor, Depends(Requires("purchases:delete"))]
CanReadRates = Annotated[Actor, Depends(Requires("exchange_rates:read"))]
CanWriteRates = Annotated[Actor, Depends(Requires("exchange_rates:write"))]
CustomerId = Annotated[UUID, Path(description="customer id")]
PurchaseId = Annotated[UUID, Path(description="purchase id")]


@routes.post("/customers/{customer_id}/purchases", status_code=201, response_model=PurchaseRecordedOut)
async def record_purchase(
    actor: CanRecordPurchases, session: WriteSession, customer_id: CustomerId, body: PurchaseIn
) -> object:
    """Record a purchase or refund; the customer's classes follow in the same transaction."""
    return await service.record(session, actor, customer_id, body)


@routes.get("/customers/{customer_id}/purchases", response_model=PurchasePage)
async def list_customer_purchases(
    actor: CanReadPurchases, session: ReadSession, customer_id: CustomerId, page: Paging
) -> object:
    """A customer's purchases, the latest first."""
    await document.check_visible(session, actor, customer_id, "purchases:read")
    return await queries.page_of_purchases(session, actor, page, customer_id=customer_id)


@routes.delete("/customers/{customer_id}/purchases/{purchase_id}", status_code=204)
async def delete_purchase(
    actor: CanDeletePurchases, session: WriteSession, customer_id: CustomerId, purchase_id: PurchaseId
) -> None:
    """Take a purchase back that should never have been recorded; the customer's classes follow."""
    await service.remove(session, actor, customer_id, purchase_id)


@routes.get("/purchases", response_model=PurchasePage)
async def list_purchases(actor: CanReadPurchases, session: ReadSession, page: Paging) -> object:
    """Purchases across customers, the latest first."""
    return await queries.page_of_purchases(session, actor, page)


@routes.post("/purchases/batch", response_model=FactBatchOut)
async def record_purchases(actor: CanRecordPurchases, session: WriteSession, body: PurchaseBatchIn) -> object:
    """Record up to 1,000 purchases and refunds: the good rows are kept, the others say what is wrong with them.

    An order that is recorded already is refused, so that the same request again changes nothing. Each customer's
    classes follow in the same transaction, once for all of its rows.
    """
    return await batch.record_all(session, actor, body.purchases)


@routes.get("/exchange-rates", response_model=ExchangeRatePage)
async def list_exchange_rates(
    actor: CanReadRates,
    session: ReadSession,
    page: Paging,
    currency: Annotated[CurrencyCode | None, Query()] = None,
) -> object:
    """Exchange rates, the latest day first."""
    return await queries.page_of_rates(session, page, currency=currency)


@routes.put("/exchange-rates", status_code=204)
async def put_exchange_rates(actor: CanWriteRates, session: WriteSession, body: ExchangeRatesIn) -> None:
    """Put rates: base currency for one unit of the currency on a day. A rate that is there is replaced."""
    await service.put_rates(session, actor, body.rates)


routers = [routes]
