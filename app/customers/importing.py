"""The import kind `customers`: a row of a file is a customer, known by its reference, and what is known of it.

Whoever is not there is created; of whoever is there a cell that says something replaces what the record says, and an
empty one leaves it. Of several rows with one reference the last counts. A column `custom.<key>` is a custom field.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BeforeValidator
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    any_,
    cast,
    column,
    delete,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, distinct_on

from app.core import audit
from app.core.bounds import In, Line, Reference
from app.core.db import WriteSession
from app.core.events import keep, publish
from app.customers import custom_fields, references
from app.customers.events import CustomerChanged, CustomersChanged
from app.customers.fact_files import compile_rows
from app.customers.fields import CUSTOM, OF_CUSTOM
from app.customers.models import PERSONAL, customer
from app.customers.schemas import MOST_CUSTOM, Birthday, Custom, Email, Kind, Language, Phone, Region, Tags
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
    birthday: Birthday | None = None
    region: Region | None = None
    source: Line | None = None
    language: Language | None = None
    phone: Phone | None = None
    email: Email | None = None
    tags: Annotated[Tags | None, BeforeValidator(_listed)] = None
    custom: Custom | None = None


_SAID = [name for name in _FileRow.model_fields if name != "customer_ref"]


class _CustomerFile:
    """See the module; `create_customers` and a currency mean nothing here."""

    name = "customers"
    staging = customer_import_row
    columns: Sequence[ImportColumn] = [
        ImportColumn(name, required=each.is_required())
        for name, each in _FileRow.model_fields.items()
        if name != "custom"
    ]
    further = OF_CUSTOM

    def check(self, options: Options) -> None:
        """Every option can be followed."""

    def permissions(self, options: Options) -> Sequence[str]:
        return (WRITE,)

    def compile(self, layout: Layout, options: Options, number: int) -> RowCompiler:
        return compile_rows(_FileRow, customer_import_row, layout, options, number, gathered={"custom": CUSTOM})

    async def merge(self, session: WriteSession, batch: Batch) -> Merged:
        staged = and_(_s.import_number == batch.number, _s.bucket >= batch.first, _s.bucket < batch.end)
        keys = [name.removeprefix(CUSTOM) for name in batch.layout.positions if name.startswith(CUSTOM)]
        misspelled = await _spell(session, staged, keys) if keys else []
        wanted = {row[0] for row in await session.all(select(_s.customer_ref).distinct().where(staged))}
        settled = await references.settle(session, _creating(batch), WRITE, wanted)
        merged = Merged(customers_created=settled.created, changed=settled.created, rejections=misspelled)
        if settled.unknown:
            refused = _s.customer_ref == any_(literal(list(settled.unknown), ARRAY(Text)))
            rows = await session.all(delete(customer_import_row).where(staged, refused).returning(_s.line))
            merged.rejections += [Rejection(row[0], "customer_ref", references.OUT_OF_REACH) for row in rows]
        if settled.known:
            known = references.known_rows(settled.known)
            merged.rejections += await _too_many(session, staged, known) if keys else []
            given = _given(staged, known)
            merged.changed += await (_would_change(session, given) if batch.dry_run else _change(session, batch, given))
        merged.accepted = await session.execute(delete(customer_import_row).where(staged))
        return merged


def _creating(batch: Batch) -> Batch:
    """Whoever is not there is created, asked for or not: that is what the file is for."""
    return replace(batch, options=replace(batch.options, create_customers=True))


async def _spell(session: WriteSession, staged: ColumnElement[bool], keys: Sequence[str]) -> list[Rejection]:
    """Bring custom fields into the spelling of their definitions; rows with a value that one does not take are out."""
    definitions = await custom_fields.defined(session, keys)
    if not definitions:
        return []
    other: dict[int, str] = {}
    wrong: list[Rejection] = []
    for row in await session.all(select(_s.line, _s.custom).where(staged, _s.custom.is_not(None))):
        values, refused = custom_fields.spelled(definitions, row["custom"])
        if refused:
            key, why = min(refused.items())
            wrong.append(Rejection(row["line"], f"{CUSTOM}{key}", why))
        elif values != row["custom"]:
            other[row["line"]] = json.dumps(values)
    if other:
        lines, texts = literal(list(other), ARRAY(BigInteger)), literal(list(other.values()), ARRAY(Text))
        so = func.unnest(lines, texts).table_valued(column("line", BigInteger), column("custom", Text))
        so = so.render_derived(name="so")
        spelled = update(customer_import_row).where(staged, _s.line == so.c.line)
        await session.execute(spelled.values(custom=cast(so.c.custom, JSONB)))
    refused_lines = literal([each.line for each in wrong], ARRAY(BigInteger))
    await session.execute(delete(customer_import_row).where(staged, _s.line == any_(refused_lines)))
    return wrong


async def _too_many(session: WriteSession, staged: ColumnElement[bool], known: Any) -> list[Rejection]:
    """Rows that would give a customer more custom fields than a record has are out."""
    keys = func.jsonb_object_keys(_c.custom.op("||")(_s.custom)).table_valued("key")
    rows = await session.all(
        delete(customer_import_row)
        .where(staged, _s.custom.is_not(None), known.c.customer_ref == _s.customer_ref, _c.id == known.c.customer_id)
        .where(select(func.count()).select_from(keys).scalar_subquery() > MOST_CUSTOM)
        .returning(_s.line)
    )
    return [Rejection(row[0], "custom", f"a customer has {MOST_CUSTOM} custom fields at most") for row in rows]


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
    cells = (and_(given.c[name].is_not(None), _c[name].is_distinct_from(value)) for name, value in _said(given).items())
    return and_(_c.id == given.c.customer_id, or_(*cells))


def _said(given: Any) -> dict[str, ColumnElement[Any]]:
    """What the record becomes: what the cells say, or what it was; of custom fields each by itself."""
    said: dict[str, ColumnElement[Any]] = {name: func.coalesce(given.c[name], _c[name]) for name in _SAID}
    said["custom"] = func.coalesce(_c.custom.op("||")(given.c.custom), _c.custom)
    return said


async def _would_change(session: WriteSession, given: Any) -> int:
    return int(await session.scalar(select(func.count()).select_from(customer.join(given, _differs(given)))))


async def _change(session: WriteSession, batch: Batch, given: Any) -> int:
    """Write what the file says, held rows only; how many it changed of those who were there before."""
    new = (_c.created_at == func.now()).label("new")
    old = [literal_column(f"old.{name}", _c[name].type).label(f"old_{name}") for name in _SAID]
    rows = await session.all(
        update(customer)
        .where(_differs(given))
        .values(**_said(given), version=_c.version + 1, updated_at=func.now())
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
        fields += ["custom"] if any(name.startswith(CUSTOM) for name in batch.layout.positions) else []
        await publish(session, CustomersChanged([row["id"] for row in rows], fields))
    return sum(not row["new"] for row in rows)


KIND = _CustomerFile()
