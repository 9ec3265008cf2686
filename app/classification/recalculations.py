"""Recalculations: asked for, enqueued after what calls for one, read, and called off."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.classification import refits, schemes
from app.classification.models import customer_metrics, dirty_customer, recalculation
from app.core import audit, clock, work
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, Invalid
from app.core.http.paging import Page
from app.core.jobs import JobContext
from app.identity.actor import Actor
from app.imports.events import ImportCompleted


async def request(session: WriteSession, actor: Actor, *, keys: list[str], as_of: datetime | None, refit: bool) -> UUID:
    """Ask for a recalculation of everybody. Raises `Invalid` for unknown schemes or an as_of in the future."""
    known = (await schemes.current(session)).keys
    for index, key in enumerate(keys):
        if key not in known:
            raise Invalid.at(f"/body/schemes/{index}", f"there is no scheme {key}; there are: {', '.join(known)}")
    if as_of is not None and as_of > clock.business_now():
        raise Invalid.at("/body/as_of", "this instant lies in the future")
    wanted = keys or known
    recalculation_id = await queue(session, "all", "refit" if refit else "request", wanted, as_of=as_of, refit=refit)
    after = {"schemes": wanted, "as_of": as_of, "refit": refit}
    audit.record(session, actor, "recalculation.requested", "recalculation", recalculation_id, after=after)
    return recalculation_id


async def queue(
    session: WriteSession,
    scope: str,
    cause: str,
    keys: list[str],
    *,
    refit: bool,
    as_of: datetime | None = None,
    publishes: int | None = None,
    movement: str | None = None,
    released_from: datetime | None = None,
    phase: str = "metrics",
) -> UUID:
    """Enqueue a recalculation that begins with this phase."""
    return await work.queue(
        session,
        recalculation,
        "recalculations.run",
        schemes=keys,
        scope=scope,
        as_of=as_of,
        refit=refit,
        publishes=publishes,
        movement=movement,
        released_from=released_from,
        phase=phase,
        cause=cause,
        correlation_id=session.correlation_id,
    )


async def enqueue_after_import(session: WriteSession, event: ImportCompleted) -> None:
    """Classify what an import brought; schemes that still need breakpoints get them from it."""
    cause = f"import:{event.import_id}"
    found = await schemes.current(session)
    if not found.keys:
        return
    wanting = await refits.without_breakpoints(session)
    fitted = [key for key, each in found.schemes.items() if each.document.breakpoint_paths and key not in wanting]
    if wanting and not fitted:
        # The first import of all: everybody is measured and classified in one go.
        await queue(session, "all", cause, found.keys, refit=True)
        return
    await queue(session, "dirty", cause, found.keys, refit=False)
    if wanting:
        await queue(session, "all", cause, wanting, refit=True, phase="fit")


async def enqueue_after_prediction(session: WriteSession) -> None:
    """Classify again those of whom something else is expected now."""
    await queue(session, "dirty", "refit", (await schemes.current(session)).keys, refit=False)


async def run_nightly(context: JobContext) -> None:
    """Fit what is due, and what could not be fitted before; time itself is the business of the sweep."""
    async with context.database.transaction(correlation_id=context.correlation_id) as session:
        wanting = await refits.without_breakpoints(session)
        due = await refits.due(session, clock.business_day(clock.business_now()))
        keys = sorted({*wanting, *due} - await _being_refitted(session))
        if keys and await session.scalar(select(customer_metrics.c.customer_id).limit(1)) is not None:
            await queue(session, "all", "refit", keys, refit=True, phase="fit")


async def queue_dirty(session: WriteSession, *, cause: str) -> None:
    """See to the customers who wait to be measured, unless that is about to happen anyway."""
    r = recalculation.c
    if await session.scalar(select(dirty_customer.c.customer_id).limit(1)) is None:
        return
    if await session.scalar(select(r.id).where(r.scope == "dirty", r.status == "queued").limit(1)) is None:
        await queue(session, "dirty", cause, (await schemes.current(session)).keys, refit=False)


async def _being_refitted(session: WriteSession) -> set[str]:
    r = recalculation.c
    rows = await session.all(select(r.schemes).where(r.refit, work.under_way(recalculation)))
    return {key for row in rows for key in row["schemes"]}


async def cancel(session: WriteSession, actor: Actor, recalculation_id: UUID) -> None:
    """Stop before the next chunk; chunks that are done stay. Raises `NotFound`, and `Conflict` when it has ended.

    Nor can what a version is in force by already be stopped: half of the classes would be of the version before.
    """
    r = recalculation.c
    held = select(r.status, r.publishes, r.phase).where(r.id == recalculation_id).with_for_update()
    row = await session.first(held)
    if row is not None and (row["status"], row["phase"]) == ("running", "classes") and row["publishes"] is not None:
        raise Conflict("The new version is in force already; publish the earlier one to return to it")
    await work.cancel(session, actor, recalculation, recalculation_id)


async def one(session: ReadSession, recalculation_id: UUID) -> dict[str, Any]:
    """A recalculation with its progress. Raises `NotFound`."""
    return _with_progress(await work.read(session, recalculation, recalculation_id))


async def page_of(session: ReadSession, page: Page) -> dict[str, Any]:
    """A page of recalculations, the latest first."""
    return await page.latest_first(session, select(recalculation), _with_progress)


def _with_progress(row: Record) -> dict[str, Any]:
    # Two passes over everybody count as one.
    return work.progress(row, row["done"] // 2, row["customers"])
