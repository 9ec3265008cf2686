"""Indexes of custom fields, made and dropped by a job while the service runs.

What a condition compares is the text under the key; of numbers and days also what it spells (see `comparisons`).
"""

from hashlib import blake2b

from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects import postgresql

from app.core import jobs
from app.core.comparisons import day_in, number_in
from app.core.db import Connection, WriteSession
from app.core.jobs import JobContext
from app.customers.fields import CUSTOM, field
from app.customers.models import custom_field, customer

JOB = "custom_fields.index"
PREFIX = "ix_customer_custom_"
_SPELLING = {"number": number_in, "money": number_in, "date": day_in}


async def bring_about(session: WriteSession, key: str) -> None:
    """Have the indexes made that the field's definition asks for, and the others dropped."""
    await jobs.enqueue(session, JOB, {"key": key})


async def run_indexing(context: JobContext) -> None:
    """The job: what is there already stays, what a stopped job left half made is made anew."""
    key = context.payload["key"]
    row = await context.database.reading().first(select(custom_field).where(custom_field.c.key == key))
    wanted = _expressions(key, row["type"]) if row is not None and row["indexed"] else {}
    async with context.database.connection() as connection:
        await connection.execute("SET statement_timeout = 0")
        try:
            for name in (_name(key, "text"), _name(key, "spelled")):
                if name not in wanted or not await _is_valid(connection, name):
                    await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            for name, expression in wanted.items():
                await connection.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON customer (({expression}))")
        finally:
            await connection.execute("RESET statement_timeout")


def _name(key: str, of: str) -> str:
    return f"{PREFIX}{blake2b(key.encode(), digest_size=8).hexdigest()}_{of}"


def _expressions(key: str, kind: str) -> dict[str, str]:
    """By the index's name, what is indexed: the very expressions that conditions compare."""
    text = field(f"{CUSTOM}{key}", customer)
    found = {_name(key, "text"): _sql(text)}
    if kind in _SPELLING:
        found[_name(key, "spelled")] = _sql(_SPELLING[kind](text))
    return found


def _sql(expression: ColumnElement[object]) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's constructor has no types
    return str(expression.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


async def _is_valid(connection: Connection, name: str) -> bool:
    found = await connection.fetchval(
        "SELECT bool_and(i.indisvalid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname = $1",
        name,
    )
    return found is not False
