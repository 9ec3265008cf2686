"""The way back: the merged customer is there again with what was its own, and the survivor without it.

What came to the survivor since stays there, unless it is a part of something that goes back (decision on merging).
"""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB

from app.core import audit
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict
from app.core.events import publish
from app.customers.events import CustomersChanged, MergeUndone
from app.customers.hands import HANDS, note_hands
from app.customers.merging import moving, queries
from app.customers.merging.filling import given_back
from app.customers.merging.merge import hold
from app.customers.merging.repointing import EMPLOYEES
from app.customers.models import customer, customer_merge
from app.customers.queries import before_deletion
from app.identity.actor import Actor
from app.identity.models import org_unit

_m = customer_merge.c


class NotUndoable(Conflict):
    type = "merge-not-undoable"
    title = "This merge cannot be undone now"


async def undo(session: WriteSession, actor: Actor, merge_id: UUID) -> None:
    """Undo a merge. Raises `NotFound`, `NotUndoable` when it was undone or its survivor was merged since."""
    await before_deletion(session)
    row = await queries.read(session, actor, merge_id)
    if row["undone_at"] is not None:
        raise NotUndoable("This merge was undone already")
    if row["customer_id"] != row["survivor_id"]:
        later = await session.scalar(queries.standing_merge_of(row["survivor_id"]).with_only_columns(_m.id))
        raise NotUndoable(f"Its survivor was merged itself since: undo the merge {later} first")
    survivor_id, merged_id = row["survivor_id"], row["merged_id"]
    if (later := await session.scalar(_later(row))) is not None:
        raise NotUndoable(f"Somebody else was merged into its survivor since: undo the merge {later} first")
    survivor = (await hold(session, actor, [survivor_id]))[survivor_id]
    record = await session.first(select(_m.record, _m.before, _m.after).where(_m.id == merge_id))
    assert record is not None
    if not record["record"]:
        raise NotUndoable("The person was erased: nobody knows any more who it was")
    await _come_back(session, merge_id, record, survivor)
    employees = await moving.ids_moved(session, merge_id, survivor_id, EMPLOYEES.name)
    await moving.move_back(session, merge_id, survivor_id, merged_id)
    values = await _possible(session, given_back(survivor, record["before"], record["after"]))
    await session.execute(
        update(customer)
        .where(customer.c.id == survivor_id)
        .values(**values, version=customer.c.version + 1, updated_at=func.now())
    )
    await session.execute(
        update(customer_merge)
        .where(_m.id == merge_id)
        .values(undone_at=func.now(), undone_by=session.principal, record={}, before={}, after={})
    )
    if values.keys() & set(HANDS):
        await note_hands(session, survivor, values)
    told = {"merge": merge_id, "merged": merged_id, "fields": sorted(values)}
    audit.record(session, actor, "customer.merge_undone", "customer", survivor_id, after=told)
    audit.record(session, actor, "customer.merge_undone", "customer", merged_id, after={"from": survivor_id})
    if employees:
        await publish(session, CustomersChanged(employees, ["company_id"]))
    await publish(session, MergeUndone(merge_id, survivor_id, merged_id))


def _later(row: Record) -> Select[Any]:
    """The next merge into the same survivor: it remembers the record as it was with what this one brought."""
    since = (_m.survivor_id == row["survivor_id"], _m.merged_at > row["merged_at"], _m.undone_at.is_(None))
    # What cannot be undone any more, since the person was erased, is in nobody's way.
    return select(_m.id).where(*since, _m.record != literal({}, JSONB)).order_by(_m.merged_at.desc()).limit(1)


async def _come_back(session: WriteSession, merge_id: UUID, kept: Record, survivor: Record) -> None:
    """The record as it stood; in the survivor's unit when its own is no more."""
    record = kept["record"]
    possible = await _possible(session, {name: _id(record[name]) for name in ("unit_id", "company_id")})
    if record["unit_id"] is not None and possible["unit_id"] is None:
        possible["unit_id"] = survivor["unit_id"]
    put = {name: None if value is None else str(value) for name, value in possible.items()}
    whole = _m.record.op("||")(literal(put, JSONB))
    await session.execute(moving.put_back(customer, customer_merge, whole, _m.id == merge_id))


async def _possible(session: ReadSession, values: dict[str, Any]) -> dict[str, Any]:
    """The fields, as far as what they refer to is there: a unit that is gone is none, a merged company its survivor."""
    values = {name: _typed(name, value) for name, value in values.items()}
    if (unit_id := values.get("unit_id")) is not None:
        values["unit_id"] = await session.scalar(select(org_unit.c.id).where(org_unit.c.id == unit_id))
    if (company_id := values.get("company_id")) is not None:
        values["company_id"] = await queries.stands_for(session, company_id)
    return values


def _typed(name: str, value: Any) -> Any:
    """A field as its column has it, of what JSON has kept."""
    if name.endswith("_id"):
        return _id(value)
    return date.fromisoformat(value) if name == "birthday" and isinstance(value, str) else value


def _id(value: str | UUID | None) -> UUID | None:
    return UUID(value) if isinstance(value, str) else value
