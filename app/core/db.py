"""The database: SQLAlchemy writes the statements, asyncpg runs them.

Statements are SQLAlchemy Core, compiled once and cached by their shape; running the compiled text
on the driver itself costs a third of what the same statement costs through the ORM (see
decision 002). A `ReadSession` runs each statement alone; a `WriteSession` is one transaction.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy import MetaData, Table
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.sql.base import Executable
from sqlalchemy.util import LRUCache

from app.core import tracing
from app.core.errors import Unavailable
from app.core.settings import Settings

MINIMUM_VERSION = 18
CONNECTION_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
)
UNUSABLE = (asyncpg.InsufficientResourcesError, asyncpg.PostgresSystemError, asyncpg.ReadOnlySQLTransactionError)
"""The server is there and cannot do it now: its disk is full, its memory used up, or it is a standby."""

Record: TypeAlias = Any  # asyncpg ships no types
Connection: TypeAlias = Any  # a pooled asyncpg connection


class WrongServer(RuntimeError):
    """The server is older than what Strata uses."""


class NotCommitted(RuntimeError):
    """A statement had failed, somebody caught the error and went on: the transaction was rolled back."""


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_PLACE = re.compile(r"\$(\d+)")
_PLAIN = re.compile(r"[\w .,:;@/+()%-]*")
_dialect: Any = asyncpg_dialect()  # type: ignore[no-untyped-call]
_cache: LRUCache[Any, Any] = LRUCache(1000)


class Prepared:
    """A statement compiled ahead, for hot paths: running it costs a dictionary look-up per parameter.

    Constants that need no quoting beyond any doubt are written into its text. A statement that decides classes has
    hundreds, which would be sent, read and looked up with every purchase.
    """

    __slots__ = ("_defaults", "_names", "text")

    def __init__(self, statement: Executable) -> None:
        compilable: Any = statement
        compiled = compilable.compile(dialect=_dialect)
        assert not compiled.post_compile_params, "use any_(array) instead of in_() in a prepared statement"
        names: list[str] = list(compiled.positiontup or ())
        written = {name: _constant(compiled.params[name]) for name in names if compiled.binds[name].unique}
        kept = [name for name in names if written.get(name) is None]
        places = {name: f"${n}" for n, name in enumerate(kept, start=1)}
        self.text: str = _PLACE.sub(
            lambda place: written.get(names[int(place[1]) - 1]) or places[names[int(place[1]) - 1]], compiled.string
        )
        self._names: tuple[str, ...] = tuple(kept)
        self._defaults: dict[str, Any] = dict(compiled.params)

    def arguments(self, params: dict[str, Any] | None) -> list[Any]:
        given = params or {}
        defaults = self._defaults
        return [given[name] if name in given else defaults[name] for name in self._names]


def _constant(value: Any) -> str | None:
    """The value as SQL; None for one that stays a parameter."""
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "true", False: "false"}[value]
    if isinstance(value, int) or (isinstance(value, Decimal) and value.is_finite()):
        return f"({value:f})" if isinstance(value, Decimal) else f"({value})"
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return f"'{value}'"
    return None


def compile_statement(statement: Executable | Prepared, params: dict[str, Any] | None = None) -> tuple[str, list[Any]]:
    """The SQL text and its positional arguments; the text is cached by the statement's shape."""
    if isinstance(statement, Prepared):
        return statement.text, statement.arguments(params)
    compilable: Any = statement  # `Executable` does not promise SQLAlchemy's own cache, though every statement has it
    compiled, extracted, bound, _ = compilable._compile_w_cache(_dialect, compiled_cache=_cache, column_keys=[])
    given = {**(bound or {}), **(params or {})}
    values = compiled.construct_params(given, extracted_parameters=extracted, escape_names=False)
    if compiled.post_compile_params:
        expanded = compiled._process_parameters_for_postcompile(values)
        values = {**values, **expanded.additional_parameters}
        return expanded.statement, [values[name] for name in expanded.positiontup or ()]
    return compiled.string, [values[name] for name in compiled.positiontup or ()]


Statement = Executable | Prepared


