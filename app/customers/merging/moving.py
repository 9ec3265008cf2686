"""Rows that follow a merge, and go back when it is undone: one set of statements for whatever a package declares.

What moves is written down first (`customer_merge_row`); what was written down then moves. So undoing moves exactly
these rows, as they are by then, and nothing that came to the survivor otherwise.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Delete,
    FromClause,
    Insert,
    Table,
    Text,
    Update,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    true,
    update,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, array
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core.db import WriteSession
from app.customers.merging.places import Moves, Part, SetAside, Stays, declared
from app.customers.models import customer_merge_row

SURVIVOR = bindparam("survivor", type_=UuidType)
MERGED = bindparam("merged", type_=UuidType)
MERGE = bindparam("merge", type_=UuidType)
PRIMARY = "is_primary"
ROOM = 12
"""Characters of a row's key that a name gets when the survivor has one like it."""
_r = customer_merge_row.c
_COLUMNS = ("customer_id", "merge_id", "place", "key", "was", "set_aside")


async def move_all(session: WriteSession, merge_id: UUID, survivor_id: UUID, merged_id: UUID) -> dict[str, int]:
    """Give the merged customer's rows to the survivor; how many of which table. Both must be held."""
    params = {"survivor": survivor_id, "merged": merged_id, "merge": merge_id}
    counts: dict[str, int] = {}
    for place in declared():
        if isinstance(place, Stays):
            continue
        if isinstance(place, SetAside) and place.key:
            await session.execute(_copied(place), params)
        if not isinstance(place, Part):
            if not await session.execute(_written_down(place), params):
                continue
            if isinstance(place, SetAside) or place.clashes is not None:
                await session.execute(_taken_out(place), params)
        if not isinstance(place, SetAside) and (moved := await session.execute(_moved(place), params)):
            counts[place.table.name] = counts.get(place.table.name, 0) + moved
    return counts


async def move_back(session: WriteSession, merge_id: UUID, survivor_id: UUID, merged_id: UUID) -> None:
    """Give the merged customer back what followed the merge. Both must be held."""
    params = {"survivor": survivor_id, "merged": merged_id, "merge": merge_id}
    for place in declared():
        if isinstance(place, Moves | Part):
            await session.execute(_moved_back(place), params)
        if isinstance(place, SetAside) and place.key:
            await session.execute(_cleared(place), params)
        if isinstance(place, Moves | SetAside):
            aside = (_r.customer_id == SURVIVOR, _r.merge_id == MERGE, _r.place == place.name, _r.set_aside)
            await session.execute(put_back(place.table, customer_merge_row, _r.was, *aside), params)
    of_this = (_r.customer_id == SURVIVOR, _r.merge_id == MERGE)
    await session.execute(delete(customer_merge_row).where(*of_this), params)


async def ids_moved(session: WriteSession, merge_id: UUID, survivor_id: UUID, place: str) -> list[UUID]:
    """The ids of the rows that moved from this place."""
    rows = await session.all(
        select(cast(_r.key[1], UuidType).label("id")).where(
            _r.customer_id == survivor_id, _r.merge_id == merge_id, _r.place == place, ~_r.set_aside
        )
    )
    return [row["id"] for row in rows]


def put_back(table: Table, holder: Table, kept: ColumnElement[Any], *where: ColumnElement[bool]) -> Insert:
    """Rows that another table holds as JSON, in their own again; a row whose key is taken by now stays out."""
    columns = [column for column in table.columns if column.computed is None]
    nothing: ColumnElement[Any] = literal_column(f"NULL::{table.name}")
    row = func.jsonb_populate_record(nothing, kept).table_valued(*(each.name for each in columns), name="kept")
    source = select(*(row.c[each.name] for each in columns)).select_from(holder, row).where(*where)
    return upsert(table).from_select([each.key for each in columns], source).on_conflict_do_nothing()


# ---- statements ------------------------------------------------------------------------------------------------------


def _written_down(place: Moves | SetAside) -> Insert:
    """The merged customer's rows that move or make room, by their keys."""
    mine = place.table.alias("mine")
    clash = _clash(place, mine)
    if isinstance(place, Moves) and (changes := place.renames or (place.primary is not None and PRIMARY)):
        was: Any = case((clash, func.jsonb_build_object(literal(changes, Text), mine.c[changes])))
        clash = false()
    else:
        was = case((clash, func.to_jsonb(mine.table_valued())))
    rows = select(SURVIVOR, MERGE, literal(place.name, Text), _key(place, mine), cast(was, JSONB), cast(clash, Boolean))
    rows = rows.where(mine.c[place.column] == MERGED)
    if isinstance(place, Moves) and place.only is not None:
        rows = rows.where(place.only(mine))
    return insert(customer_merge_row).from_select(_COLUMNS, rows)


