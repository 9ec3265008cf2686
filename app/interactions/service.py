"""Recording interactions one at a time, and correcting them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import func, insert, select, update

from app.core import audit, clock
from app.core.db import Record, WriteSession
from app.core.errors import Conflict, FieldError, Invalid, NotFound
from app.core.events import publish
from app.core.http.etag import check_version
from app.customers.occurring import TOO_LATE, is_too_late
from app.customers.queries import held
from app.identity.actor import Actor
from app.identity.scopes import scope_params
from app.interactions import participants
from app.interactions.events import InteractionCorrected, InteractionRecorded
from app.interactions.models import PERSONAL, interaction, interaction_version
from app.interactions.queries import known_staff, shown
from app.interactions.schemas import InteractionIn, InteractionPatch

WRITE = "interactions:write"
UNKNOWN_STAFF = "there is no such user"


class ReferenceTaken(Conflict):
    type = "interaction-recorded"
    title = "This interaction of this customer is recorded already"


async def record(session: WriteSession, actor: Actor, customer_id: UUID, body: InteractionIn) -> dict[str, Any]:
    """Record an interaction. Raises `NotFound` out of the actor's reach, `ReferenceTaken` when it was before."""
    values = columns_of(body.model_dump())
    await _check(session, values)
    await _hold(session, actor, customer_id)
    values["contacts"] = await participants.checked(session, actor, customer_id, values["contacts"])
    try:
        row = await session.first(
            insert(interaction)
            .values(customer_id=customer_id, **values, written_by=session.principal)
            .returning(*interaction.columns)
        )
    except asyncpg.UniqueViolationError as error:
        raise ReferenceTaken.at("/body/reference", f"the interaction {body.reference} is recorded already") from error
    assert row is not None
    after = {"customer_id": customer_id, **values}
    audit.record(session, actor, "interaction.recorded", "interaction", row["id"], after=after, personal=PERSONAL)
    await publish(session, InteractionRecorded(customer_id, row["id"], body.kind, body.outcome, body.occurred_at))
    return await _answer(session, actor, row)


async def correct(
    session: WriteSession,
    actor: Actor,
    customer_id: UUID,
    interaction_id: UUID,
    body: InteractionPatch,
    *,
    expected: int | None,
) -> dict[str, Any]:
    """Write the next version, keeping what it said. What corrects nothing writes nothing.

    Raises `NotFound` out of the actor's reach, `PreconditionFailed` when `expected` is no longer the version.
    """
    await _hold(session, actor, customer_id)
    before = {**await _locked(session, customer_id, interaction_id)}
    before["contacts"] = [{"contact_id": None, **each} for each in before["contacts"]]
    check_version(before["version"], expected)
    named = body.model_fields_set - {"reason"}
    values = columns_of({name: value for name, value in body.model_dump().items() if name in named})
    await _check(session, values)
    if "contacts" in values:
        given = values["contacts"]
        values["contacts"] = await participants.checked(session, actor, customer_id, given, before["contacts"])
    was, becomes = audit.changed(before, values)
    if not becomes:
        return await _answer(session, actor, before)
    row = await _next_version(session, before, becomes, body.reason)
    audit.record(
        session,
        actor,
        "interaction.corrected",
        "interaction",
        interaction_id,
        before={"customer_id": customer_id, **was},
        after={"customer_id": customer_id, **becomes, "version": row["version"]},
        personal=PERSONAL,
    )
    await publish(session, InteractionCorrected(customer_id, interaction_id, row["version"], sorted(becomes)))
    return await _answer(session, actor, row)


async def _answer(session: WriteSession, actor: Actor, row: Mapping[str, Any]) -> dict[str, Any]:
    answer = shown(row)
    await participants.named(session, actor, [answer])
    return answer


async def _next_version(
    session: WriteSession, before: Mapping[str, Any], becomes: Mapping[str, Any], reason: str | None
) -> Record:
    i = interaction.c
    this = (i.customer_id == before["customer_id"], i.id == before["id"])
    names = [column.name for column in interaction.columns]
    await session.execute(
        insert(interaction_version).from_select(names, select(*(i[name] for name in names)).where(*this))
    )
    written = {
        **becomes,
        "version": i.version + 1,
        "written_at": func.now(),
        "written_by": session.principal,
        "reason": reason,
    }
    row = await session.first(update(interaction).where(*this).values(**written).returning(*interaction.columns))
    assert row is not None
    return row


def columns_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a body says, as the table keeps it."""
    if "next_step" not in values:
        return dict(values)
    step = values["next_step"] or {"what": None, "due_on": None}
    return {**values, "next_step": step["what"], "next_step_due_on": step["due_on"]}


async def _check(session: WriteSession, values: Mapping[str, Any]) -> None:
    if "occurred_at" in values and is_too_late(values["occurred_at"], clock.business_now()):
        raise Invalid.at("/body/occurred_at", TOO_LATE)
    staff_ids = values.get("staff_ids", [])
    known = await known_staff(session, set(staff_ids))
    unknown = [
        FieldError(f"/body/staff_ids/{n}", UNKNOWN_STAFF) for n, each in enumerate(staff_ids) if each not in known
    ]
    if unknown:
        raise Invalid("Correct the fields named in errors", errors=unknown)


async def _hold(session: WriteSession, actor: Actor, customer_id: UUID) -> None:
    if await session.first(held(actor, WRITE), {"customer_id": customer_id, **scope_params(actor)}) is None:
        raise NotFound("There is no such customer among those you may see")


async def _locked(session: WriteSession, customer_id: UUID, interaction_id: UUID) -> Record:
    i = interaction.c
    row = await session.first(
        select(interaction).where(i.customer_id == customer_id, i.id == interaction_id).with_for_update()
    )
    if row is None:
        raise NotFound("There is no such interaction among those you may change")
    return row
