"""SELECTs over interactions."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, any_, cast, func, literal, select, union_all
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.db import ReadSession
from app.core.errors import NotFound
from app.core.http.paging import Page
from app.customers.document import visible_to
from app.customers.models import customer
from app.customers.seen import looked_up_first
from app.customers.timeline import TimelinePart
from app.identity.actor import Actor
from app.identity.models import user_account
from app.interactions.models import interaction, interaction_version
from app.interactions.participants import named

READ = "interactions:read"


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """An interaction, or a version of one, as its answer says it."""
    found = dict(row)
    due_on = found.pop("next_step_due_on")
    what = found["next_step"]
    return {**found, "next_step": None if what is None else {"what": what, "due_on": due_on}}


def visible_interactions(actor: Actor) -> Select[Any]:
    """Interactions, as they stand, of the customers whose interactions this actor may read."""
    return select(interaction).join(customer, customer.c.id == interaction.c.customer_id).where(visible_to(actor, READ))


async def one(session: ReadSession, actor: Actor, customer_id: UUID, interaction_id: UUID) -> dict[str, Any]:
    """One interaction as it stands. Raises `NotFound` out of the actor's reach."""
    i = interaction.c
    row = await session.first(visible_interactions(actor).where(i.customer_id == customer_id, i.id == interaction_id))
    if row is None:
        raise NotFound("There is no such interaction among those you may see")
    found = shown(row)
    await named(session, actor, [found])
    return found


async def page_of_interactions(
    session: ReadSession, actor: Actor, page: Page, *, filters: Mapping[str, Any], customer_id: UUID | None = None
) -> dict[str, Any]:
    """A page, the latest first."""
    statement = visible_interactions(actor).where(*_conditions(filters))
    if customer_id is None:
        statement = statement.where(*await looked_up_first(session, actor, READ, interaction.c.customer_id))
    else:
        statement = statement.where(interaction.c.customer_id == customer_id)
    found = await page.latest_facts(session, statement, interaction, filters, shown)
    await named(session, actor, found["items"])
    return found


def _conditions(filters: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    i = interaction.c
    made = {
        "kind": lambda value: i.kind == value,
        "outcome": lambda value: i.outcome == value,
        "since": lambda value: i.occurred_at >= value,
        "until": lambda value: i.occurred_at < value,
    }
    return [made[name](value) for name, value in filters.items()]


async def page_of_versions(
    session: ReadSession, actor: Actor, customer_id: UUID, interaction_id: UUID, page: Page
) -> dict[str, Any]:
    """What it says and what it said before, the latest version first. Raises `NotFound` out of the actor's reach."""
    await one(session, actor, customer_id, interaction_id)
    names = [column.name for column in interaction.columns]
    every = union_all(
        *(
            select(*(table.c[name] for name in names)).where(
                table.c.customer_id == customer_id, table.c.id == interaction_id
            )
            for table in (interaction, interaction_version)
        )
    ).subquery("every")
    statement = select(every).order_by(every.c.version.desc()).limit(page.limit + 1)
    if (after := page.after()) is not None:
        statement = statement.where(every.c.version < after[0])
    rows = await session.all(statement)
    on_it = rows[: page.limit]
    last = [on_it[-1]["version"]] if on_it else []
    items = [shown(row) for row in on_it]
    await named(session, actor, items)
    return {"items": items, "next_cursor": page.next_cursor(rows, last)}


async def known_staff(session: ReadSession, staff_ids: set[UUID]) -> set[UUID]:
    """Those of these ids that are users'."""
    if not staff_ids:
        return set()
    wanted = any_(literal(list(staff_ids), ARRAY(UuidType)))
    return {row["id"] for row in await session.all(select(user_account.c.id).where(user_account.c.id == wanted))}


def _timeline() -> Select[Any]:
    i = interaction.c
    details = func.jsonb_build_object(
        *(
            part
            for name in ("kind", "direction", "outcome", "subject", "matter")
            for part in (literal(name, Text), i[name])
        )
    )
    return select(i.customer_id, i.occurred_at.label("at"), cast(i.id, Text).label("id"), details.label("details"))


TIMELINE = TimelinePart(READ, _timeline())
"""Interactions, as they stand, on a customer's timeline."""
