"""The organisation's units: a tree. Moving a unit changes who sees what, at once."""

from uuid import UUID

import asyncpg
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.sql.base import Executable

from app.core import audit, clock, invalidation
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.http.etag import check_version
from app.identity import queries, rules
from app.identity.actor import SYSTEM, Actor
from app.identity.errors import UnitInUse, UnitNameTaken
from app.identity.models import org_unit
from app.identity.schemas import UnitIn, UnitPatch

MAX_DEPTH = 12
_TREE_LOCK = 0x5354_5241_5441_0001


async def read(session: ReadSession, actor: Actor, unit_id: UUID, *, permission: str = "units:read") -> Record:
    """The unit with its path; `NotFound` for one the permission does not reach."""
    tree = queries.unit_tree(actor, permission)
    row = await session.first(tree.where(tree.selected_columns.id == unit_id))
    if row is None:
        raise NotFound
    return row


async def create(session: WriteSession, actor: Actor, body: UnitIn) -> Record:
    """A new unit under a unit that the actor's units:write reaches; a new root needs the scope all."""
    await _lock_tree(session)
    await _check_place(session, actor, body.parent_id, height=0)
    values = body.model_dump()
    row = await _written(session, insert(org_unit).values(values).returning(org_unit.c.id))
    assert row is not None
    audit.record(session, actor, "unit.created", "unit", row["id"], after=values)
    await invalidation.announce(session, "identity")
    return await _row(session, row["id"])


async def change(
    session: WriteSession, actor: Actor, unit_id: UUID, body: UnitPatch, *, expected: int | None
) -> Record:
    """Rename or move. Raises `Invalid` for a move below itself, or one that makes the tree too deep."""
    await _lock_tree(session)
    before = await read(session, actor, unit_id, permission="units:write")
    check_version(before["version"], expected)
    was, becomes = audit.changed(before, body.model_dump(exclude_unset=True))
    if not becomes:
        return before
    if "parent_id" in becomes:
        moving = await session.all(queries.units_below(unit_id))
        if becomes["parent_id"] in {row["id"] for row in moving}:
            raise Invalid.at("/body/parent_id", "A unit cannot lie below itself; choose another parent")
        await _check_place(session, actor, becomes["parent_id"], height=max(row["depth"] for row in moving))
    versioned = {**becomes, "version": org_unit.c.version + 1, "updated_at": func.now()}
    await _written(session, update(org_unit).where(org_unit.c.id == unit_id).values(versioned))
    audit.record(session, actor, "unit.changed", "unit", unit_id, before=was, after=becomes)
    await invalidation.announce(session, "identity")
    return await _row(session, unit_id)


async def remove(session: WriteSession, actor: Actor, unit_id: UUID, *, expected: int | None) -> None:
    """Delete a unit that nothing belongs to."""
    await _lock_tree(session)
    before = await read(session, actor, unit_id, permission="units:write")
    check_version(before["version"], expected)
    try:
        await session.execute(queries.past_memberships(unit_id, clock.business_day(clock.now())))
        await session.execute(delete(org_unit).where(org_unit.c.id == unit_id))
    except asyncpg.ForeignKeyViolationError as error:
        raise UnitInUse from error
    gone = {"name": before["name"], "parent_id": before["parent_id"]}
    audit.record(session, actor, "unit.deleted", "unit", unit_id, before=gone)
    await invalidation.announce(session, "identity")


async def _lock_tree(session: WriteSession) -> None:
    # Two moves that are each harmless can make a cycle together.
    await session.execute(select(func.pg_advisory_xact_lock(_TREE_LOCK)))


async def _check_place(session: WriteSession, actor: Actor, parent_id: UUID | None, *, height: int) -> None:
    """Raises unless a unit with `height` levels below it may be put under this parent."""
    if not rules.reaches_unit(actor, "units:write", parent_id):
        raise Forbidden.at("/body/parent_id", "Your units:write does not reach this parent")
    if parent_id is None:
        return
    depth = await session.scalar(queries.depth_of(parent_id))
    if depth is None:
        raise Invalid.at("/body/parent_id", "There is no such unit")
    if depth + 1 + height >= MAX_DEPTH:
        raise Invalid.at("/body/parent_id", f"The tree of units is at most {MAX_DEPTH} levels deep")


async def _written(session: WriteSession, statement: Executable) -> Record | None:
    try:
        return await session.first(statement)
    except asyncpg.UniqueViolationError as error:
        raise UnitNameTaken from error


async def _row(session: WriteSession, unit_id: UUID) -> Record:
    # The actor, as remembered, does not reach a unit that was made a moment ago.
    return await read(session, SYSTEM, unit_id)
