"""Whom a portrait is of: everybody whom the actor may see, and who of them is inside."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Subquery, and_, select

from app.classification.models import customer_class
from app.customers.document import visible_to
from app.customers.models import customer
from app.identity.actor import Actor, Scope

READ_PURCHASES = "purchases:read"


@dataclass(frozen=True, slots=True)
class Group:
    """`seen` has a row for everybody: what the record says, `is_inside`, and `is_read`: whether purchases may be."""

    seen: Subquery
    sees_all: bool
    scheme: str | None = None
    """Of whose class it is; None if it is of no class."""


def class_of(actor: Actor, permission: str, *, key: str, name: str) -> Group:
    """The customers of a class, among those whom the permission reaches."""
    k = customer_class.c
    is_member = and_(k.customer_id == customer.c.id, k.scheme == key, k.class_ == name)
    seen = _seen(actor, permission, customer.outerjoin(customer_class, is_member), k.customer_id.is_not(None))
    return Group(seen, _sees_all(actor, permission), key)


def one_customer(actor: Actor, permission: str, customer_id: UUID) -> Group:
    """One customer, among those whom the permission reaches."""
    seen = _seen(actor, permission, customer, customer.c.id == customer_id)
    return Group(seen, _sees_all(actor, permission))


def _seen(actor: Actor, permission: str, rows: FromClause, is_inside: ColumnElement[Any]) -> Subquery:
    c = customer.c
    return (
        select(
            *(c.id, c.kind, c.region, c.language, c.tags),
            is_inside.label("is_inside"),
            visible_to(actor, READ_PURCHASES).label("is_read"),
        )
        .select_from(rows)
        .where(visible_to(actor, permission))
        .subquery("seen")
    )


def _sees_all(actor: Actor, permission: str) -> bool:
    return actor.scope(permission) is Scope.ALL
