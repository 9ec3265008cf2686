"""Routes of portraits; a segment's is among the routes of segments."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path

from app.classification import queries, schemes
from app.classification.portraits import groups
from app.classification.portraits.drawing import portrait
from app.classification.schemas.portraits import PortraitOut
from app.core.bounds import Code, Key
from app.core.http.routes import ReadSession, router
from app.customers import document
from app.identity.access import Requires
from app.identity.actor import Actor

routes = router(tag="Classification")

READ_CUSTOMERS = "customers:read"
CanReadCustomers = Annotated[Actor, Depends(Requires(READ_CUSTOMERS))]
CanReadClasses = Annotated[Actor, Depends(Requires(queries.READ))]


@routes.get("/customers/{customer_id}/portrait", response_model=PortraitOut)
async def read_customer_portrait(
    actor: CanReadCustomers, session: ReadSession, customer_id: Annotated[UUID, Path(description="customer id")]
) -> object:
    """What the customer is like: value, classes, what it buys, when and how, against everybody you may see."""
    await document.check_visible(session, actor, customer_id, READ_CUSTOMERS)
    return await portrait(session, groups.one_customer(actor, READ_CUSTOMERS, customer_id))


@routes.get("/schemes/{key}/classes/{name}/portrait", response_model=PortraitOut)
async def read_class_portrait(
    actor: CanReadClasses,
    session: ReadSession,
    key: Annotated[Key, Path(description="scheme key, such as abc")],
    name: Annotated[Code, Path(description="class, such as A")],
) -> object:
    """What the customers of a class are like: value, other classes, what they buy, when and how, against everybody."""
    await schemes.check_class(session, key, name)
    return await portrait(session, groups.class_of(actor, queries.READ, key=key, name=name))
