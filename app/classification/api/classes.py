"""Routes of a customer's metrics and classes."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query

from app.classification import explain, history, measurements, queries, schemes
from app.classification.schemas.classes import ClassHistory, ClassList, ClassOut
from app.classification.schemas.explanations import ExplanationOut
from app.classification.schemas.metrics import MetricsOut
from app.core import clock
from app.core.bounds import Instant, Key, PastInstant
from app.core.errors import NotFound
from app.core.http.languages import AskedLanguage
from app.core.http.paging import Paging
from app.core.http.routes import ReadSession, router
from app.customers import document
from app.identity.access import Reads
from app.identity.actor import Actor

routes = router(tag="Classification")

CanReadClasses = Annotated[Actor, Depends(Reads("classes:read", "class"))]  # with why one was overridden
CustomerId = Annotated[UUID, Path(description="customer id")]
SchemeKey = Annotated[Key, Path(description="scheme key, such as abc")]
AsOfQuery = Annotated[Instant | None, Query(description="an instant with its zone")]
PastQuery = Annotated[PastInstant | None, Query(description="an instant with its zone; now when left out")]


@routes.get("/customers/{customer_id}/metrics", response_model=MetricsOut)
async def read_metrics(actor: CanReadClasses, session: ReadSession, customer_id: CustomerId) -> object:
    """What is measured of a customer, as of now."""
    await document.check_visible(session, actor, customer_id, queries.READ)
    return await measurements.of_customer(session, customer_id, clock.business_now())


@routes.get("/customers/{customer_id}/classes", response_model=ClassList)
async def list_customer_classes(
    actor: CanReadClasses, session: ReadSession, customer_id: CustomerId, as_of: PastQuery = None
) -> object:
    """A customer's classes now, or as they stood at an instant."""
    await document.check_visible(session, actor, customer_id, queries.READ)
    if as_of is not None:
        return {"items": await history.classes_at(session, customer_id, as_of)}
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
    return await history.history_of(session, customer_id, key, page)


@routes.get("/customers/{customer_id}/classes/{key}/explanation", response_model=ExplanationOut)
async def explain_class(
    actor: CanReadClasses,
    session: ReadSession,
    customer_id: CustomerId,
    key: SchemeKey,
    language: AskedLanguage,
    as_of: AsOfQuery = None,
) -> object:
    """Why the customer is in its class: inputs, thresholds, each condition, and the way to the next class.

    With `as_of` in the past: from the facts up to that instant, by the version and the breakpoints then in force.
    """
    await document.check_visible(session, actor, customer_id, queries.READ)
    return await explain.explain(session, await schemes.get(session, key), customer_id, as_of, language)
