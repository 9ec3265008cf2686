"""What classification does when it hears of something, and its background work."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete

from app.classification import overrides, refresh, repointing
from app.classification.definitions import Fact
from app.classification.engine import Cause
from app.classification.failures import CANNOT_COMPUTE, ask_why, run_examination
from app.classification.models import (
    class_change,
    class_override,
    customer_class,
    customer_metrics,
    dirty_customer,
    prediction,
    recalculation,
    segment_member,
    simulation,
    simulation_move,
)
from app.classification.predictions.requests import run_weekly
from app.classification.predictions.run import run_prediction
from app.classification.queries import classes_of
from app.classification.recalculate import run_recalculation
from app.classification.recalculations import enqueue_after_import, run_nightly
from app.classification.retiring import run_emptying
from app.classification.schemes import TagRead, current, decide, reading_tag
from app.classification.simulate import run_simulation
from app.classification.simulations import forget_old
from app.classification.sweep import run_sweep
from app.core import clock, personal
from app.core.db import WriteSession
from app.core.errors import ReactionFailed
from app.core.jobs import Schedule
from app.core.work import fails_with_its_job
from app.customers.events import (
    CustomerChanged,
    CustomerCreated,
    CustomerDeleted,
    CustomerErased,
    CustomersChanged,
    CustomersCreated,
    CustomersMerged,
    MergeUndone,
    TagReplaced,
)
from app.customers.fields import CUSTOM
from app.customers.merging.queries import stands_for
from app.customers.summaries import Summary
from app.feedback.events import FeedbackForgotten, FeedbackImported, FeedbackReceived, SurveyAnswered
from app.feedback.summary import SUMMARY as FEEDBACK
from app.imports.events import ImportCompleted
from app.interactions.events import (
    InteractionCorrected,
    InteractionRecorded,
    InteractionsForgotten,
    InteractionsRecorded,
)
from app.interactions.summary import SUMMARY as INTERACTIONS
from app.purchases.events import PurchaseDeleted, PurchaseRecorded, PurchasesImported, PurchasesRecorded

_SUMMED_UP = {"csat", "nps"}


async def on_purchase(session: WriteSession, event: PurchaseRecorded) -> dict[str, Any]:
    """Move the customer's metrics on and classify it again, in the transaction of the purchase."""
    if session.defers:
        return await _later(session, event.customer_id)
    as_of = clock.business_now()
    await refresh.follow_purchase(session, event.customer_id, event.purchase_id, as_of=as_of)
    return await _classes(session, [event.customer_id], as_of, is_correction=_corrects(event, as_of))


async def on_purchases(session: WriteSession, event: PurchasesRecorded) -> None:
    """Measure and classify each of the customers once, in the transaction of all these purchases."""
    customer_ids = sorted({each.customer_id for each in event.purchases})
    if session.defers:
        return await refresh.mark_dirty(session, customer_ids)
    as_of = clock.business_now()
    await refresh.refresh_metrics(session, customer_ids, as_of=as_of)
    corrected = {each.customer_id for each in event.purchases if _corrects(each, as_of)}
    for is_correction in (False, True):
        if some := [each for each in customer_ids if (each in corrected) is is_correction]:
            await _classes(session, some, as_of, is_correction=is_correction)
    return None


async def on_purchase_deleted(session: WriteSession, event: PurchaseDeleted) -> None:
    """Measure and classify the customer again as if the purchase had never been."""
    await _anew(session, event.customer_id, is_correction=True)


def _corrects(event: PurchaseRecorded, as_of: datetime) -> bool:
    """A refund, and what is recorded after its day, put right what was decided upon before."""
    return event.kind == "refund" or _is_late(event.occurred_at, as_of)


def _is_late(occurred_at: datetime, as_of: datetime) -> bool:
    return clock.business_day(occurred_at) < clock.business_day(as_of)


async def on_interaction(session: WriteSession, event: InteractionRecorded) -> dict[str, Any] | None:
    """Sum up the customer's interactions, in the transaction of this one; classify again what reads of them."""
    late = _is_late(event.occurred_at, clock.business_now())
    return await _summed(session, event.customer_id, INTERACTIONS, is_correction=late)


