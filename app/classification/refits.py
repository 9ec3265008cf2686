"""Refits: which schemes need breakpoints anew, by what their documents say, or because they have none."""

from datetime import date

from sqlalchemy import select

from app.classification import schemes
from app.classification.engine import Scheme
from app.classification.models import breakpoints, scheme
from app.classification.rules import refit_due
from app.core import clock
from app.core.db import ReadSession, Record


async def without_breakpoints(session: ReadSession) -> list[str]:
    """Schemes in force whose classes depend on a population that has not been there to decide yet."""
    fitted = await _in_force(session)
    return [
        each.key for each in await _fittable(session) if each.key not in fitted or not fitted[each.key]["population"]
    ]


async def due(session: ReadSession, today: date) -> list[str]:
    """Schemes in force whose breakpoints are older than their documents want them."""
    fitted = await _in_force(session)
    return [
        each.key
        for each in await _fittable(session)
        if each.key in fitted and refit_due(each.document.refit, clock.business_day(fitted[each.key]["as_of"]), today)
    ]


async def _fittable(session: ReadSession) -> list[Scheme]:
    return [each for each in (await schemes.published(session)).schemes if each.document.breakpoint_paths]


async def _in_force(session: ReadSession) -> dict[str, Record]:
    rows = await session.all(
        select(scheme.c.key, breakpoints.c.as_of, breakpoints.c.population).join(
            breakpoints, breakpoints.c.id == scheme.c.breakpoints_id
        )
    )
    return {row["key"]: row for row in rows}
