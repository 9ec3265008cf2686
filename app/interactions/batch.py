"""Many interactions at once: the good rows are recorded by one statement, the others say what is wrong with them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from pydantic_core import to_json
from sqlalchemy import (
    ARRAY,
    Date,
    DateTime,
    Integer,
    Text,
    and_,
    bindparam,
    cast,
    column,
    func,
    literal,
    select,
    true,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as insert_or_nothing

from app.core import audit, outbox
from app.core.db import Prepared, WriteSession
from app.core.events import publish
from app.core.ids import counting_on
from app.customers.document import visible_to
from app.customers.fact_batches import UNKNOWN_CUSTOMER, FactBatch
from app.customers.models import customer
from app.customers.queries import keep_all
from app.identity.actor import SYSTEM, Actor, Scope
from app.identity.scopes import scope_params
from app.interactions.events import InteractionRecorded, InteractionsRecorded
from app.interactions.models import interaction
from app.interactions.participants import UNKNOWN_CONTACT, known
from app.interactions.queries import known_staff
from app.interactions.schemas import InteractionRow
from app.interactions.service import UNKNOWN_STAFF, WRITE

RECORDED = "this interaction of this customer is recorded already"

_rows = TypeAdapter(list[InteractionRow])
_Batch = FactBatch[InteractionRow]


async def record_all(session: WriteSession, actor: Actor, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Record the rows that can be recorded. Nobody is deleted meanwhile whom they are about."""
    batch = _Batch("interactions", _rows)
    batch.read(rows)
    await keep_all(session)
    # Who is named by id is looked for where the rows are inserted.
    await batch.find_customers(session, actor, WRITE)
    await _check_staff(session, batch)
    await _check_contacts(session, actor, batch)
    ids = await _insert(session, actor, batch)
    if ids:
        await _announce(session, actor, batch, ids, len(rows))
    return batch.outcome(ids, len(rows))


async def _check_staff(session: WriteSession, batch: _Batch) -> None:
    known = await known_staff(session, {each for row in batch.good.values() for each in row.staff_ids})
    for index, row in list(batch.good.items()):
        for n, each in enumerate(row.staff_ids):
            if each not in known:
                batch.refuse(index, f"/staff_ids/{n}", UNKNOWN_STAFF)


async def _check_contacts(session: WriteSession, actor: Actor, batch: _Batch) -> None:
    """Whoever is a contact is kept under its name, as when interactions are recorded one by one."""
    meant = [
        (index, n, each, (batch.customers[index], each.contact_id))
        for index, row in batch.good.items()
        for n, each in enumerate(row.contacts)
        if each.contact_id is not None
    ]
    found = await known(session, actor, {pair for *_, pair in meant})
    for index, n, each, pair in meant:
        if contact := found.get(pair):
            each.name, each.role = contact.kept_name, each.role or contact.role
        else:
            batch.refuse(index, f"/contacts/{n}/contact_id", UNKNOWN_CONTACT)


async def _insert(session: WriteSession, actor: Actor, batch: _Batch) -> dict[int, UUID]:
    """The new interactions' ids by their rows' places. What was recorded before under its reference is refused."""
    given = [
        {**row.__dict__, "customer_id": batch.customers[index], "identity": None, "place": index}
        for index, row in batch.good.items()
    ]
    if not given:
        return {}
    params = {
        "rows": to_json(given).decode(),
        "written_by": session.principal,
        "correlation_id": session.correlation_id,
        **scope_params(actor),
    }
    ids: dict[int, UUID] = {}
    for place, interaction_id, reached in await session.all(_insertion(actor.scope(WRITE)), params):
        if interaction_id is not None:
            ids[place] = interaction_id
        elif reached:
            batch.refuse(place, "/reference", RECORDED)
        else:
            batch.refuse(place, "/customer_id", UNKNOWN_CUSTOMER)
    return ids


@cache
def _insertion(scope: Scope | None) -> Prepared:
    """Insert the rows of customers within reach and keep an event for each. Of every row: its place, its new id, reach.

    Run it with `scope_params(actor)`. Without them it reaches nobody.
    """
    anybody = replace(SYSTEM, permissions={} if scope is None else {WRITE: scope})
    types: dict[str, Any] = {
        "customer_id": UuidType(),
        "reference": Text(),
        "kind": Text(),
        "direction": Text(),
        "outcome": Text(),
        "occurred_at": DateTime(timezone=True),
        "duration_seconds": Integer(),
        "subject": Text(),
        "minutes": Text(),
        "matter": Text(),
        "staff_ids": ARRAY(UuidType()),
        "contacts": JSONB(),
        "next_step": JSONB(),
        "attachments": JSONB(),
    }
    rows = func.jsonb_to_recordset(cast(bindparam("rows", type_=Text), JSONB)).table_valued(
        column("place", Integer()), *(column(name, kind) for name, kind in types.items())
    )
    rows = rows.render_derived(with_types=True)
    step = rows.c.next_step
    given = (
        select(
            counting_on(rows.c.place).label("id"),
            *(each for each in rows.c if each is not step),
            step["what"].astext.label("next_step"),
            cast(step["due_on"].astext, Date).label("next_step_due_on"),
            customer.c.id.is_not(None).label("reached"),
        )
        .select_from(rows.outerjoin(customer, and_(customer.c.id == rows.c.customer_id, visible_to(anybody, WRITE))))
        .cte("given")
    )
    names = [each.name for each in given.c if each.name not in ("id", "place", "reached")]
    recorded = (
        insert_or_nothing(interaction)
        .from_select(
            ["id", *names, "written_by"],
            select(given.c.id, *(given.c[name] for name in names), bindparam("written_by", type_=Text)).where(
                given.c.reached
            ),
        )
        .on_conflict_do_nothing()
        .returning(interaction.c.id)
        .cte("recorded")
    )
    is_new = given.join(recorded, recorded.c.id == given.c.id)
    pairs: list[Any] = []
    for name in ("customer_id", "id", "kind", "outcome", "occurred_at"):
        pairs += [literal("interaction_id" if name == "id" else name, Text), given.c[name]]
    told = outbox.storing(InteractionRecorded.name, func.jsonb_build_object(*pairs), is_new, when=true())
    found = given.outerjoin(recorded, recorded.c.id == given.c.id)
    return Prepared(select(given.c.place, recorded.c.id, given.c.reached).select_from(found).add_cte(told.cte("told")))


async def _announce(session: WriteSession, actor: Actor, batch: _Batch, ids: dict[int, UUID], given: int) -> None:
    after = {"recorded": len(ids), "rejected": given - len(ids)}
    # Each interaction says who wrote it, and its event in which request.
    audit.record(session, actor, "interactions.recorded", "interaction", next(iter(ids.values())), after=after)
    await publish(
        session, InteractionsRecorded(sorted({batch.customers[index] for index in ids}, key=attrgetter("int")))
    )