async def on_correction(session: WriteSession, event: InteractionCorrected) -> dict[str, Any] | None:
    """As if it had always said so; what is not summed up changes nothing."""
    if not {"occurred_at", "matter"} & set(event.fields):
        return None
    return await _summed(session, event.customer_id, INTERACTIONS, is_correction=True)


async def on_feedback(session: WriteSession, event: FeedbackReceived) -> dict[str, Any] | None:
    """Sum up what the customer said, in the transaction of this; what is not summed up changes nothing.

    The answers of a survey are summed up together, when it is told that all were given.
    """
    if event.response_id is not None or (event.measure not in _SUMMED_UP and event.kind != "complaint"):
        return None
    late = _is_late(event.occurred_at, clock.business_now())
    return await _summed(session, event.customer_id, FEEDBACK, is_correction=late)


async def on_survey(session: WriteSession, event: SurveyAnswered) -> dict[str, Any] | None:
    """Sum up the answers of a filled-in survey, all at once."""
    if not _SUMMED_UP & set(event.measures):
        return None
    late = _is_late(event.answered_at, clock.business_now())
    return await _summed(session, event.customer_id, FEEDBACK, is_correction=late)


async def _summed(
    session: WriteSession, customer_id: UUID, summary: Summary, *, is_correction: bool
) -> dict[str, Any] | None:
    """The metrics follow, then the classes; and when the fact leaves its window, also if no scheme reads of it."""
    if session.defers:
        return await _later(session, customer_id)
    as_of = clock.business_now()
    await refresh.follow_facts(session, customer_id, summary, as_of=as_of)
    return await _classes(session, [customer_id], as_of, is_correction=is_correction)


async def on_creation(session: WriteSession, event: CustomerCreated) -> dict[str, Any]:
    """Measure and classify the one customer, in the transaction that created it."""
    return await _anew(session, event.customer_id)


async def on_change(session: WriteSession, event: CustomerChanged) -> None:
    """Classify the one customer again when a scheme reads what changed of its record."""
    if await _is_read(session, event.fields):
        await _anew(session, event.customer_id)


async def on_bulk_change(session: WriteSession, event: CustomersChanged) -> None:
    """Many whose record changed wait for the next sweep, when a scheme reads what changed."""
    if await _is_read(session, event.fields):
        await refresh.mark_dirty(session, event.customer_ids)


async def _is_read(session: WriteSession, fields: Sequence[str]) -> bool:
    changed = {Fact("field", name) for name in (*fields, "updated_at")}
    read = (await current(session)).facts
    if "custom" in fields and any(fact.kind == "field" and fact.name.startswith(CUSTOM) for fact in read):
        return True
    return bool(read & changed) or ("tags" in fields and any(fact.kind == "tag" for fact in read))


async def on_tag(session: WriteSession, event: TagReplaced) -> None:
    """A tag by which a scheme or a segment decides keeps its name. Raises `TagRead`, naming who reads it.

    A published version says what it says: rewriting it would change what has been decided by it.
    """
    if readers := await reading_tag(session, event.tag):
        raise TagRead(f"{event.tag} is read by {', '.join(readers)}; publish them without it first")


async def _anew(session: WriteSession, customer_id: UUID, *, is_correction: bool = False) -> dict[str, Any]:
    if session.defers:
        return await _later(session, customer_id)
    as_of = clock.business_now()
    await refresh.refresh_metrics(session, [customer_id], as_of=as_of)
    return await _classes(session, [customer_id], as_of, is_correction=is_correction)


async def _later(session: WriteSession, customer_id: UUID) -> dict[str, Any]:
    """Leave the customer to the next sweep; until then its classes stand."""
    await refresh.mark_dirty(session, [customer_id])
    await ask_why(session, customer_id)
    return {"classes": {each["scheme"]: each["class"] for each in await classes_of(session, customer_id)}}


async def _classes(
    session: WriteSession, customer_ids: Sequence[UUID], as_of: datetime, *, is_correction: bool = False
) -> dict[str, Any]:
    """Classify these customers; the classes afterwards, if it is one."""
    name = "correction" if is_correction else "event"
    cause = Cause(name, session.principal, session.correlation_id, correction=is_correction)
    try:
        outcome = await decide(session, customer_ids, as_of=as_of, cause=cause)
    except CANNOT_COMPUTE as error:
        # Some scheme cannot compute one of them; a job finds out which, and the fact is not lost for it.
        raise ReactionFailed from error
    return {"classes": outcome.classes}


