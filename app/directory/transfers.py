"""Transfers of many customers: asked for, followed, cancelled. A transfer is its asker's alone."""

from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from app.core import audit, work
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Invalid, NotFound
from app.core.http.paging import Page
from app.core.jobs import JobContext
from app.customers.transfers import check_hands
from app.directory.models import transfer
from app.directory.queries import condition_of
from app.directory.schemas import TransferOfManyIn
from app.identity.actor import Actor, as_kept
from app.identity.models import org_unit

JOB = "transfers.run"
WHOM = ("customer_ids", "from_owner_id", "from_unit_id", "where")
_SHOWN = [column for column in transfer.columns if column.name != "actor"]


async def request(session: WriteSession, actor: Actor, body: TransferOfManyIn) -> UUID:
    """Ask for a transfer. Raises `Invalid` and `Forbidden` for what may not be asked, naming the field."""
    await _check(session, actor, body)
    asked = body.model_dump(mode="json", by_alias=True, exclude_unset=True)
    transfer_id = await work.queue(session, transfer, JOB, asked=asked, actor=as_kept(actor), dry_run=body.dry_run)
    after = {"to": asked["to"], "by": sorted(asked.keys() & set(WHOM)), "dry_run": body.dry_run}
    audit.record(session, actor, "transfer.requested", "transfer", transfer_id, after=after)
    return transfer_id


async def _check(session: ReadSession, actor: Actor, body: TransferOfManyIn) -> None:
    if all(getattr(body, name) is None for name in WHOM):
        raise Invalid.at("/body", f"Say whom to move: by {', '.join(WHOM)}, or several of them")
    to = hands_of(body)
    await check_hands(session, to, at="/body/to")
    unit_id = to.get("unit_id")
    if unit_id is not None and await session.scalar(select(org_unit.c.id).where(org_unit.c.id == unit_id)) is None:
        raise Invalid.at("/body/to/unit_id", "there is no such unit")
    if body.where is not None:
        await condition_of(session, actor, body.where)


def hands_of(asked: TransferOfManyIn) -> dict[str, UUID | None]:
    """Into whose hands; what was not said stays as it is."""
    return asked.to.model_dump(exclude_unset=True)


async def one(session: ReadSession, transfer_id: UUID, principal: str) -> dict[str, Any]:
    """A transfer and how far it is. Raises `NotFound` for another's."""
    return _progress(await _own(session, transfer_id, principal))


async def page_of(session: ReadSession, page: Page, principal: str) -> dict[str, Any]:
    """A page of what this principal asked for, the latest first."""
    return await page.latest_first(session, select(*_SHOWN).where(transfer.c.requested_by == principal), _progress)


async def cancel(session: WriteSession, actor: Actor, transfer_id: UUID) -> None:
    """Stop before the next block. Raises `NotFound` for another's, and `Conflict` when it has ended."""
    await _own(session, transfer_id, session.principal)
    await work.cancel(session, actor, transfer, transfer_id)


async def forget_ended(context: JobContext) -> None:
    """The job: what was searched for is kept no longer than it is needed."""
    async with context.database.transaction() as session:
        await forget_searches(session)


async def forget_searches(session: WriteSession) -> None:
    """Of a transfer that has ended, whose customers they were is not kept: a search may name a person."""
    t = transfer.c
    searched = (~work.under_way(transfer), t.asked.has_key("where"))
    await session.execute(update(transfer).where(*searched).values(asked=t.asked.delete_path(["where"])))


async def _own(session: ReadSession, transfer_id: UUID, principal: str) -> Record:
    row = await session.first(
        select(transfer).where(transfer.c.id == transfer_id, transfer.c.requested_by == principal)
    )
    if row is None:
        raise NotFound("There is no such transfer among your own")
    return row


def _progress(row: Record) -> dict[str, Any]:
    return {**work.progress(row, row["processed"], row["total"]), "to": row["asked"]["to"]}
