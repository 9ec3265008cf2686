"""Files of facts about customers: what the import kinds of packages share whose rows are one fact each.

The reference is required: by it the same file, sent again, finds what it brought before. The staging table begins with
`import_number` and `bucket`; then come, in any order, `line` and a column for every field of a row.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, Select, Table, Text, and_, any_, delete, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on

from app.core import clock
from app.core.bounds import In, Instant, Reference
from app.core.db import WriteSession
from app.core.http.problems import message_of
from app.customers import references
from app.imports.kinds import Batch, ImportColumn, Layout, Merged, Options, Rejection, RowCompiler, RowError, bucket_of

NULL = r"\N"
_ESCAPED = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
MAX_DIGITS = 9


class FactRow(In):
    """A row of the file; a package adds what its facts say."""

    customer_ref: Reference
    reference: Reference
    occurred_at: Instant


Refusal = tuple[str, str] | None  # which column is wrong, and what is wrong with it
Write = Callable[[WriteSession, Select[Any], str], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class FactFile:
    """One row a line; rows with one reference of one customer are one fact, the first of them.

    `refuse` says what is wrong with a row whose cells are right one by one, given the present instant. `numbers` says
    of a column of whole numbers what is wrong with a cell that is none. `write` inserts those of the rows that are new,
    given as `customer_id` and `said`, with who wrote them, announces them, and returns how many there were.
    """

    further: ClassVar[None] = None

    name: str
    row: type[FactRow]
    staging: Table
    facts: Table
    permission: str
    refuse: Callable[[Any, datetime], Refusal]
    write: Write
    numbers: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> Sequence[ImportColumn]:
        return [ImportColumn(name, required=each.is_required()) for name, each in self.row.model_fields.items()]

    @property
    def said(self) -> list[str]:
        """The columns of a fact that a row fills."""
        return said_by(self.row)

    def check(self, options: Options) -> None:
        """Every option can be followed; a currency means nothing here."""

    def permissions(self, options: Options) -> Sequence[str]:
        return (self.permission, "customers:write") if options.create_customers else (self.permission,)

    def compile(self, layout: Layout, options: Options, number: int) -> RowCompiler:
        return compile_rows(self.row, self.staging, layout, options, number, refuse=self.refuse, numbers=self.numbers)

    async def merge(self, session: WriteSession, batch: Batch) -> Merged:
        return await _merge(self, session, batch)


def said_by(row: type[FactRow]) -> list[str]:
    """The columns of a fact that such a row fills."""
    return [name for name in row.model_fields if name != "customer_ref"]


# ---- reading ---------------------------------------------------------------------------------------------------------


def compile_rows(
    row_type: type[In],
    staging: Table,
    layout: Layout,
    options: Options,
    number: int,
    *,
    refuse: Callable[[Any, datetime], Refusal] = lambda _row, _now: None,
    numbers: Mapping[str, str] = MappingProxyType({}),
    gathered: Mapping[str, str] = MappingProxyType({}),
) -> RowCompiler:
    """A function from a row of a file and its line to a line for the staging table, bucket by customer's reference.

    `gathered` says of a field that is an object how the columns begin that it is put together of.
    """
    fields = row_type.model_fields
    said_in = _cells(fields, layout, gathered)
    required = [name for name, each in fields.items() if each.is_required()]
    validated: Callable[[Any], Any] = TypeAdapter(row_type).validate_python
    zone = ZoneInfo(options.time_zone) if options.time_zone else clock.business_zone()
    now = clock.business_now()
    staged = [each.name for each in staging.columns][2:]

    def row(values: list[str], line: int) -> str:
        said = said_in(values)
        for name in required:
            if name not in said:
                raise RowError(name, f"{name} is missing")
        if "occurred_at" in said:
            said["occurred_at"] = _instant(said["occurred_at"], zone)
        for name, wrong in numbers.items():
            if name in said:
                said[name] = _whole(said[name], name, wrong)
        try:
            read = validated(said)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise RowError(_column(first["loc"], gathered), message_of(first)) from None
        if (refusal := refuse(read, now)) is not None:
            raise RowError(*refusal)
        cells = "\t".join(str(line) if name == "line" else _cell(getattr(read, name)) for name in staged)
        return f"{number}\t{bucket_of(read.customer_ref)}\t{cells}\n"

    return row


def _cells(fields: Iterable[str], layout: Layout, gathered: Mapping[str, str]) -> Callable[[list[str]], dict[str, Any]]:
    """A function from a row to what its cells say, by field; an empty cell says nothing."""
    places = [(name, layout.index(name)) for name in fields if layout.mapped(name)]
    parts = {
        name: [(each.removeprefix(begin), at[0]) for each, at in layout.positions.items() if each.startswith(begin)]
        for name, begin in gathered.items()
    }

    def said(values: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = {name: text for name, at in places if (text := values[at].strip())}
        for name, keys in parts.items():
            if together := {key: text for key, at in keys if (text := values[at].strip())}:
                found[name] = together
        return found

    return said


def _column(place: Sequence[str | int], gathered: Mapping[str, str]) -> str:
    name = str(place[0])
    return f"{gathered[name]}{place[1]}" if name in gathered and len(place) > 1 else name


def _instant(text: str, zone: ZoneInfo) -> datetime:
    try:
        if text[4:5] != "-":
            raise ValueError
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RowError("occurred_at", "this is no date or time such as 2026-01-02 or 2026-01-02T03:04:05Z") from None


def _whole(text: str, name: str, wrong: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS):
        raise RowError(name, wrong)
    return int(text)


def _cell(value: Any) -> str:
    """A value as COPY reads it."""
    if value is None:
        return NULL
    if isinstance(value, str):
        return value.translate(_ESCAPED)
    if isinstance(value, list):
        return f"{{{','.join(map(_element, value))}}}".translate(_ESCAPED)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False).translate(_ESCAPED)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _element(text: str) -> str:
    """An element as PostgreSQL reads it in an array."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