async def on_bulk(
    session: WriteSession,
    event: PurchasesImported
    | InteractionsRecorded
    | InteractionsForgotten
    | FeedbackImported
    | FeedbackForgotten
    | CustomersCreated,
) -> None:
    """Many at once are measured and classified by the next recalculation of the dirty."""
    await refresh.mark_dirty(session, event.customer_ids)


async def on_deletion(session: WriteSession, event: CustomerDeleted) -> None:
    """What was measured and decided goes with the customer."""
    for table in _OF_A_CUSTOMER:
        await session.execute(delete(table).where(table.c.customer_id == event.customer_id))


async def on_erasure(session: WriteSession, event: CustomerErased) -> None:
    """What people wrote about the customer goes, and what its record said; figures and classes stay.

    The customer is classified again by a record that says nothing any more; who was merged has only a history.
    """
    for table in (class_override, class_change):
        await personal.blank(session, table, event.customer_id)
    if await stands_for(session, event.customer_id) == event.customer_id:
        await _anew(session, event.customer_id)


_OF_A_CUSTOMER = (
    customer_metrics,
    customer_class,
    class_change,
    class_override,
    segment_member,
    simulation_move,
    dirty_customer,
)


async def on_merge(session: WriteSession, event: CustomersMerged) -> None:
    """Measure and classify the survivor with the facts of both, in the transaction of the merge."""
    await repointing.follow_history(session, [event.merged_id])
    await _anew(session, event.customer_id, is_correction=True)


async def on_merge_undone(session: WriteSession, event: MergeUndone) -> None:
    """Measure and classify each of the two with what is its own again."""
    await repointing.follow_history(session, [event.customer_id, event.merged_id])
    for customer_id in sorted([event.customer_id, event.merged_id]):
        await _anew(session, customer_id, is_correction=True)


async def on_import(session: WriteSession, event: ImportCompleted) -> None:
    """An import ends in a recalculation: of everybody when breakpoints are still to be fitted, else of the dirty."""
    await enqueue_after_import(session, event)


HANDLERS: dict[type[Any], Any] = {
    TagReplaced: on_tag,
    PurchaseRecorded: on_purchase,
    PurchasesRecorded: on_purchases,
    PurchaseDeleted: on_purchase_deleted,
    InteractionRecorded: on_interaction,
    InteractionCorrected: on_correction,
    FeedbackReceived: on_feedback,
    SurveyAnswered: on_survey,
    CustomerCreated: on_creation,
    CustomerChanged: on_change,
    CustomersChanged: on_bulk_change,
    CustomerDeleted: on_deletion,
    CustomerErased: on_erasure,
    CustomersMerged: on_merge,
    MergeUndone: on_merge_undone,
    PurchasesImported: on_bulk,
    InteractionsForgotten: on_bulk,
    InteractionsRecorded: on_bulk,
    FeedbackImported: on_bulk,
    FeedbackForgotten: on_bulk,
    CustomersCreated: on_bulk,
    ImportCompleted: on_import,
}
JOBS = {
    "schemes.empty": run_emptying,
    "schemes.examine": run_examination,
    "reviews.sweep": run_sweep,
    "recalculations.run": run_recalculation,
    "recalculations.nightly": run_nightly,
    "predictions.fit": run_prediction,
    "predictions.weekly": run_weekly,
    "overrides.end_expired": overrides.end_expired,
    "simulations.run": run_simulation,
    "simulations.forget": forget_old,
}
DEAD_LETTERS = {
    "recalculations.run": fails_with_its_job(recalculation),
    "predictions.fit": fails_with_its_job(prediction),
    "simulations.run": fails_with_its_job(simulation),
}
SCHEDULES = [
    Schedule("reviews.sweep", "*/10 * * * *"),
    Schedule("recalculations.nightly", "15 2 * * *"),
    Schedule("predictions.weekly", "45 2 * * 0"),
    Schedule("overrides.end_expired", "*/10 * * * *"),
    Schedule("simulations.forget", "45 3 * * *"),
]
