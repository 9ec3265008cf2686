"""What is looked at again, and what is forgotten, when something happens to a customer."""

from typing import Any

from app.core.db import WriteSession
from app.core.jobs import Handler, Schedule
from app.customers.duplicates import finding
from app.customers.duplicates.models import customer_duplicate_due
from app.customers.duplicates.traits import READ
from app.customers.events import (
    AddressesChanged,
    CustomerChanged,
    CustomerCreated,
    CustomerDeleted,
    CustomerErased,
    CustomersChanged,
    CustomersCreated,
    CustomersMerged,
    MergeUndone,
)


async def on_created(session: WriteSession, event: CustomerCreated | AddressesChanged) -> None:
    session.write_behind(customer_duplicate_due, customer_id=event.customer_id)


async def on_changed(session: WriteSession, event: CustomerChanged) -> None:
    if READ & set(event.fields):
        session.write_behind(customer_duplicate_due, customer_id=event.customer_id)


async def on_many(session: WriteSession, event: CustomersCreated | CustomersChanged) -> None:
    if isinstance(event, CustomersCreated) or READ & set(event.fields):
        await finding.mark(session, event.customer_ids)


async def on_merged(session: WriteSession, event: CustomersMerged) -> None:
    """What was said of the merged one is said of the survivor.

    That the two are not the same waits, as of the survivor and itself, for the merge to be undone.
    """
    await finding.forget(session, event.merged_id)
    await finding.mark(session, [event.customer_id])


async def on_merge_undone(session: WriteSession, event: MergeUndone) -> None:
    await finding.mark(session, [event.customer_id, event.merged_id])


async def on_gone(session: WriteSession, event: CustomerDeleted | CustomerErased) -> None:
    await finding.forget(session, event.customer_id)
    await finding.forget_dismissals(session, event.customer_id)


HANDLERS: dict[type[Any], Any] = {
    CustomerCreated: on_created,
    AddressesChanged: on_created,
    CustomersCreated: on_many,
    CustomerChanged: on_changed,
    CustomersChanged: on_many,
    CustomersMerged: on_merged,
    MergeUndone: on_merge_undone,
    CustomerDeleted: on_gone,
    CustomerErased: on_gone,
}
JOBS: dict[str, Handler] = {finding.JOB: finding.find, finding.EVERYBODY: finding.find_everybody}
SCHEDULES = [Schedule(finding.JOB, "* * * * *"), Schedule(finding.EVERYBODY, "0 2 * * 0")]
