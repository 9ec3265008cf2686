"""Customers change hands: between owners and units, one or many at once, with a history of who had them when."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import Uuid as UuidType
from sqlalchemy import any_, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.core import audit
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Forbidden, Invalid
from app.core.events import publish
from app.core.http.etag import check_version
from app.core.http.paging import Page
from app.customers.document import check_visible, visible_to
from app.customers.events import CustomersChanged
from app.customers.hands import note_hands
from app.customers.models import customer, customer_transfer
from app.customers.service import locked, note_shown, unknown_reference
from app.identity import permissions
from app.identity.actor import Actor
from app.identity.queries import active_user

TRANSFER = permissions.declare("customers:transfer")


async def page_of(session: ReadSession, actor: Actor, customer_id: UUID, page: Page) -> dict[str, Any]:
    """In whose hands the customer was, the latest first. Raises `NotFound`."""
    await check_visible(session, actor, customer_id)
    return await page.latest_first(
        session, select(customer_transfer).where(customer_transfer.c.customer_id == customer_id)
    )


async def transfer(
    session: WriteSession, actor: Actor, customer_id: UUID, to: Mapping[str, UUID | None], *, expected: int | None
) -> None:
    """Put one customer into other hands. Raises `NotFound`, `Invalid`, and `Forbidden` for what lies out of reach."""
    before = await locked(session, actor, customer_id, TRANSFER)
    check_version(before["version"], expected)
    await check_hands(session, to)
    if not await move(session, actor, [before], to):
        note_shown(session, actor, customer_id)


async def check_hands(session: ReadSession, to: Mapping[str, UUID | None], *, at: str = "/body") -> None:
    """Raises `Invalid` for an owner who is not there, or can no longer log in; `at` is where the request says so."""
    if not to:
        raise Invalid.at(at, "Say to which owner, to which unit, or both")
    owner_id = to.get("owner_id")
    if owner_id is not None and await session.first(active_user(owner_id)) is None:
        raise Invalid.at(f"{at}/owner_id", "There is no such active user")


async def move(
    session: WriteSession,
    actor: Actor,
    rows: Sequence[Record],
    to: Mapping[str, UUID | None],
    *,
    transfer_id: UUID | None = None,
) -> int:
    """Put these locked customers into other hands; how many were not in them. One statement, however many.

    Raises `Forbidden` when the actor's permission does not reach where they go.
    """
    moved = [row for row in rows if any(row[name] != value for name, value in to.items())]
    if not moved:
        return 0
    ids = [row["id"] for row in moved]
    those = customer.c.id == any_(literal(ids, ARRAY(UuidType)))
    versioned = {"version": customer.c.version + 1, "updated_at": func.now()}
    try:
        await session.execute(update(customer).where(those).values(**to, **versioned))
    except asyncpg.ForeignKeyViolationError as error:
        raise unknown_reference(error, "/body") from error
    reached = select(func.count()).select_from(customer).where(those, visible_to(actor, TRANSFER))
    if await session.scalar(reached) != len(ids):
        raise Forbidden("This owner and unit lie outside what your role may transfer")
    for row in moved:
        after = {name: value for name, value in to.items() if row[name] != value}
        before = {name: row[name] for name in after}
        audit.record(session, actor, "customer.transferred", "customer", row["id"], before=before, after=after)
        await note_hands(session, row, to, transfer_id=transfer_id)
    await publish(session, CustomersChanged(ids, sorted(to)))
    return len(ids)
