"""Drift: how far a scheme's breakpoints moved from those before them, and how many customers that would move."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, literal, select, tuple_

from app.classification import edges, statements, walking
from app.classification.engine import Scheme
from app.classification.fitting import Fit
from app.classification.models import breakpoints, scheme
from app.classification.refresh import scope_params
from app.core import clock
from app.core.bounds import plain_decimal
from app.core.db import Prepared, ReadSession, Record
from app.core.errors import NotFound
from app.core.http.paging import Page

Values = dict[str, Any]
_BEFORE, _AFTER = "breakpoints_before", "breakpoints_after"


async def compared(session: ReadSession, fit: Fit, as_of: datetime) -> Fit:
    """The fit, with the breakpoints in force and how many customers it decides otherwise than they do."""
    in_force = await session.first(
        select(breakpoints.c.id, breakpoints.c["values"])
        .join(scheme, scheme.c.breakpoints_id == breakpoints.c.id)
        .where(scheme.c.key == fit.scheme.key, breakpoints.c.version == fit.scheme.version)
    )
    if in_force is None:
        return fit
    moved = 0
    if in_force["values"] != fit.values:
        moved = await _decided_otherwise(session, fit.scheme, in_force["values"], fit.values, as_of)
    return replace(fit, previous_id=in_force["id"], moved=moved)


async def _decided_otherwise(session: ReadSession, each: Scheme, before: Values, after: Values, as_of: datetime) -> int:
    """How many customers have another class under one set of breakpoints than under the other."""
    sides = replace(each, key=_BEFORE), replace(each, key=_AFTER)
    limits = edges.given(sides[0], _BEFORE, (sides[1], _AFTER))
    decided = statements.decisions([sides], None, limits, ranged=True)
    unlike = decided.c[f"{_BEFORE}_class"].is_distinct_from(decided.c[f"{_AFTER}_class"])
    counting = Prepared(select(func.count()).select_from(decided).where(unlike))
    given = {_BEFORE: before, _AFTER: after, "as_of": as_of, "as_of_day": clock.business_day(as_of)}
    params = [given | scope_params(part) for part in await walking.parts(session)]
    return sum(await asyncio.gather(*(session.scalar(counting, part) for part in params)))


# ---- shown -----------------------------------------------------------------------------------------------------------

_previous = breakpoints.alias("previous")
_shown = select(breakpoints, _previous.c["values"].label("values_before")).outerjoin(
    _previous, _previous.c.id == breakpoints.c.previous_id
)


async def in_force(session: ReadSession, key: str) -> dict[str, Any]:
    """The breakpoints in force and their drift. Raises `NotFound` before the first fit."""
    row = await session.first(
        _shown.join(scheme, scheme.c.breakpoints_id == breakpoints.c.id).where(scheme.c.key == key)
    )
    if row is None:
        raise NotFound(f"{key} has no breakpoints; if its document needs some, ask for a recalculation with refit")
    return _with_drift(row)


async def page(session: ReadSession, key: str, page: Page) -> dict[str, Any]:
    """A page of a scheme's breakpoints, of all its versions, the latest first."""
    b = breakpoints.c
    statement = _shown.where(b.scheme == key).order_by(b.fitted_at.desc(), b.id.desc()).limit(page.limit + 1)
    if (after := page.after()) is not None:
        position = tuple_(literal(datetime.fromisoformat(after[0])), literal(UUID(after[1])))
        statement = statement.where(tuple_(b.fitted_at, b.id) < position)
    rows = await session.all(statement)
    shown = rows[: page.limit]
    last = [shown[-1]["fitted_at"].isoformat(), shown[-1]["id"]] if shown else []
    return {"items": [_with_drift(row) for row in shown], "next_cursor": page.next_cursor(rows, last)}


def _with_drift(row: Record) -> dict[str, Any]:
    drift = None
    if row["values_before"] is not None:
        before, after = dict(_edges(row["values_before"])), dict(_edges(row["values"]))
        drift = {"edges": [_edge(name, before.get(name), after[name]) for name in after], "moved": row["moved"]}
    return {**row, "drift": drift}


def _edges(values: Any, name: str = "") -> Iterator[tuple[str, str | None]]:
    """Each breakpoint by its name, which is the way to it."""
    parts = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else None
    if parts is None:
        yield name, values
        return
    for part, value in parts:
        yield from _edges(value, f"{name}_{part}" if name else str(part))


def _edge(name: str, before: str | None, after: str | None) -> dict[str, Any]:
    change = None if before is None or after is None else plain_decimal(Decimal(after) - Decimal(before))
    return {"name": name, "before": before, "after": after, "change": change}
