"""Custom fields: what a company wants to know of its customers beyond the record, each with a type."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import asyncpg
from sqlalchemy import Text, any_, delete, func, insert, literal, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.core import audit
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from app.core.http.etag import check_version
from app.core.http.paging import Page
from app.customers import custom_indexes
from app.customers.fields import CUSTOM, field
from app.customers.models import custom_field, customer
from app.customers.rules import MOST_INDEXED, Definition, fault, normal
from app.customers.schemas import CustomFieldIn, CustomFieldPatch
from app.identity.actor import Actor, Scope

WRITE = "custom_fields:write"
_f = custom_field.c


class FieldDefined(Conflict):
    type = "field-defined"
    title = "There is a custom field with this key"


async def checked(session: ReadSession, custom: Mapping[str, str], at: str) -> dict[str, str]:
    """The values in the spelling of their fields; a key that nobody defined holds any text.

    Raises `Invalid` below `at` for each value that its field does not take, and for one that is required and missing.
    """
    asked = or_(_f.required, _f.key == any_(literal(list(custom), ARRAY(Text))))
    rows = await session.all(select(custom_field).where(asked).order_by(_f.key))
    missing = [row for row in rows if row["required"] and not custom.get(row["key"])]
    wrong = {row["key"]: f"{row['title']} is needed of every customer" for row in missing}
    values, refused = spelled([row for row in rows if row not in missing], custom)
    if wrong := wrong | refused:
        errors = [FieldError(f"{at}/{key}", why) for key, why in sorted(wrong.items())]
        raise Invalid("Correct the fields named in errors", errors=errors)
    return values


async def defined(session: ReadSession, keys: Collection[str]) -> list[Record]:
    """The definitions of those of the keys that have one."""
    return await session.all(select(custom_field).where(_f.key == any_(literal(list(keys), ARRAY(Text)))))


def spelled(definitions: Iterable[Definition], custom: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The values in the spelling of their fields, and of those that their field does not take, what it takes."""
    values, refused = dict(custom), {}
    for each in definitions:
        try:
            if (key := each["key"]) in custom:
                values[key] = normal(each, custom[key])
        except ValueError as error:
            refused[key] = str(error)
    return values, refused


async def page(session: ReadSession, page: Page) -> dict[str, Any]:
    """A page of custom fields, by key."""
    statement = select(custom_field).order_by(_f.key).limit(page.limit + 1)
    if (after := page.after()) is not None:
        statement = statement.where(_f.key > after[0])
    rows = await session.all(statement)
    shown = [dict(row) for row in rows[: page.limit]]
    return {"items": shown, "next_cursor": page.next_cursor(rows, [shown[-1]["key"]] if shown else [])}


async def read(session: ReadSession, key: str) -> dict[str, Any]:
    """One custom field. Raises `NotFound`."""
    row = await session.first(select(custom_field).where(_f.key == key))
    if row is None:
        raise NotFound(f"There is no custom field {key}")
    return dict(row)


async def define(session: WriteSession, actor: Actor, body: CustomFieldIn) -> dict[str, Any]:
    """A new custom field. Raises `FieldDefined`, and `Invalid` for a definition that makes no sense."""
    _check_may_define(actor)
    values = body.model_dump()
    _check(values)
    if body.indexed:
        await _check_lengths(session, body.key)
    try:
        row = await session.first(insert(custom_field).values(**values).returning(custom_field))
    except asyncpg.UniqueViolationError as error:
        raise FieldDefined.at("/body/key", "choose another key, or change the field that is there") from error
    assert row is not None
    audit.record(session, actor, "custom_field.defined", "custom_field", body.key, after=values)
    if body.indexed:
        await custom_indexes.bring_about(session, body.key)
    return dict(row)


async def change(
    session: WriteSession, actor: Actor, key: str, body: CustomFieldPatch, *, expected: int | None
) -> dict[str, Any]:
    """Change what the body names. Raises `NotFound`, `Invalid`, and `PreconditionFailed` when it has changed."""
    before = await _locked(session, actor, key, expected)
    was, becomes = audit.changed(before, body.model_dump(exclude_unset=True))
    if not becomes:
        return dict(before)
    _check({**before, **becomes})
    if becomes.get("indexed"):
        await _check_lengths(session, key)
    changed = update(custom_field).where(_f.key == key)
    row = await session.first(
        changed.values(**becomes, version=_f.version + 1, updated_at=func.now()).returning(custom_field)
    )
    assert row is not None
    audit.record(session, actor, "custom_field.changed", "custom_field", key, before=was, after=becomes)
    if "indexed" in becomes:
        await custom_indexes.bring_about(session, key)
    return dict(row)


async def remove(session: WriteSession, actor: Actor, key: str, *, expected: int | None) -> None:
    """Delete the definition; what customers have under its key stays, as any text. Raises `NotFound`."""
    before = await _locked(session, actor, key, expected)
    await session.execute(delete(custom_field).where(_f.key == key))
    was = {name: before[name] for name in ("title", "type", "options", "minimum", "maximum", "required", "indexed")}
    audit.record(session, actor, "custom_field.deleted", "custom_field", key, before=was)
    if before["indexed"]:
        await custom_indexes.bring_about(session, key)


async def _locked(session: WriteSession, actor: Actor, key: str, expected: int | None) -> Record:
    _check_may_define(actor)
    row = await session.first(select(custom_field).where(_f.key == key).with_for_update())
    if row is None:
        raise NotFound(f"There is no custom field {key}")
    check_version(row["version"], expected)
    return row


async def _check_lengths(session: ReadSession, key: str) -> None:
    """An index holds no longer values. Raises `Invalid`."""
    long = select(customer.c.id).where(func.char_length(field(f"{CUSTOM}{key}")) > MOST_INDEXED).limit(1)
    if await session.first(long) is not None:
        raise Invalid.at(
            "/body/indexed", f"some customers have more than {MOST_INDEXED} characters; shorten them first"
        )


def _check_may_define(actor: Actor) -> None:
    if actor.scope(WRITE) is not Scope.ALL:
        raise Forbidden(f"A custom field is of all customers: changing it needs {WRITE} with the scope all")


def _check(definition: Mapping[str, Any]) -> None:
    if (wrong := fault(definition)) is not None:
        raise Invalid.at(f"/body/{wrong[0]}", wrong[1])
