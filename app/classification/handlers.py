"""What classification does when it hears of something, and its background work."""

from typing import Any

from sqlalchemy import delete

from app.classification import refresh
from app.classification.engine import Cause, evaluate
from app.classification.models import class_change, customer_class, customer_metrics, dirty_customer
from app.classification.recalculations import (
    enqueue_after_import,
    recalculation_died,
    run_nightly,
    run_recalculation,
)
from app.classification.schemes import published
from app.core import clock
from app.core.db import WriteSession
from app.core.jobs import Schedule
from app.customers.events import CustomerCreated, CustomerDeleted, CustomersCreated
from app.imports.events import ImportCompleted
from app.purchases.events import PurchaseRecorded, PurchasesImported


async def on_fact(session: WriteSession, event: PurchaseRecorded | CustomerCreated) -> dict[str, Any]:
    """Measure and classify the one customer again, in the transaction of the fact."""
    as_of = clock.business_now()
    evaluation = await published(session)
    await refresh.refresh_metrics(session, [event.customer_id], as_of=as_of)
    cause = Cause("event", session.principal, session.correlation_id)
    outcome = await evaluate(session, evaluation, [event.customer_id], as_of=as_of, cause=cause)
    return {"classes": outcome.classes.get(event.customer_id, {})}


async def on_bulk(session: WriteSession, event: PurchasesImported | CustomersCreated) -> None:
    """Many at once are measured and classified by the next recalculation of the dirty."""
    await refresh.mark_dirty(session, event.customer_ids)


async def on_deletion(session: WriteSession, event: CustomerDeleted) -> None:
    """What was measured and decided goes with the customer."""
    for table in (customer_metrics, customer_class, class_change, dirty_customer):
        await session.execute(delete(table).where(table.c.customer_id == event.customer_id))


async def on_import(session: WriteSession, event: ImportCompleted) -> None:
    """An import ends in a recalculation: of everybody when breakpoints are still to be fitted, else of the dirty."""
    await enqueue_after_import(session, event)


HANDLERS: dict[type[Any], Any] = {
    PurchaseRecorded: on_fact,
    CustomerCreated: on_fact,
    CustomerDeleted: on_deletion,
    PurchasesImported: on_bulk,
    CustomersCreated: on_bulk,
    ImportCompleted: on_import,
}
JOBS = {"recalculations.run": run_recalculation, "recalculations.nightly": run_nightly}
DEAD_LETTERS = {"recalculations.run": recalculation_died}
SCHEDULES = [Schedule("recalculations.nightly", "15 2 * * *")]
