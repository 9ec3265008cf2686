"""Promises that a database can be asked about: what must hold, and the rows for which it does not.

A package brings its own (`Feature.checks`); they are asked together, of one snapshot, and write nothing.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import DateTime, MetaData, Select, Table, Text, any_, bindparam, cast, column, func, literal, select
from sqlalchemy import table as table_of
from sqlalchemy.dialects.postgresql import ARRAY

from app.core import clock, work
from app.core.audit import audit_event
from app.core.db import Database, Record, WriteSession
from app.core.jobs import FINISHED, job, lost
from app.core.outbox import AT_LEAST_KEPT, outbox_event

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
    async with database.transaction() as session:
        await session.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for check in checks:
            yield await carry_out(session, check)


async def carry_out(session: WriteSession, check: Check) -> Finding:
    """Ask the database of this transaction."""
    params = {"now": clock.business_now(), "zone": str(clock.business_zone())}
    wrong = check.violations.subquery("wrong")
    rows = await session.all(select(func.count().over().label("violations"), wrong).limit(SHOWN), params)
    found = rows[0]["violations"] if rows else 0
    examples = [{name: value for name, value in row.items() if name != "violations"} for row in rows]
    return Finding(check.promise, await session.scalar(check.examined, params), found, examples)


def announced(action: str, event: str, key: str, name: str) -> Check:
    """Whatever was done by this audited action was announced by one event, in which `key` names it.

    Of the days for which events are kept in any case.
    """
    a, o = audit_event.c, outbox_event.c
    done = (a.action == action, a.at > func.now() - AT_LEAST_KEPT)
    told = select(o.payload[key].astext.label("what")).where(o.name == event).subquery("told")
    times = select(told.c.what, func.count().label("events")).group_by(told.c.what).subquery("times")
    events = func.coalesce(times.c.events, 0)
    return Check(
        f"every {name} was announced once",
        examined=select(func.count()).select_from(audit_event).where(*done),
        violations=select(a.resource_id, events.label("events"))
        .select_from(audit_event.outerjoin(times, times.c.what == a.resource_id))
        .where(*done, events != 1)
        .order_by(a.id),
    )


def carried(table: Table, name: str) -> Check:
    """Long work that has not ended has a job that does it."""
    doing = select(job.c.id).where(
        job.c.payload[work.key_of(table)].astext == cast(table.c.id, Text), job.c.status.notin_(FINISHED)
    )
    return Check(
        f"every {name} under way has a job that does it",
        examined=select(func.count()).select_from(table).where(work.under_way(table)),
        violations=select(table.c.id, table.c.status)
        .where(work.under_way(table), ~doing.exists())
        .order_by(table.c.id),
    )


def known_columns(metadata: MetaData) -> Check:
    """What the service does not know, it can neither hand over nor erase: the build has looked at all it knows."""
    names = [f"{table.name}.{each.name}" for table in metadata.tables.values() for each in table.columns]
    found = table_of("columns", column("table_schema"), column("table_name"), column("column_name"))
    found.schema = "information_schema"
    c = found.c
    whole = func.concat(c.table_name, literal("."), c.column_name)
    ours = (
        c.table_schema == func.current_schema(),
        cast(c.table_name, Text) != "alembic_version",
        cast(c.table_name, Text).not_like("pgqueuer%"),
    )
    return Check(
        "every column is one of which is known whether it holds personal data",
        examined=select(func.count()).select_from(found).where(*ours),
        violations=select(whole.label("column"))
        .where(*ours, ~(whole == any_(literal(names, ARRAY(Text)))))
        .order_by(whole),
    )


CHECKS = [
    Check(
        "no job is dead",
        examined=select(func.count()).select_from(job),
        violations=select(job.c.id, job.c.name, job.c.error).where(job.c.status == "dead").order_by(job.c.id),
    ),
    Check(
        "every job has ended, or a worker will come to it",
        examined=select(func.count()).select_from(job),
        violations=select(job.c.id, job.c.name, job.c.status).where(lost()).order_by(job.c.id),
    ),
]
