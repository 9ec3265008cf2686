"""The tree of regions as it is kept: seeded, listed, and each with those that it lies in."""

from typing import Any

from sqlalchemy import Text, any_, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import NotFound
from app.core.http.paging import Page
from app.customers.models import region
from app.customers.regions.published import places

_r = region.c
_NAMES = ("parent", "level", "name_en", "name_zh")


async def seed(session: WriteSession) -> None:
    """Make the tree what is published, in one statement; running it again changes nothing, and nothing is taken away.

    A region that is published no longer stays: customers may be in it.
    """
    given = [(place.code, place.parent, place.level, place.name_en, place.name_zh) for place in places()]
    columns = [literal(list(column), ARRAY(Text)) for column in zip(*given, strict=True)]
    rows = func.unnest(*columns).table_valued("code", *_NAMES).render_derived()
    adding = upsert(region).from_select(["code", *_NAMES], select(rows))
    new = adding.excluded
    differs = or_(*(_r[name].is_distinct_from(new[name]) for name in _NAMES))
    await session.execute(
        adding.on_conflict_do_update(index_elements=[_r.code], set_={name: new[name] for name in _NAMES}, where=differs)
    )


async def page(
    session: ReadSession, page: Page, *, parent: str | None, level: str | None, q: str | None
) -> dict[str, Any]:
    """A page of regions, by code; `q` is found in the names of both languages, whatever its case."""
    statement = select(region).order_by(_r.code).limit(page.limit + 1)
    if parent is not None:
        statement = statement.where(_r.parent == parent)
    if level is not None:
        statement = statement.where(_r.level == level)
    if q is not None:
        statement = statement.where(
            or_(_r.name_en.icontains(q, autoescape=True), _r.name_zh.icontains(q, autoescape=True))
        )
    scope = [parent, level, q]
    if (after := page.after(scope)) is not None:
        statement = statement.where(_r.code > literal(after[0], Text))
    rows = await session.all(statement)
    shown = [_shown(row) for row in rows[: page.limit]]
    return {"items": shown, "next_cursor": page.next_cursor(rows, [shown[-1]["code"]] if shown else [], scope)}


async def read(session: ReadSession, code: str) -> dict[str, Any]:
    """One region, with those that it lies in, the country first. Raises `NotFound`."""
    levels = code.split("-")
    codes = ["-".join(levels[: n + 1]) for n in range(len(levels))]
    rows = await session.all(select(region).where(_r.code == any_(literal(codes, ARRAY(Text)))))
    found = sorted((_shown(row) for row in rows), key=lambda each: len(each["code"]))
    if not found or found[-1]["code"] != code:
        raise NotFound(f"There is no region {code} in the tree")
    return {**found[-1], "within": found[:-1]}


def _shown(row: Record) -> dict[str, Any]:
    names = {"en": row["name_en"], "zh": row["name_zh"]}
    return {"code": row["code"], "parent": row["parent"], "level": row["level"], "name": names}
