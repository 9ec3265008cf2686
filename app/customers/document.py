"""A customer as JSON, made by PostgreSQL: one shape for every route that shows a customer.

Packages above add their own part with `extend`; contact data is masked here, in the statement, so that an
unmasked value never reaches a process whose actor may not see it.
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Date,
    Select,
    Text,
    bindparam,
    case,
    cast,
    false,
    func,
    literal,
    null,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSON

from app.core.db import Prepared, ReadSession
from app.core.errors import NotFound
from app.customers.models import customer, customer_identity
from app.identity import permissions
from app.identity.actor import Actor, Scope
from app.identity.scopes import scope_params, within_scope

READ_CONTACT = permissions.declare("customers:read_contact")

BY_SOURCE = select(customer.c.id.label("customer_id"), customer.c.source.label("value"))
"""Where the record says that each customer came from."""

_extensions: dict[str, ColumnElement[Any]] = {}
_selects: dict[tuple[Any, ...], Select[Any]] = {}
_prepared: dict[tuple[Any, ...], Prepared] = {}


def extend(parts: dict[str, ColumnElement[Any]]) -> None:
    """Add fields to every customer's JSON: expressions correlated with `customer.id`."""
    _extensions.update(parts)
    _selects.clear()
    _prepared.clear()


def visible_to(actor: Actor, permission: str = "customers:read") -> ColumnElement[bool]:
    """The one rule that decides whose customers one sees: through the owner, the unit, or both."""
    return within_scope(actor, permission, owner=customer.c.owner_id, unit=customer.c.unit_id)


def document(actor: Actor) -> ColumnElement[Any]:
    """The customer's JSON as text, contact data masked unless the actor may read it."""
    clear = visible_to(actor, READ_CONTACT)
    c = customer.c
    fields: dict[str, Any] = {
        "id": c.id,
        "kind": c.kind,
        "name": c.name,
        "title": c.title,
        "birthday": _masked(clear, c.birthday, cast(null(), Date)),
        "company_id": c.company_id,
        "region": c.region,
        "source": c.source,
        "language": c.language,
        **contact(clear),
        "identities": _identities(clear),
        "tags": c.tags,
        "owner_id": c.owner_id,
        "unit_id": c.unit_id,
        "custom": c.custom,
        **_extensions,
        "version": c.version,
        "created_at": c.created_at,
        "updated_at": c.updated_at,
    }
    pairs: list[Any] = []
    for name, value in fields.items():
        pairs += [literal(name, Text), value]
    return cast(func.json_build_object(*pairs), Text)


def contact(clear: ColumnElement[bool]) -> dict[str, ColumnElement[Any]]:
    """Phone and e-mail, masked where the condition does not hold: `visible_to(actor, READ_CONTACT)`."""
    c = customer.c
    return {
        "phone": _masked(clear, c.phone, mask_phone(c.phone)),
        "email": _masked(clear, c.email, mask_email(c.email)),
    }


def _identities(clear: ColumnElement[bool]) -> ColumnElement[Any]:
    i = customer_identity.c
    item = func.json_build_object(
        literal("kind", Text), i.kind, literal("value", Text), _masked(clear, i.value, mask_value(i.value))
    )
    return (
        select(func.coalesce(func.json_agg(item), cast(literal("[]", Text), JSON)))
        .where(i.customer_id == customer.c.id)
        .correlate(customer)
        .scalar_subquery()
    )


def _masked(clear: ColumnElement[bool], value: ColumnElement[Any], mask: ColumnElement[Any]) -> ColumnElement[Any]:
    if clear.compare(true()):
        return value
    if clear.compare(false()):
        return mask
    return case((clear, value), else_=mask)


def mask_phone(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """`+8613812341234` as `+86138****1234`; a short number not at all."""
    size = func.length(value)
    return case((size > 8, func.concat(func.left(value, size - 8), "****", func.right(value, 4))), (size > 0, "****"))


def mask_email(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """`li.wei@example.com` as `l***@example.com`."""
    return case((value.is_not(None), func.concat(func.left(value, 1), "***@", func.split_part(value, "@", 2))))


def mask_value(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """The first character only, and not even that of a very short value."""
    return func.concat(case((func.length(value) > 3, func.left(value, 1)), else_=""), "***")


def shape_for(actor: Actor, permission: str = "customers:read") -> tuple[Scope | None, Scope | None]:
    """What a prepared statement depends on besides its parameters: the actor's two scopes."""
    return actor.scope(permission), actor.scope(READ_CONTACT)


def documents(actor: Actor, permission: str = "customers:read") -> Select[Any]:
    """Visible customers as `document`, with `id` and `version`; callers add their conditions and order.

    Built once for all actors of the same two scopes: run it with `scope_params(actor)`. Without them it finds nobody.
    """
    shape = shape_for(actor, permission)
    if shape not in _selects:
        anybody = replace(actor, id=None, on_behalf_of=None, unit_ids=(), subtree_ids=())
        found = select(document(anybody).label("document"), customer.c.id, customer.c.version)
        _selects[shape] = found.where(visible_to(anybody, permission))
    return _selects[shape]


async def one(
    session: ReadSession, actor: Actor, customer_id: UUID, permission: str = "customers:read"
) -> tuple[str, int]:
    """One customer's JSON and version; `NotFound` when there is none that the actor may see."""
    shape = shape_for(actor, permission)
    prepared = _prepared.get(shape)
    if prepared is None:
        statement = documents(actor, permission).where(
            customer.c.id == bindparam("customer_id", type_=customer.c.id.type)
        )
        prepared = _prepared[shape] = Prepared(statement)
    row = await session.first(prepared, {"customer_id": customer_id, **scope_params(actor)})
    if row is None:
        raise NotFound("There is no such customer among those you may see")
    return row["document"], row["version"]


async def check_visible(
    session: ReadSession, actor: Actor, customer_id: UUID, permission: str = "customers:read"
) -> None:
    """Raises `NotFound` unless the permission reaches this customer."""
    seen = select(customer.c.id).where(customer.c.id == customer_id, visible_to(actor, permission))
    if await session.scalar(seen) is None:
        raise NotFound("There is no such customer among those you may see")