# ---- merging ---------------------------------------------------------------------------------------------------------


def _staged(kind: FactFile, batch: Batch) -> ColumnElement[bool]:
    s = kind.staging.c
    return and_(s.import_number == batch.number, s.bucket >= batch.first, s.bucket < batch.end)


async def _merge(kind: FactFile, session: WriteSession, batch: Batch) -> Merged:
    s, staged = kind.staging.c, _staged(kind, batch)
    wanted = {row[0] for row in await session.all(select(s.customer_ref).distinct().where(staged))}
    options = batch.options
    settled = await references.settle(session, batch, kind.permission, wanted)
    merged = Merged(customers_created=settled.created)
    if settled.unknown:
        refused = await session.all(
            delete(kind.staging)
            .where(staged, s.customer_ref == any_(literal(list(settled.unknown), ARRAY(Text))))
            .returning(s.line)
        )
        reason = references.why_unknown(create=options.create_customers)
        merged.rejections = [Rejection(row[0], "customer_ref", reason) for row in refused]
    rows = _rows(kind, batch, settled.known)
    if batch.dry_run:
        merged.changed = int(await session.scalar(select(func.count()).select_from(_new(kind, rows).subquery())))
    elif settled.known:
        merged.changed = await kind.write(session, rows, f"{batch.actor.kind}:{batch.actor.id}")
    merged.accepted = await session.execute(delete(kind.staging).where(staged))
    return merged


def _rows(kind: FactFile, batch: Batch, known: dict[str, UUID]) -> Select[Any]:
    """The staged rows with their customers; of several with one reference the first."""
    s = kind.staging.c
    customers = references.known_rows(known)
    return (
        select(customers.c.customer_id, *(s[name] for name in kind.said))
        .ext(distinct_on(customers.c.customer_id, s.reference))
        .join(customers, customers.c.customer_ref == s.customer_ref)
        .where(_staged(kind, batch))
        .order_by(customers.c.customer_id, s.reference, s.line)
    )


def _new(kind: FactFile, rows: Select[Any]) -> Select[Any]:
    """Those that are not recorded yet."""
    given, f = rows.subquery("given"), kind.facts.c
    recorded = select(f.id).where(f.customer_id == given.c.customer_id, f.reference == given.c.reference).exists()
    return select(given).where(~recorded)
