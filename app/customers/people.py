"""Contacts: whom one speaks with at a customer, a company above all, in which role, from one day to another.

A contact who is a customer too is named by `person_id`, anybody else by `name`.
"""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Select, and_, func, select

from app.core.db import WriteSession
from app.core.errors import Invalid
from app.customers.document import visible_to
from app.customers.models import customer, customer_contact
from app.customers.parts import Part, Values
from app.customers.queries import keep_all
from app.identity.actor import Actor


async def _check(session: WriteSession, actor: Actor, customer_id: UUID, values: Values, new: Collection[str]) -> None:
    if values["since"] and values["until"] and values["until"] < values["since"]:
        raise Invalid.at("/body/until", "this day lies before since")
    if values["person_id"] is None:
        if values["name"] is None:
            raise Invalid.at("/body/name", "give the contact a name, or say by person_id which customer it is")
        return
    if "person_id" not in new:
        return  # whoever it is, it may be somebody whom the actor does not see
    await keep_all(session)
    c = customer.c
    person = select(c.id).where(c.id == values["person_id"], c.kind == "person", visible_to(actor))
    if values["person_id"] == customer_id or await session.scalar(person) is None:
        raise Invalid.at("/body/person_id", "there is no such person among the customers you may see")


def _shown(part: Part, actor: Actor) -> Select[tuple[object, ...]]:
    """With the name that the person's own record says, where the actor may see that one."""
    t = part.table.c
    theirs = and_(customer.c.id == t.person_id, visible_to(actor))
    stored = [column for column in t if column is not t.name]
    name = func.coalesce(t.name, customer.c.name).label("name")
    return select(*stored, name).select_from(part.table.outerjoin(customer, theirs))


CONTACTS = Part(customer_contact, "contact", "contacts:read", "contacts:write", check=_check, shown=_shown)