def _clash(place: Moves | SetAside, mine: FromClause) -> ColumnElement[bool]:
    if isinstance(place, SetAside):
        return true()
    theirs = place.table.alias("theirs")
    if place.primary is not None:
        alike = and_(mine.c[PRIMARY], theirs.c[PRIMARY], *(mine.c[name] == theirs.c[name] for name in place.primary))
    elif place.clashes is not None:
        alike = place.clashes(mine, theirs)
    else:
        return false()
    return exists(select(literal(1)).select_from(theirs).where(theirs.c[place.column] == SURVIVOR, alike))


def _key(place: Moves | SetAside, row: FromClause) -> ColumnElement[Any]:
    names = place.key
    return cast(array([cast(row.c[name], Text) for name in names], type_=Text()), ARRAY(Text))


def _recorded(place: Moves | SetAside) -> ColumnElement[bool]:
    """The line of the merge about this row of the place's table."""
    columns = [place.table.c[name] for name in place.key]
    same = [column == cast(_r.key[n], column.type) for n, column in enumerate(columns, start=1)]
    return and_(_r.customer_id == SURVIVOR, _r.merge_id == MERGE, _r.place == place.name, *same)


def _copied(place: SetAside) -> Insert:
    """What was derived of the survivor alone."""
    theirs = place.table.alias("theirs")
    copies = select(
        *(SURVIVOR, MERGE, literal(place.name, Text), _key(place, theirs)),
        *(cast(func.to_jsonb(theirs.table_valued()), JSONB), true()),
    ).where(theirs.c[place.column] == SURVIVOR)
    return insert(customer_merge_row).from_select(_COLUMNS, copies)


def _cleared(place: SetAside) -> Delete:
    """Away with what was derived since of the survivor, as far as it stood before."""
    return delete(place.table).where(place.table.c[place.column] == SURVIVOR, _recorded(place))


def _taken_out(place: Moves | SetAside) -> Delete:
    """Away with the rows that wait aside."""
    mine = place.table.c[place.column] == MERGED
    if isinstance(place, SetAside):
        return delete(place.table).where(mine)
    return delete(place.table).where(mine, _recorded(place), _r.set_aside)


def _moved(place: Moves | Part) -> Update:
    owner = place.table.c[place.column]
    if isinstance(place, Part):
        whole = select(cast(_r.key[1], place.table.c[place.by].type)).where(
            _r.customer_id == SURVIVOR, _r.merge_id == MERGE, _r.place == f"{place.of.name}.{place.column}"
        )
        return update(place.table).where(owner == MERGED, place.table.c[place.by].in_(whole)).values({owner: SURVIVOR})
    values: dict[Any, Any] = {owner: SURVIVOR, **place.also}
    if place.renames is not None:
        name = place.table.c[place.renames]
        room = func.concat(name, " ~", func.right(cast(place.table.c[place.key[0]], Text), ROOM))
        values[name] = case((_r.was.is_not(None), room), else_=name)
    if place.primary is not None:
        values[place.table.c[PRIMARY]] = and_(place.table.c[PRIMARY], _r.was.is_(None))
    return update(place.table).where(owner == MERGED, _recorded(place), ~_r.set_aside).values(values)


def _another_is_primary(place: Moves) -> ColumnElement[bool]:
    """Whether another one that is alike became the primary meanwhile, and goes back with this one."""
    assert place.primary is not None
    other, line = place.table.alias("other"), customer_merge_row.alias("line")
    of_this = (line.c.customer_id == SURVIVOR, line.c.merge_id == MERGE, line.c.place == place.name)
    alike = (other.c[name] == place.table.c[name] for name in place.primary)
    return exists(
        select(literal(1))
        .select_from(other.join(line, line.c.key == _key(place, other)))
        .where(other.c[place.column] == SURVIVOR, other.c[PRIMARY], *of_this, *alike)
    )


def _moved_back(place: Moves | Part) -> Update:
    owner = place.table.c[place.column]
    if isinstance(place, Part):
        whole = select(cast(_r.key[1], place.table.c[place.by].type)).where(
            _r.customer_id == SURVIVOR, _r.merge_id == MERGE, _r.place == f"{place.of.name}.{place.column}"
        )
        back = update(place.table).where(owner == SURVIVOR, place.table.c[place.by].in_(whole))
        return back.values({owner: MERGED})
    values: dict[Any, Any] = {owner: MERGED, **place.also}
    if place.renames is not None:
        name = place.table.c[place.renames]
        values[name] = func.coalesce(_r.was[place.renames].astext, name)
    if place.primary is not None:
        is_primary = place.table.c[PRIMARY]
        values[is_primary] = or_(is_primary, and_(_r.was.is_not(None), ~_another_is_primary(place)))
    return update(place.table).where(owner == SURVIVOR, _recorded(place), ~_r.set_aside).values(values)
