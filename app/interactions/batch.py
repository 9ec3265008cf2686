"""Many interactions at once: the good rows are recorded by one statement, the others say what is wrong with them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
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

from app.core import audit, clock, outbox
from app.core.db import Prepared, WriteSession
from app.core.events import publish
from app.core.http.problems import message_of, pointer_of
from app.core.ids import counting_on
from app.core.settings import get_settings
from app.customers.contacts import normal_identity
from app.customers.document import visible_to
from app.customers.models import customer
from app.customers.occurring import TOO_LATE, is_too_late
from app.customers.queries import keep_all
from app.identity.actor import SYSTEM, Actor, Scope
from app.identity.scopes import scope_params
from app.interactions.events import InteractionRecorded, InteractionsRecorded
from app.interactions.models import interaction
from app.interactions.queries import Identity, known_staff, reached_by_identity
from app.interactions.schemas import InteractionRow
from app.interactions.service import UNKNOWN_STAFF, WRITE

MAX_ERRORS = 10
UNKNOWN_CUSTOMER = "there is no such customer among those you may write about"
RECORDED = "this interaction of this customer is recorded already"

_rows = TypeAdapter(list[InteractionRow])


class _Batch:
    """The rows that can be recorded so far, and what is wrong with the others, by their places."""

    def __init__(self) -> None:
        self.good: dict[int, InteractionRow] = {}
        self.errors: dict[int, list[dict[str, str]]] = {}
        self.identities: dict[int, Identity] = {}
        self.customers: dict[int, UUID] = {}

    def refuse(self, index: int, field: str, message: str) -> None:
        pointer = f"/body/interactions/{index}{field}"
        found = self.errors.setdefault(index, [])
        if len(found) < MAX_ERRORS:
            found.append({"pointer": pointer, "message": message})
        self.good.pop(index, None)


async def record_all(session: WriteSession, actor: Actor, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Record the rows that can be recorded. Nobody is deleted meanwhile whom they are about."""
    batch = _Batch()
    _read(batch, rows)
    await keep_all(session)
    await _find_customers(session, actor, batch)
    await _check_staff(session, batch)
    ids = await _insert(session, actor, batch)
    if ids:
        await _announce(session, actor, batch, ids, len(rows))
    items = [{"index": n, "id": ids.get(n), "errors": batch.errors.get(n, [])} for n in range(len(rows))]
    return {"recorded": len(ids), "rejected": len(rows) - len(ids), "items": items}


def _read(batch: _Batch, rows: Sequence[dict[str, Any]]) -> None:
    now, region = clock.business_now(), get_settings().phone_region
    batch.good = _valid(batch, rows)
    for index, read in list(batch.good.items()):
        if is_too_late(read.occurred_at, now):
            batch.refuse(index, "/occurred_at", TOO_LATE)
        if read.identity is not None:
            try:
                kind, value = read.identity.kind, read.identity.value
                batch.identities[index] = kind, normal_identity(kind, value, region)
            except ValueError as error:
                batch.refuse(index, "/identity/value", str(error))


def _valid(batch: _Batch, rows: Sequence[dict[str, Any]]) -> dict[int, InteractionRow]:
    """Those that are interactions by themselves: read at once, and without the others once more if some are not."""
    places = list(range(len(rows)))
    try:
        return dict(zip(places, _rows.validate_python(rows), strict=True))
    except ValidationError as error:
        for each in error.errors(include_url=False, include_context=False, include_input=False):
            index, *within = each["loc"]
            batch.refuse(int(index), pointer_of(within), message_of(each))
    places = [n for n in places if n not in batch.errors]
    return dict(zip(places, _rows.validate_python([rows[n] for n in places]), strict=True))


async def _find_customers(session: WriteSession, actor: Actor, batch: _Batch) -> None:
    """Whose identities these are. Who is named by id is looked for where the rows are inserted."""
    asked = {batch.identities[index] for index in batch.good if index in batch.identities}
    known = await reached_by_identity(session, actor, WRITE, asked)
    for index, row in list(batch.good.items()):
        found = row.customer_id or known.get(batch.identities[index])
        if found is None:
            batch.refuse(index, "/identity", UNKNOWN_CUSTOMER)
        else:
            batch.customers[index] = found


async def _check_staff(session: WriteSession, batch: _Batch) -> None:
    known = await known_staff(session, {each for row in batch.good.values() for each in row.staff_ids})
    for index, row in list(batch.good.items()):
        for n, each in enumerate(row.staff_ids):
            if each not in known:
                batch.refuse(index, f"/staff_ids/{n}", UNKNOWN_STAFF)


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
