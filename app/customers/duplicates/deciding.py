"""What becomes of a pair: dismissed, opened again, or merged."""

from uuid import UUID

from sqlalchemy import delete, insert, or_

from app.core import audit
from app.core.db import Record, WriteSession
from app.core.errors import Conflict, NotFound
from app.customers.document import READ_CONTACT
from app.customers.duplicates.models import duplicate_dismissal
from app.customers.duplicates.queries import one, pair
from app.customers.duplicates.schemas import DismissalIn, DuplicateMergeIn
from app.customers.merging import merge as merging
from app.customers.merging.queries import PERMISSION
from app.customers.merging.schemas import MergeIn
from app.identity.actor import Actor

_x = duplicate_dismissal.c


class AlreadyDismissed(Conflict):
    type = "duplicate-dismissed"
    title = "Somebody said that these two are not the same; open the pair again first"


async def dismiss(session: WriteSession, actor: Actor, duplicate_id: UUID, body: DismissalIn) -> None:
    """Say that the two are not the same: whatever they have in common. Raises `NotFound`, `AlreadyDismissed`."""
    row = await _held(session, actor, duplicate_id)
    if row["dismissed_at"] is not None:
        raise AlreadyDismissed
    two = {name: row[name] for name in ("customer_id", "other_id")}
    await session.execute(insert(duplicate_dismissal).values(**two, why=body.why, dismissed_by=session.principal))
    _write_down(session, actor, "duplicate.dismissed", row)


async def reopen(session: WriteSession, actor: Actor, duplicate_id: UUID) -> None:
    """Take back that they are not the same. Raises `NotFound`, `Conflict` when nobody said so."""
    row = await _held(session, actor, duplicate_id)
    if row["dismissed_at"] is None:
        raise Conflict("Nobody said that these two are not the same")
    first, second = row["customer_id"], row["other_id"]
    said = or_((_x.customer_id == first) & (_x.other_id == second), (_x.customer_id == second) & (_x.other_id == first))
    await session.execute(delete(duplicate_dismissal).where(said))
    _write_down(session, actor, "duplicate.reopened", row)


async def decided(session: WriteSession, actor: Actor, duplicate_id: UUID) -> str:
    """The pair as it stands now, as JSON text."""
    return (await one(session, actor, duplicate_id, PERMISSION)).content


async def merge(session: WriteSession, actor: Actor, duplicate_id: UUID, body: DuplicateMergeIn) -> UUID:
    """Make one customer of the two; the merge's id. Raises `NotFound`, `AlreadyDismissed`, `Invalid`."""
    row = await pair(session, actor, duplicate_id, PERMISSION)
    if row["dismissed_at"] is not None:
        raise AlreadyDismissed
    two = row["customer_id"], row["other_id"]
    survivor_id, merged_id = two if body.survivor == "customer" else reversed(two)
    return await merging.merge(session, actor, MergeIn(survivor_id=survivor_id, merged_id=merged_id, take=body.take))


async def _held(session: WriteSession, actor: Actor, duplicate_id: UUID) -> Record:
    """The pair as it stands while both customers are held."""
    row = await pair(session, actor, duplicate_id, PERMISSION)
    two = [row["customer_id"], row["other_id"]]
    if len(await merging.hold(session, actor, two)) < len(two):
        raise NotFound("There is no such pair among the customers you may merge")
    return await pair(session, actor, duplicate_id, PERMISSION)


def _write_down(session: WriteSession, actor: Actor, action: str, row: Record) -> None:
    two = row["customer_id"], row["other_id"]
    for customer_id, with_id in (two, two[::-1]):
        # The answer shows both, with contact data as far as the actor may read it.
        after = {"other": with_id, "contact": actor.scope(READ_CONTACT)}
        audit.record(session, actor, action, "customer", customer_id, after=after)
