"""Promises that a database can be asked about: what must hold, and the rows for which it does not.

A package brings its own (`Feature.checks`); they are asked together, of one snapshot, and write nothing.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import DateTime, Select, Text, bindparam, func, select

from app.core import clock
from app.core.db import Database, Record
from app.core.jobs import job

NOW = bindparam("now", type_=DateTime(timezone=True))
"""The business instant at which the checks are made."""
ZONE = bindparam("zone", type_=Text)
"""The business time zone."""
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Check:
    """What must hold; how many there are for which it must; a row for each for which it does not."""

    promise: str
    examined: Select[Any]
    violations: Select[Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check came to, with the first examples of what is wrong."""

    promise: str
    examined: int
    violations: int
    examples: list[Record]


async def findings(database: Database, checks: Sequence[Check]) -> AsyncIterator[Finding]:
    """Carry out the checks one after the other, all of them on what the database holds at the beginning."""
    params = {"now": clock.business_now(), "zone": str(clock.business_zone())}
    async with database.transaction() as session:
        await session.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for check in checks:
            wrong = check.violations.subquery("wrong")
            rows = await session.all(select(func.count().over().label("violations"), wrong).limit(SHOWN), params)
            found = rows[0]["violations"] if rows else 0
            examples = [{name: value for name, value in row.items() if name != "violations"} for row in rows]
            yield Finding(check.promise, await session.scalar(check.examined, params), found, examples)


CHECKS = [
    Check(
        "no job is dead",
        examined=select(func.count()).select_from(job),
        violations=select(job.c.id, job.c.name, job.c.error).where(job.c.status == "dead").order_by(job.c.id),
    )
]
