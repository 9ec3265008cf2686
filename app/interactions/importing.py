"""The import kind `interactions`: a row of a file is an interaction, known by its reference.

The reference is required: by it the same file, sent again, finds what it brought before.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, Select, Table, Text, and_, any_, column, delete, func, literal, select
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on, insert

from app.core import clock
from app.core.bounds import Day, In, Instant, Key, Line, Reference
from app.core.db import WriteSession
from app.core.events import publish
from app.core.http.problems import message_of
from app.customers import references
from app.imports.kinds import Batch, ImportColumn, Layout, Merged, Options, Rejection, RowCompiler, RowError, bucket_of
from app.interactions.events import InteractionsRecorded
from app.interactions.models import interaction
from app.interactions.rules import is_too_late
from app.interactions.schemas import Direction, Duration, InteractionKind, Matter, Minutes
from app.interactions.service import TOO_LATE, WRITE
from app.interactions.staging import interaction_import_row

NULL = r"\N"
_ESCAPED = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


class _FileRow(In):
    """A row of the file. What a cell may be is what a recorded interaction may be."""

    customer_ref: Reference
    reference: Reference
    kind: InteractionKind
    occurred_at: Instant
    direction: Direction | None = None
    outcome: Key | None = None
    duration_seconds: Duration | None = None
    subject: Line | None = None
    minutes: Minutes | None = None
    matter: Matter | None = None
    next_step: Line | None = None
    next_step_due_on: Day | None = None


_row = TypeAdapter(_FileRow)
_REQUIRED = {name for name, each in _FileRow.model_fields.items() if each.is_required()}
_FACTS = [name for name in _FileRow.model_fields if name != "customer_ref"]


class Interactions:
    """One row a line; rows with one reference of one customer are one interaction, the first of them."""

    name = "interactions"
    columns: Sequence[ImportColumn] = tuple(
        ImportColumn(name, required=name in _REQUIRED) for name in _FileRow.model_fields
    )
    staging: Table = interaction_import_row

    def check(self, options: Options) -> None:
        """Every option can be followed; a currency means nothing here."""

    def permissions(self, options: Options) -> Sequence[str]:
        return (WRITE, "customers:write") if options.create_customers else (WRITE,)

    def compile(self, layout: Layout, options: Options, number: int) -> RowCompiler:
        return _compile(layout, options, number)

    async def merge(self, session: WriteSession, batch: Batch) -> Merged:
        return await _merge(session, batch)


KIND = Interactions()


# ---- reading ---------------------------------------------------------------------------------------------------------


def _compile(layout: Layout, options: Options, number: int) -> RowCompiler:
    places = [(name, layout.index(name)) for name in _FileRow.model_fields if layout.mapped(name)]
    zone = ZoneInfo(options.time_zone) if options.time_zone else clock.business_zone()
    now = clock.business_now()

    def row(values: list[str], line: int) -> str:
        said: dict[str, Any] = {name: text for name, at in places if (text := values[at].strip())}
        for name in _REQUIRED:
            if name not in said:
                raise RowError(name, f"{name} is missing")
        said["occurred_at"] = _instant(said["occurred_at"], zone)
        if "duration_seconds" in said:
            said["duration_seconds"] = _seconds(said["duration_seconds"])
        if "next_step_due_on" in said and "next_step" not in said:
            raise RowError("next_step", "next_step is missing: something is due")
        try:
            read = _row.validate_python(said)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise RowError(str(first["loc"][0]), message_of(first)) from None
        if is_too_late(read.occurred_at, now):
            raise RowError("occurred_at", TOO_LATE)
        reference = read.customer_ref
        facts = "\t".join(_cell(getattr(read, name)) for name in _FACTS)
        return f"{number}\t{bucket_of(reference)}\t{reference.translate(_ESCAPED)}\t{line}\t{facts}\n"

    return row


def _instant(text: str, zone: ZoneInfo) -> datetime:
    try:
        if text[4:5] != "-":
            raise ValueError
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RowError("occurred_at", "this is no date or time such as 2026-01-02 or 2026-01-02T03:04:05Z") from None


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise RowError("duration_seconds", "this is no whole number of seconds")
    return int(text)


def _cell(value: Any) -> str:
    """A value as COPY reads it."""
    if value is None:
        return NULL
    if isinstance(value, str):
        return value.translate(_ESCAPED)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


# ---- merging ---------------------------------------------------------------------------------------------------------

_s = interaction_import_row.c


def _staged(batch: Batch) -> ColumnElement[bool]:
    return and_(_s.import_number == batch.number, _s.bucket >= batch.first, _s.bucket < batch.end)


async def _merge(session: WriteSession, batch: Batch) -> Merged:
    wanted = {row[0] for row in await session.all(select(_s.customer_ref).distinct().where(_staged(batch)))}
    options = batch.options
    settled = await references.settle(
        session, batch.actor, WRITE, wanted, create=options.create_customers, dry_run=batch.dry_run
    )
    merged = Merged(customers_created=settled.created)
    if settled.unknown:
        refused = await session.all(
            delete(interaction_import_row)
            .where(_staged(batch), _s.customer_ref == any_(literal(list(settled.unknown), ARRAY(Text))))
            .returning(_s.line)
        )
        reason = references.why_unknown(create=options.create_customers)
        merged.rejections = [Rejection(row[0], "customer_ref", reason) for row in refused]
    rows = _rows(batch, settled.known)
    if batch.dry_run:
        merged.changed = int(await session.scalar(select(func.count()).select_from(_new(rows).subquery())))
    elif settled.known:
        merged.changed = await _write(session, rows, f"{batch.actor.kind}:{batch.actor.id}")
    merged.accepted = await session.execute(delete(interaction_import_row).where(_staged(batch)))
    return merged


def _rows(batch: Batch, known: dict[str, UUID]) -> Select[Any]:
    """The staged rows with their customers; of several with one reference the first."""
    customers = (
        func.unnest(literal(list(known), ARRAY(Text)), literal(list(known.values()), ARRAY(UuidType)))
        .table_valued("customer_ref", column("customer_id", UuidType()))
        .render_derived(name="customers")
    )
    facts = [_s[name] for name in _FACTS if name != "reference"]
    return (
        select(customers.c.customer_id, _s.reference, *facts)
        .ext(distinct_on(customers.c.customer_id, _s.reference))
        .join(customers, customers.c.customer_ref == _s.customer_ref)
        .where(_staged(batch))
        .order_by(customers.c.customer_id, _s.reference, _s.line)
    )


def _new(rows: Select[Any]) -> Select[Any]:
    """Those that are not recorded yet."""
    given, i = rows.subquery("given"), interaction.c
    recorded = select(i.id).where(i.customer_id == given.c.customer_id, i.reference == given.c.reference).exists()
    return select(given).where(~recorded)


async def _write(session: WriteSession, rows: Select[Any], written_by: str) -> int:
    given = rows.subquery("given")
    written = await session.all(
        insert(interaction)
        .from_select(
            ["customer_id", *_FACTS, "written_by"],
            select(given.c.customer_id, *(given.c[name] for name in _FACTS), literal(written_by, Text)),
        )
        .on_conflict_do_nothing()
        .returning(interaction.c.customer_id)
    )
    if written:
        await publish(session, InteractionsRecorded(sorted({row[0] for row in written})))
    return len(written)
