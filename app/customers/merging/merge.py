"""Two customers become one: both histories are kept, and every package's rows follow in the same transaction."""

from typing import Any
from uuid import UUID

from sqlalchemy import Uuid as UuidType
from sqlalchemy import any_, cast, delete, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.core import audit
from app.core.db import Record, WriteSession
from app.core.errors import Invalid
from app.core.events import publish
from app.customers.document import visible_to
from app.customers.events import CustomersChanged, CustomersMerged
from app.customers.hands import HANDS, note_hands
from app.customers.merging import moving
from app.customers.merging.filling import filled
from app.customers.merging.queries import PERMISSION
from app.customers.merging.repointing import EMPLOYEES
from app.customers.merging.schemas import MergeIn
from app.customers.models import customer, customer_merge
from app.customers.queries import before_deletion
from app.identity.actor import Actor


async def merge(session: WriteSession, actor: Actor, body: MergeIn) -> UUID:
    """Make one customer part of another; the merge's id. Raises `Invalid` for two that cannot be one."""
    await before_deletion(session)
    survivor, merged = await _both(session, actor, body)
    changes = filled(survivor, merged, body.take)
    merge_id = await _written_down(session, survivor, merged, changes)
    moved = await moving.move_all(session, merge_id, survivor["id"], merged["id"])
    await session.execute(delete(customer).where(customer.c.id == merged["id"]))
    await session.execute(
        update(customer)
        .where(customer.c.id == survivor["id"])
        .values(**changes, version=customer.c.version + 1, updated_at=func.now())
    )
    await session.execute(update(customer_merge).where(customer_merge.c.id == merge_id).values(moved=moved))
    if changes.keys() & set(HANDS):
        await note_hands(session, survivor, changes)
    told = {"merge": merge_id, "merged": merged["id"], "fields": sorted(changes), "moved": moved}
    audit.record(session, actor, "customer.merged", "customer", survivor["id"], after=told)
    audit.record(session, actor, "customer.merged", "customer", merged["id"], after={"into": survivor["id"]})
    if employees := await moving.ids_moved(session, merge_id, survivor["id"], EMPLOYEES.name):
        await publish(session, CustomersChanged(employees, ["company_id"]))
    await publish(session, CustomersMerged(merge_id, survivor["id"], merged["id"]))
    return merge_id


async def _both(session: WriteSession, actor: Actor, body: MergeIn) -> tuple[Record, Record]:
    """Survivor and merged, held in key order. Raises `Invalid` with the pointer to what is wrong."""
    if body.survivor_id == body.merged_id:
        raise Invalid.at("/body/merged_id", "this is the customer that stays")
    rows = await hold(session, actor, [body.survivor_id, body.merged_id])
    for name in ("survivor_id", "merged_id"):
        if getattr(body, name) not in rows:
            raise Invalid.at(f"/body/{name}", "there is no such customer among those you may merge")
    survivor, merged = rows[body.survivor_id], rows[body.merged_id]
    if survivor["kind"] != merged["kind"]:
        raise Invalid.at("/body/merged_id", "a person and a company cannot be the same customer")
    if survivor["company_id"] == merged["id"] or merged["company_id"] == survivor["id"]:
        raise Invalid.at("/body/merged_id", "one of the two belongs to the other")
    return survivor, merged


async def hold(session: WriteSession, actor: Actor, customer_ids: list[UUID]) -> dict[UUID, Record]:
    """Those of the customers whom the actor may merge, held until the transaction ends."""
    wanted = customer.c.id == any_(literal(customer_ids, ARRAY(UuidType)))
    rows = await session.all(
        select(customer).where(wanted, visible_to(actor, PERMISSION)).order_by(customer.c.id).with_for_update()
    )
    return {row["id"]: row for row in rows}


async def _written_down(session: WriteSession, survivor: Record, merged: Record, changes: dict[str, Any]) -> UUID:
    record = select(func.to_jsonb(customer.table_valued())).where(customer.c.id == merged["id"]).scalar_subquery()
    kept = insert(customer_merge).values(
        customer_id=survivor["id"],
        survivor_id=survivor["id"],
        merged_id=merged["id"],
        record=cast(record, JSONB),
        before={name: survivor[name] for name in changes},
        after=changes,
        merged_by=session.principal,
    )
    merge_id: UUID = await session.scalar(kept.returning(customer_merge.c.id))
    return merge_id
