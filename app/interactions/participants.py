"""Who took part on the customer's side: a contact of the customer, under the name it goes by, or anybody by a name.

An interaction keeps the name that a contact had when it was written down, so that it can be read without the contact.
A contact who is a customer too has a record of its own, which alone says the name: erasing that one leaves none here.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Uuid as UuidType
from sqlalchemy import and_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.db import ReadSession
from app.core.errors import FieldError, Invalid
from app.customers.document import visible_to
from app.customers.models import customer
from app.customers.people import CONTACTS
from app.identity.actor import Actor

UNKNOWN_CONTACT = "the customer has no such contact among those you may see"

Pair = tuple[UUID, UUID]
"""A customer and a contact of it."""


class Known(NamedTuple):
    """A contact as an actor is shown it, and the name that is kept."""

    name: str | None
    kept_name: str | None
    role: str | None


async def known(session: ReadSession, actor: Actor, pairs: Collection[Pair]) -> dict[Pair, Known]:
    """Those of these contacts whom the actor may read."""
    if not pairs:
        return {}
    customers, contacts = (literal(list(each), ARRAY(UuidType)) for each in zip(*pairs, strict=True))
    asked = func.unnest(customers, contacts).table_valued("customer_id", "id", name="asked").render_derived()
    there = CONTACTS.shown(CONTACTS, actor).subquery("there")
    rows = await session.all(
        select(there.c.customer_id, there.c.id, there.c.name, there.c.person_id, there.c.role)
        .select_from(asked)
        .join(there, and_(there.c.customer_id == asked.c.customer_id, there.c.id == asked.c.id))
        .join(customer, and_(customer.c.id == there.c.customer_id, visible_to(actor, CONTACTS.READ)))
    )
    return {
        (row["customer_id"], row["id"]): Known(
            row["name"], row["name"] if row["person_id"] is None else None, row["role"]
        )
        for row in rows
    }


async def checked(
    session: ReadSession,
    actor: Actor,
    customer_id: UUID,
    given: Sequence[Mapping[str, Any]],
    before: Iterable[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """The participants as they are kept. Who was one before stays so, also without the contact. Raises `Invalid`."""
    found = await known(session, actor, {(customer_id, each["contact_id"]) for each in given if each["contact_id"]})
    were = {each["contact_id"]: each for each in before if each["contact_id"]}
    kept: list[dict[str, Any]] = []
    unknown: list[FieldError] = []
    for n, each in enumerate(given):
        contact_id = each["contact_id"]
        if contact_id is None:
            kept.append(dict(each))
        elif contact := found.get((customer_id, contact_id)):
            kept.append(_kept(contact_id, contact, each["role"]))
        elif str(contact_id) in were:
            kept.append({**were[str(contact_id)], "role": each["role"]})
        else:
            unknown.append(FieldError(f"/body/contacts/{n}/contact_id", UNKNOWN_CONTACT))
    if unknown:
        raise Invalid("Correct the fields named in errors", errors=unknown)
    return kept


def _kept(contact_id: UUID, contact: Known, role: str | None) -> dict[str, Any]:
    return {"contact_id": str(contact_id), "name": contact.kept_name, "role": role or contact.role}


async def named(session: ReadSession, actor: Actor, interactions: Sequence[dict[str, Any]]) -> None:
    """Write in the names that participants who are contacts go by now, where the actor may read them."""
    those = [
        (participant, (each["customer_id"], UUID(participant["contact_id"])))
        for each in interactions
        for participant in each["contacts"]
        if participant.get("contact_id")
    ]
    found = await known(session, actor, {pair for _, pair in those})
    for participant, pair in those:
        if (contact := found.get(pair)) and contact.name is not None:
            participant["name"] = contact.name
