"""Routes of schemes, classes and recalculations."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Query, Response

from app.classification import explain, measurements, queries, recalculations, schemes
from app.classification.engine import Scheme
from app.classification.schemas import (
    AsOf,
    BreakpointsOut,
    ClassCounts,
    ClassHistory,
    ClassList,
    ClassOut,
    ExplanationOut,
    MetricsOut,
    RecalculationIn,
    RecalculationOut,
    RecalculationPage,
    SchemeList,
    SchemeOut,
)
from app.core import clock
from app.core.bounds import Instant, Key
from app.core.errors import NotFound
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, WriteSession, router
from app.customers import document
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(tag="Classification")

CanReadSchemes = Annotated[Actor, Depends(Requires("schemes:read"))]
CanReadClasses = Annotated[Actor, Depends(Requires("classes:read"))]
CanReadRecalculations = Annotated[Actor, Depends(Requires("recalculations:read"))]
CanRecalculate = Annotated[Actor, Depends(Requires("recalculations:write"))]
CustomerId = Annotated[UUID, Path(description="customer id")]
SchemeKey = Annotated[Key, Path(description="scheme key, such as abc")]
AsOfQuery = Annotated[Instant | None, Query(description="an instant with its zone")]


@routes.get("/schemes", response_model=SchemeList)
async def list_schemes(actor: CanReadSchemes, session: ReadSession) -> object:
    """The published schemes and their documents."""
    return {"items": [_scheme(each) for each in (await schemes.published(session)).schemes]}


@routes.get("/schemes/{key}", response_model=SchemeOut)
async def read_scheme(actor: CanReadSchemes, session: ReadSession, key: SchemeKey) -> object:
    """One scheme and its document."""
    return _scheme(await schemes.get(session, key))


def _scheme(each: Scheme) -> dict[str, Any]:
    return {
        "key": each.key,
        "title": each.title,
        "version": each.version,
        "document": each.document,
        "classes": each.document.class_names,
    }


@routes.get("/schemes/{key}/classes", response_model=ClassCounts)
async def count_classes(actor: CanReadClasses, session: ReadSession, key: SchemeKey) -> object:
    """Customers and revenue of each class, among the customers you may see; the best class first."""
    each = await schemes.get(session, key)
    items = await queries.classes_summary(session, actor, key)
    order = {name: n for n, name in enumerate(each.document.class_names)}
    return {"items": sorted(items, key=lambda item: order.get(item["class"], len(order)))}


@routes.get("/schemes/{key}/breakpoints", response_model=BreakpointsOut)
async def read_breakpoints(actor: CanReadSchemes, session: ReadSession, key: SchemeKey) -> object:
    """The breakpoints in force: what the population decided, and as of when."""
    await schemes.get(session, key)
    return await queries.current_breakpoints(session, key)


@routes.get("/customers/{customer_id}/metrics", response_model=MetricsOut)
async def read_metrics(actor: CanReadClasses, session: ReadSession, customer_id: CustomerId) -> object:
    """What is measured of a customer, as of now."""
    await document.check_visible(session, actor, customer_id, queries.READ)
    return await measurements.of_customer(session, customer_id, clock.business_now())


@routes.get("/customers/{customer_id}/classes", response_model=ClassList)
async def list_customer_classes(
    actor: CanReadClasses, session: ReadSession, customer_id: CustomerId, as_of: AsOfQuery = None
) -> object:
    """A customer's classes now, or as they stood at an instant."""
    await document.check_visible(session, actor, customer_id, queries.READ)
    if as_of is not None:
        return {"items": await queries.classes_at(session, customer_id, as_of)}
    return {"items": await queries.classes_of(session, customer_id)}


@routes.get("/customers/{customer_id}/classes/{key}", response_model=ClassOut)
async def read_customer_class(
    actor: CanReadClasses, session: ReadSession, customer_id: CustomerId, key: SchemeKey
) -> object:
    """A customer's class in one scheme."""
    await document.check_visible(session, actor, customer_id, queries.READ)
    await schemes.get(session, key)
    found = await queries.classes_of(session, customer_id, key)
    if not found:
        raise NotFound(f"{key} has not classified this customer")
    return found[0]


@routes.get("/customers/{customer_id}/classes/{key}/history", response_model=ClassHistory)
async def list_class_changes(
    actor: CanReadClasses, session: ReadSession, customer_id: CustomerId, key: SchemeKey, page: Paging
) -> object:
    """How the class came to be: every change and its reason, the latest first."""
    await document.check_visible(session, actor, customer_id, queries.READ)
    await schemes.get(session, key)
    return await queries.history_of(session, customer_id, key, page)


@routes.get("/customers/{customer_id}/classes/{key}/explanation", response_model=ExplanationOut)
async def explain_class(
    actor: CanReadClasses, session: ReadSession, customer_id: CustomerId, key: SchemeKey, as_of: AsOfQuery = None
) -> object:
    """Why the customer is in its class: inputs, thresholds, each condition, and the way to the next class."""
    await document.check_visible(session, actor, customer_id, queries.READ)
    return await explain.explain(session, await schemes.get(session, key), customer_id, as_of)


@routes.post("/recalculations", status_code=202, response_model=RecalculationOut)
async def recalculate(
    actor: CanRecalculate, session: WriteSession, response: Response, body: RecalculationIn
) -> object:
    """Recalculate everybody in the background, from the facts."""
    recalculation_id = await recalculations.request(
        session, actor, keys=body.schemes, as_of=_instant(body.as_of), refit=body.refit
    )
    response.headers["location"] = f"/v1/recalculations/{recalculation_id}"
    return await queries.one_recalculation(session, recalculation_id)


def _instant(as_of: AsOf | None) -> datetime | None:
    """A day means its end, or now if it is today."""
    if as_of is None or isinstance(as_of, datetime):
        return as_of
    now = clock.business_now()
    return now if as_of == clock.business_day(now) else clock.end_of_day(as_of)


@routes.get("/recalculations", response_model=RecalculationPage)
async def list_recalculations(actor: CanReadRecalculations, session: ReadSession, page: Paging) -> object:
    """Recalculations, the latest first."""
    return await queries.page_of_recalculations(session, page)


@routes.get("/recalculations/{recalculation_id}", response_model=RecalculationOut)
async def read_recalculation(actor: CanReadRecalculations, session: ReadSession, recalculation_id: UUID) -> object:
    """A recalculation and how far it is."""
    return await queries.one_recalculation(session, recalculation_id)


@routes.post("/recalculations/{recalculation_id}/cancel", response_model=RecalculationOut)
async def cancel_recalculation(actor: CanRecalculate, session: WriteSession, recalculation_id: UUID) -> object:
    """Stop before the next chunk; what is done stays done."""
    await recalculations.cancel(session, actor, recalculation_id)
    return await queries.one_recalculation(session, recalculation_id)


routers = [routes]
