"""The import kind `customers`: a row of a file is a customer, known by its reference, and what is known of it.

Whoever is not there is created; of whoever is there a cell that says something replaces what the record says, and an
empty one leaves it. Of several rows with one reference the last counts.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BeforeValidator
from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    any_,
    delete,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on

from app.core import audit
from app.core.bounds import In, Line, Reference
from app.core.db import WriteSession
from app.core.events import keep, publish
from app.customers import references
from app.customers.events import CustomerChanged, CustomersChanged
from app.customers.fact_files import compile_rows
from app.customers.models import PERSONAL, customer
from app.customers.schemas import Email, Kind, Language, Phone, Region, Tags
from app.customers.service import WRITE
from app.customers.staging import customer_import_row
from app.imports.kinds import Batch, ImportColumn, Layout, Merged, Options, Rejection, RowCompiler

_c, _s = customer.c, customer_import_row.c


def _listed(text: str) -> list[str]:
    return [tag for each in text.split(";") if (tag := each.strip())]


class _FileRow(In):
    """A row of the file. What a cell may be is what a customer's field may be; tags have semicolons in between."""

    customer_ref: Reference
    kind: Kind | None = None
    name: Line | None = None
    title: Line | None = None
    region: Region | None = None
    source: Line | None = None
    language: Language | None = None
    phone: Phone | None = None
    email: Email | None = None
    tags: Annotated[Tags | None, BeforeValidator(_listed)] = None


_SAID = [name for name in _FileRow.model_fields if name != "customer_ref"]


class _CustomerFile:
    """See the module; `create_customers` and a currency mean nothing here."""

    name = "customers"
    staging = customer_import_row
    columns: Sequence[ImportColumn] = [
        ImportColumn(name, required=each.is_required()) for name, each in _FileRow.model_fields.items()
    ]

    def check(self, options: Options) -> None:
        """Every option can be followed."""

    def permissions(self, options: Options) -> Sequence[str]:
        return (WRITE,)

    def compile(self, layout: Layout, options: Options, number: int) -> RowCompiler:
        return compile_rows(_FileRow, customer_import_row, layout, options, number)

    async def merge(self, session: WriteSession, batch: Batch) -> Merged:
        staged = and_(_s.import_number == batch.number, _s.bucket >= batch.first, _s.bucket < batch.end)
        wanted = {row[0] for row in await session.all(select(_s.customer_ref).distinct().where(staged))}
        settled = await references.settle(session, _creating(batch), WRITE, wanted)
        merged = Merged(customers_created=settled.created, changed=settled.created)
        if settled.unknown:
            refused = _s.customer_ref == any_(literal(list(settled.unknown), ARRAY(Text)))
            rows = await session.all(delete(customer_import_row).where(staged, refused).returning(_s.line))
            merged.rejections = [Rejection(row[0], "customer_ref", references.OUT_OF_REACH) for row in rows]
        if settled.known:
            given = _given(staged, references.known_rows(settled.known))
            merged.changed += await (_would_change(session, given) if batch.dry_run else _change(session, batch, given))
        merged.accepted = await session.execute(delete(customer_import_row).where(staged))
        return merged


def _creating(batch: Batch) -> Batch:
    """Whoever is not there is created, asked for or not: that is what the file is for."""
    return replace(batch, options=replace(batch.options, create_customers=True))


def _given(staged: ColumnElement[bool], known: Any) -> Any:
    rows: Select[Any] = (
        select(known.c.customer_id, *(_s[name] for name in _SAID))
        .ext(distinct_on(known.c.customer_id))
        .join(known, known.c.customer_ref == _s.customer_ref)
        .where(staged)
        .order_by(known.c.customer_id, _s.line.desc())
    )
    return rows.subquery("given")


def _differs(given: Any) -> ColumnElement[bool]:
    cells = (and_(given.c[name].is_not(None), _c[name].is_distinct_from(given.c[name])) for name in _SAID)
    return and_(_c.id == given.c.customer_id, or_(*cells))


async def _would_change(session: WriteSession, given: Any) -> int:
    return int(await session.scalar(select(func.count()).select_from(customer.join(given, _differs(given)))))


async def _change(session: WriteSession, batch: Batch, given: Any) -> int:
    """Write what the file says, held rows only; how many it changed of those who were there before."""
    said = {name: func.coalesce(given.c[name], _c[name]) for name in _SAID}
    new = (_c.created_at == func.now()).label("new")
    old = [literal_column(f"old.{name}", _c[name].type).label(f"old_{name}") for name in _SAID]
    rows = await session.all(
        update(customer)
        .where(_differs(given))
        .values(**said, version=_c.version + 1, updated_at=func.now())
        .returning(_c.id, _c.version, new, *(_c[name] for name in _SAID), *old)
    )
    for row in rows:
        was, becomes = audit.changed({name: row[f"old_{name}"] for name in _SAID}, {name: row[name] for name in _SAID})
        after = {**becomes, "import": batch.import_id}
        audit.record(
            session, batch.actor, "customer.changed", "customer", row["id"], before=was, after=after, personal=PERSONAL
        )
        keep(session, CustomerChanged(row["id"], row["version"], sorted(becomes)))
    if rows:
        fields = [name for name in _SAID if batch.layout.mapped(name)]
        await publish(session, CustomersChanged([row["id"] for row in rows], fields))
    return sum(not row["new"] for row in rows)


KIND = _CustomerFile()