class ReadSession:
    """Runs each statement alone on a pooled connection: no BEGIN, no COMMIT, nothing held in between."""

    def __init__(self, database: "Database") -> None:
        self.database = database

    async def all(self, statement: Statement, params: dict[str, Any] | None = None) -> list[Record]:
        """Every row."""
        text, values = compile_statement(statement, params)
        async with self.database.connection() as connection:
            rows: list[Record] = await connection.fetch(text, *values)
        return rows

    async def first(self, statement: Statement, params: dict[str, Any] | None = None) -> Record | None:
        """The first row, or None."""
        text, values = compile_statement(statement, params)
        async with self.database.connection() as connection:
            return await connection.fetchrow(text, *values)

    async def scalar(self, statement: Statement, params: dict[str, Any] | None = None) -> Any:
        """The first column of the first row, or None."""
        row = await self.first(statement, params)
        return None if row is None else row[0]


class Snapshot:
    """Reads all of one instant, however long it takes, a block of rows at a time; holds a connection meanwhile."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def blocks(self, statement: Statement, size: int) -> AsyncIterator[list[Record]]:
        """The rows, so many of them at a time."""
        text, values = compile_statement(statement)
        cursor = await self._connection.cursor(text, *values)
        while rows := await cursor.fetch(size):
            yield rows


class WriteSession(ReadSession):
    """One transaction, committed only by `Database.transaction` and the HTTP edge.

    Rows that nothing in the transaction reads again (audit, outbox, ...) are written behind: they wait in
    the session and go to the database in one statement just before the commit.
    """

    def __init__(
        self,
        database: "Database",
        connection: Connection,
        *,
        correlation_id: str | None = None,
        principal: str = "system",
        defers: bool = False,
    ) -> None:
        super().__init__(database)
        self.connection = connection
        self.correlation_id = correlation_id
        self.principal = principal
        self.defers = defers
        """Whether reactions that can wait are left to a job instead of joining the transaction."""
        self.after_commit: list[Callable[[], None]] = []
        self._behind: dict[str, list[dict[str, Any]]] = {}

    async def all(self, statement: Statement, params: dict[str, Any] | None = None) -> list[Record]:
        text, values = compile_statement(statement, params)
        rows: list[Record] = await self.connection.fetch(text, *values)
        return rows

    async def first(self, statement: Statement, params: dict[str, Any] | None = None) -> Record | None:
        text, values = compile_statement(statement, params)
        return await self.connection.fetchrow(text, *values)

    async def execute(self, statement: Statement, params: dict[str, Any] | None = None) -> int:
        """Run a statement for its effect; the number of rows it touched."""
        text, values = compile_statement(statement, params)
        status = await self.connection.execute(text, *values)
        count = status.rsplit(" ", 1)[-1]
        return int(count) if count.isdigit() else 0

    async def copy(self, table: Table, columns: Sequence[str], records: Iterable[Sequence[Any]]) -> None:
        """Binary COPY of many records into a table."""
        await self.connection.copy_records_to_table(table.name, columns=columns, records=records)

    def write_behind(self, table: Table, **row: Any) -> None:
        """Insert a row just before the commit. Every row of one table names the same columns."""
        self._behind.setdefault(table.name, []).append(row)

    async def flush(self) -> None:
        """Send the rows written behind: one round trip, however many tables."""
        if not self._behind:
            return
        behind, self._behind = self._behind, {}
        text = _write_behind_statement(tuple((name, tuple(rows[0])) for name, rows in behind.items()))
        await self.connection.execute(text, *behind.values())


@lru_cache(maxsize=256)
def _write_behind_statement(shape: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    inserts = [
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns)}"  # noqa: S608  names come from our metadata
        f" FROM jsonb_populate_recordset(NULL::{table}, ${position}::jsonb)"
        for position, (table, columns) in enumerate(shape, start=1)
    ]
    *first, last = inserts
    behind = ", ".join(f"behind_{n} AS ({insert})" for n, insert in enumerate(first))
    return f"WITH {behind} {last}" if first else last


class Database:
    """A pool of connections to PostgreSQL 18 and the two kinds of session on it."""

    def __init__(self, pool: asyncpg.Pool, *, acquire_timeout: float) -> None:
        self.pool = pool
        self._acquire_timeout = acquire_timeout

    @classmethod
    async def connect(
        cls,
        url: str,
        settings: Settings,
        *,
        size: int | None = None,
        statement_timeout: float | None = None,
        application: str = "strata",
    ) -> "Database":
        """Open the pool. `statement_timeout` in seconds; None is the requests' own, 0 is without limit.

        Raises `WrongServer` below PostgreSQL 18.
        """
        timeout = settings.statement_timeout if statement_timeout is None else statement_timeout
        pool = await asyncpg.create_pool(
            driver_url(url),
            min_size=2,
            max_size=size or settings.pool_size,
            init=_prepare_connection,
            connection_class=_Connection,
            reset=_reset_connection,
            statement_cache_size=500 if settings.prepared_statements else 0,
            # The statements that decide classes are long, run with every purchase, and take longest to plan.
            max_cacheable_statement_size=0,
            max_inactive_connection_lifetime=300,
            server_settings={
                "application_name": application,
                "statement_timeout": str(int(timeout * 1000)),
                "idle_in_transaction_session_timeout": "60000",
                "client_connection_check_interval": "5000",
                "lock_timeout": "0" if timeout == 0 else "10000",
                "jit": "off",
                "parallel_setup_cost": "10000",  # a page of a list is there before a parallel worker has started
                "timezone": "UTC",
            },
        )
        database = cls(pool, acquire_timeout=settings.pool_timeout)
        async with pool.acquire() as connection:
            version = connection.get_server_version()
        if version.major < MINIMUM_VERSION:
            await pool.close()
            raise WrongServer(f"Strata needs PostgreSQL {MINIMUM_VERSION} or newer; this server is {version.major}")
        return database

    async def close(self) -> None:
        """Close every connection, waiting for the ones in use."""
        try:
            await asyncio.wait_for(self.pool.close(), timeout=10)
        except TimeoutError:
            self.pool.terminate()

    async def acquire(self) -> Connection:
        """A pooled connection, to be released by the caller; `Unavailable` when none can be had in time."""
        try:
            return await self.pool.acquire(timeout=self._acquire_timeout)
        except (TimeoutError, OSError, *CONNECTION_LOST) as error:
            raise Unavailable("No database connection is free; try again in a moment") from error

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A pooled connection for the length of the block."""
        connection = await self.acquire()
        try:
            yield connection
        except asyncio.CancelledError:
            connection.leave()
            raise
        finally:
            await self.pool.release(connection)

    def reading(self) -> ReadSession:
        """A session whose statements run alone."""
        return ReadSession(self)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """The database as it is now, for the length of the block."""
        async with (
            self.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Snapshot(connection)

    @asynccontextmanager
    async def transaction(
        self, *, correlation_id: str | None = None, principal: str = "system"
    ) -> AsyncIterator[WriteSession]:
        """One transaction around the block: committed at its end, rolled back when it raises."""
        async with self.connection() as connection:
            await connection.execute("BEGIN")
            session = WriteSession(self, connection, correlation_id=correlation_id, principal=principal)
            try:
                yield session
                await commit(session)
            except BaseException:
                await roll_back(session)
                raise


async def commit(session: WriteSession) -> None:
    """Write what waits, commit, then run what was to happen only afterwards."""
    await session.flush()
    if await session.connection.execute("COMMIT") != "COMMIT":
        # PostgreSQL ends a transaction in which a statement failed with ROLLBACK, and calls that no error.
        raise NotCommitted
    for callback in session.after_commit:
        callback()


async def roll_back(session: WriteSession) -> None:
    """Undo the transaction; a connection that cannot even do that is thrown away."""
    try:
        if session.connection.is_in_transaction():
            await session.connection.execute("ROLLBACK")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        session.connection.terminate()


def driver_url(url: str) -> str:
    """The URL as asyncpg reads it, whichever way SQLAlchemy people write it."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """A connection that is told when somebody leaves it in the middle of a statement."""

    interrupted = False

    def leave(self) -> None:
        self.interrupted = True


async def _prepare_connection(connection: Connection) -> None:
    tracing.follow(connection)
    # The binary form of jsonb is a version byte and the text. Binary, because COPY takes nothing else.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + json.dumps(value, default=_plain, separators=(",", ":")).encode(),
        decoder=lambda data: json.loads(data[1:]),
        format="binary",
    )


def _plain(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


async def _reset_connection(connection: Connection) -> None:
    # A cancelled request leaves an open transaction, or a statement prepared and not run, for which PostgreSQL waits.
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")
    elif connection.interrupted:
        await connection.execute("SELECT")
    connection.interrupted = False
