"""What a person asked for, to be handed its data or to be forgotten: received, and answered in time.

Completing an export opens its archive to be fetched for a while. It is made when it is fetched, as everywhere (see
`handing_over`): what is handed out is never older than the moment, and no copy has to be erased with the person.
Completing an erasure is the erasure; whoever is erased in another way has been answered by it, too.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Update, insert, select, update

from app.core import audit, clock, personal
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from app.core.events import publish
from app.core.http.etag import check_version
from app.core.http.paging import Page
from app.customers import queries
from app.customers import service as customers
from app.customers.document import check_visible, visible_to
from app.customers.events import CustomerDeleted, CustomerErased
from app.customers.models import customer
from app.governance import erasure, handing_over
from app.governance.events import DataRequestDecided, DataRequestReceived
from app.governance.models import data_request
from app.governance.rules import a_month_after
from app.governance.schemas import DataRequestIn
from app.identity.actor import SYSTEM, Actor, Scope

READ = "data_requests:read"
WRITE = "data_requests:write"
RECEIVED = "data_request.received"
DECIDED = "data_request.decided"
OPEN = "received"
KEPT = timedelta(days=30)
"""How long the archive of a completed export may be fetched."""
DECIDES = {"export": handing_over.HAND_OVER, "erasure": customers.ERASE}
"""Which right it takes to give a person what it asked for, or to refuse it."""
_r = data_request.c


class Decided(Conflict):
    type = "data-request-decided"
    title = "This data request was decided before"


class NoFile(Conflict):
    type = "data-request-no-file"
    title = "There is a file for an export that was completed only"


class FileExpired(Problem):
    status = 410
    type = "data-request-file-expired"
    title = "The file is no longer handed out; record a new data request"


# ---- received and read -----------------------------------------------------------------------------------------------


async def receive(session: WriteSession, actor: Actor, body: DataRequestIn) -> dict[str, Any]:
    """Write down what a person asked for. Raises `Invalid` for a customer out of reach and for an end before it."""
    reached = await session.first(queries.held(actor, WRITE), {"customer_id": body.customer_id})
    if reached is None:
        raise Invalid.at("/body/customer_id", "There is no such customer among those whose requests you may record")
    received_at = body.received_at or clock.now()
    day = clock.business_day(received_at)
    due_on = body.due_on or a_month_after(day)
    if due_on < day:
        raise Invalid.at("/body/due_on", "It cannot be due before it was received")
    values = {**body.model_dump(), "received_at": received_at, "due_on": due_on, "recorded_by": session.principal}
    row = await session.first(insert(data_request).values(values).returning(data_request))
    assert row is not None
    after = {"customer_id": row["customer_id"], "kind": row["kind"], "due_on": due_on}
    audit.record(session, actor, RECEIVED, "data_request", row["id"], after=after)
    await publish(session, DataRequestReceived(row["customer_id"], row["id"], row["kind"], due_on))
    return dict(row)


async def page_of(session: ReadSession, actor: Actor, page: Page, filters: dict[str, Any]) -> dict[str, Any]:
    """What people asked for whom the permission reaches, the latest first; `due_before` a day, open or not."""
    statement = _reached(actor, READ)
    for name, value in filters.items():
        if value is not None:
            statement = statement.where(_r.due_on < value if name == "due_before" else _r[name] == value)
    return await page.latest_first(session, statement, scope=sorted((k, str(v)) for k, v in filters.items()))


async def one(session: ReadSession, actor: Actor, request_id: UUID, permission: str = READ) -> dict[str, Any]:
    """One of them. Raises `NotFound`."""
    row = await session.first(_reached(actor, permission).where(_r.id == request_id))
    if row is None:
        raise NotFound("There is no such data request of a customer whom you may see")
    return dict(row)


def _reached(actor: Actor, permission: str) -> Select[Any]:
    """Who reaches everybody reaches those, too, of whom no record is left."""
    if actor.scope(permission) is Scope.ALL:
        return select(data_request)
    return select(data_request).join(customer, customer.c.id == _r.customer_id).where(visible_to(actor, permission))


# ---- decided ---------------------------------------------------------------------------------------------------------


async def complete(session: WriteSession, actor: Actor, request_id: UUID, *, expected: int | None) -> dict[str, Any]:
    """Give the person what it asked for: open its archive, or erase it.

    Raises `NotFound`, `Forbidden` without the right to that itself, `Decided`, `PreconditionFailed`.
    """
    row = await _taken(session, actor, request_id, expected)
    await _check_decides(session, actor, row)
    until = clock.now() + KEPT if row["kind"] == "export" else None
    await _decide(session, actor, row, "completed", file_expires_at=until)
    if row["kind"] == "erasure":
        await erasure.erase(session, actor, row["customer_id"])
    return await one(session, actor, request_id, WRITE)


async def reject(
    session: WriteSession, actor: Actor, request_id: UUID, reason: str, *, expected: int | None
) -> dict[str, Any]:
    """Refuse it, with a reason. Raises what `complete` raises."""
    row = await _taken(session, actor, request_id, expected)
    await _check_decides(session, actor, row)
    await _decide(session, actor, row, "rejected", reason=reason)
    return await one(session, actor, request_id, WRITE)


async def cancel(session: WriteSession, actor: Actor, request_id: UUID, *, expected: int | None) -> dict[str, Any]:
    """The person took it back. Raises `NotFound`, `Decided`, `PreconditionFailed`."""
    row = await _taken(session, actor, request_id, expected)
    await _decide(session, actor, row, "cancelled")
    return await one(session, actor, request_id, WRITE)


async def _taken(session: WriteSession, actor: Actor, request_id: UUID, expected: int | None) -> Record:
    """One that is open, its customer held until the transaction ends."""
    found = await one(session, actor, request_id, WRITE)
    await queries.hold(session, [found["customer_id"]])
    row = await session.first(
        select(data_request).where(_r.customer_id == found["customer_id"], _r.id == request_id).with_for_update()
    )
    if row is None:
        raise Conflict("The customer was merged at this moment; read the data request again")
    check_version(row["version"], expected)
    if row["status"] != OPEN:
        raise Decided(f"This data request is {row['status']}")
    return row


async def _check_decides(session: ReadSession, actor: Actor, row: Record) -> None:
    permission = DECIDES[row["kind"]]
    if not actor.may(permission):
        raise Forbidden(f"To decide this data request needs the permission {permission}")
    await check_visible(session, actor, row["customer_id"], permission)


async def _decide(session: WriteSession, who: Actor, row: Record, status: str, **values: Any) -> None:
    await session.execute(_decision(_r.id == row["id"], session.principal, status, **values))
    before, after = {"status": row["status"]}, {"status": status, "kind": row["kind"]}
    audit.record(session, who, DECIDED, "data_request", row["id"], before=before, after=after)
    await publish(session, DataRequestDecided(row["customer_id"], row["id"], row["kind"], status))


def _decision(which: ColumnElement[bool], by: str, status: str, **values: Any) -> Update:
    decided = {"status": status, "decided_by": by, "decided_at": clock.now(), "version": _r.version + 1, **values}
    return update(data_request).where(which).values(decided)


# ---- the file, and the end of the record -----------------------------------------------------------------------------


async def file_of(
    session: ReadSession, actor: Actor, request_id: UUID, trace: str | None
) -> tuple[UUID, AsyncIterator[bytes]]:
    """Whose archive it is, and the archive; that it was taken is written down first.

    Raises `NotFound`, `NoFile` unless it is of a completed export, `FileExpired`.
    """
    row = await one(session, actor, request_id, handing_over.HAND_OVER)
    if row["kind"] != "export" or row["status"] != "completed":
        raise NoFile
    if row["file_expires_at"] <= clock.now():
        raise FileExpired
    return row["customer_id"], await handing_over.archive(session, actor, row["customer_id"], trace)


async def on_departure(session: WriteSession, event: CustomerErased | CustomerDeleted) -> None:
    """Who wanted to be forgotten is; nothing is left to be handed over, and nothing that was written about it."""
    of_customer = _r.customer_id == event.customer_id
    for row in await session.all(select(data_request).where(of_customer, _r.status == OPEN).order_by(_r.id)):
        await _decide(session, SYSTEM, row, "completed" if row["kind"] == "erasure" else "cancelled")
    await personal.blank(session, data_request, event.customer_id)
    handed_out = update(data_request).where(of_customer, _r.file_expires_at > clock.now())
    await session.execute(handed_out.values(file_expires_at=clock.now()))
