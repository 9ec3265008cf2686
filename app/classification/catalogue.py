"""Schemes as what people make, name and delete; what they say is in their versions."""

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import Select, func, insert, literal, select, tuple_, update

from app.classification import schemes
from app.classification.definitions import Document
from app.classification.engine import exclude_evaluation
from app.classification.events import SchemeRetired
from app.classification.models import scheme, scheme_version
from app.classification.publishing import check_fits, one_editor_at_a_time
from app.core import audit
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, FieldError, Forbidden, NotFound
from app.core.events import publish
from app.core.http.etag import check_version
from app.core.http.paging import Page
from app.core.invalidation import announce
from app.core.jobs import enqueue
from app.identity.actor import Actor, Scope

WRITE = "schemes:write"
PUBLISH = "schemes:publish"


class KeyTaken(Conflict):
    type = "key-taken"
    title = "A scheme has this key already, or had it"


class SchemeInUse(Conflict):
    type = "scheme-in-use"
    title = "Other schemes read its classes"


def check_may_define(actor: Actor, permission: str) -> None:
    """Raises `Forbidden`: definitions belong to the whole company."""
    if actor.scope(permission) is not Scope.ALL:
        raise Forbidden(f"Definitions belong to the whole company: changing them needs {permission} with the scope all")


def as_json(document: Document) -> dict[str, Any]:
    """The document as it is kept."""
    return document.model_dump(mode="json", by_alias=True)


# ---- changing --------------------------------------------------------------------------------------------------------


async def create(
    session: WriteSession,
    actor: Actor,
    *,
    key: str,
    title: str,
    description: str | None,
    document: Document,
    note: str | None,
    pointer: str = "/body/document",
) -> None:
    """A new scheme with draft version 1. Raises `KeyTaken`, and `Invalid` below `pointer` for what does not fit."""
    await one_editor_at_a_time(session)
    await check_fits(session, key, document, pointer=pointer)
    now = await session.scalar(select(func.clock_timestamp()))
    called = {"title": title, "description": description}
    try:
        await session.execute(insert(scheme).values(key=key, **called, version=0, created_at=now, updated_at=now))
    except asyncpg.UniqueViolationError as error:
        raise KeyTaken.at("/body/key", "choose another key: this one is taken, or was before it was deleted") from error
    content = {"document": as_json(document), "note": note}
    await session.execute(
        insert(scheme_version).values(scheme=key, version=1, status="draft", created_by=session.principal, **content)
    )
    audit.record(session, actor, "scheme.created", "scheme", key, after={**called, **content})


async def change(
    session: WriteSession, actor: Actor, key: str, said: Mapping[str, Any], *, expected: int | None
) -> None:
    """Another title or description. Raises `NotFound`, and `PreconditionFailed` when the scheme has changed."""
    was, becomes = audit.changed(await _locked(session, key, expected), said)
    if not becomes:
        return
    await session.execute(
        update(scheme).where(scheme.c.key == key).values(**becomes, updated_at=func.clock_timestamp())
    )
    audit.record(session, actor, "scheme.changed", "scheme", key, before=was, after=becomes)
    await announce(session, schemes.TOPIC)


async def retire(session: WriteSession, actor: Actor, key: str, *, expected: int | None) -> None:
    """Delete: no longer evaluated, its customers are taken out of it, its key stays taken and its history stays.

    Raises `SchemeInUse`, naming the schemes that read its classes.
    """
    await one_editor_at_a_time(session)
    before = await _locked(session, key, expected)
    if users := [each async for each in _users(session, key)]:
        errors = [FieldError("/path/key", each) for each in users]
        raise SchemeInUse(f"{key} is in use: {'; '.join(users)}", errors=errors)
    await exclude_evaluation(session)
    await session.execute(
        update(scheme)
        .where(scheme.c.key == key)
        .values(retired_at=func.now(), error=None, stale_since=None, updated_at=func.clock_timestamp())
    )
    audit.record(session, actor, "scheme.retired", "scheme", key, before={"version": before["version"] or None})
    await publish(session, SchemeRetired(key))
    await enqueue(session, "schemes.empty", {"scheme": key, "actor": session.principal})
    await announce(session, schemes.TOPIC)


async def _users(session: ReadSession, key: str) -> AsyncIterator[str]:
    v = scheme_version.c
    rows = await session.all(
        select(v.scheme, v.version, v.status, v.document)
        .join(scheme, scheme.c.key == v.scheme)
        .where(v.scheme != key, v.status.in_(["published", "draft"]), scheme.c.retired_at.is_(None))
        .order_by(v.scheme, v.version)
    )
    for row in rows:
        if key in _schemes_named(row["document"]):
            yield f"{row['scheme']} version {row['version']} ({row['status']}) reads its classes"


def _schemes_named(stored: Any) -> set[str]:
    """The schemes that a stored document reads; one that is not valid any more reads whatever it names."""
    document = schemes.read_document(stored)
    if not isinstance(document, str):
        return set(document.schemes_used)
    return set(_classes_named(stored))


def _classes_named(node: Any) -> Iterator[str]:
    if isinstance(node, dict) and isinstance(node.get("class"), str) and "op" in node:
        yield node["class"]
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for part in parts:
        yield from _classes_named(part)


async def _locked(session: WriteSession, key: str, expected: int | None) -> Record:
    row = await session.first(
        select(scheme).where(scheme.c.key == key, scheme.c.retired_at.is_(None)).with_for_update()
    )
    if row is None:
        raise NotFound(f"There is no scheme {key}")
    check_version(revision(row), expected)
    return row


# ---- reading ---------------------------------------------------------------------------------------------------------


def revision(row: Mapping[str, Any]) -> int:
    """Counts up with every change of the scheme: for its ETag."""
    return int(row["updated_at"].timestamp() * 1_000_000)


def _with_documents() -> Select[Any]:
    """Each scheme with the document in force, or with its latest draft before there is one."""
    v, latest = scheme_version.alias("shown"), scheme_version.alias("latest")
    newest = (
        select(func.max(latest.c.version)).where(latest.c.scheme == scheme.c.key).correlate(scheme).scalar_subquery()
    )
    shown = func.coalesce(func.nullif(scheme.c.version, 0), newest)
    joined = scheme.outerjoin(v, (v.c.scheme == scheme.c.key) & (v.c.version == shown))
    return select(scheme, v.c.document, newest.label("latest_version")).select_from(joined)


async def read(session: ReadSession, key: str) -> dict[str, Any]:
    """One scheme, deleted ones too. Raises `NotFound`, naming those in force."""
    row = await session.first(_with_documents().where(scheme.c.key == key))
    if row is None:
        known = (await schemes.current(session)).keys
        raise NotFound(f"There is no scheme {key}; there are: {', '.join(known)}")
    return _shown(row, await schemes.current(session))


async def page(session: ReadSession, page: Page, *, retired: bool) -> dict[str, Any]:
    """A page of schemes, the oldest first; deleted ones only on request."""
    s = scheme.c
    statement = _with_documents().order_by(s.created_at, s.key).limit(page.limit + 1)
    if not retired:
        statement = statement.where(s.retired_at.is_(None))
    if (after := page.after(retired)) is not None:
        at = literal(datetime.fromisoformat(after[0]))
        statement = statement.where(tuple_(s.created_at, s.key) > tuple_(at, literal(after[1])))
    rows = await session.all(statement)
    shown = rows[: page.limit]
    last = [shown[-1]["created_at"].isoformat(), shown[-1]["key"]] if shown else []
    found = await schemes.current(session)
    return {
        "items": [_shown(row, found) for row in shown],
        "next_cursor": page.next_cursor(rows, last, retired),
    }


def _shown(row: Record, found: schemes.Published) -> dict[str, Any]:
    found_document = schemes.read_document(row["document"])
    document = None if isinstance(found_document, str) else found_document
    return {
        **row,
        "status": "retired" if row["retired_at"] else "published" if row["version"] else "draft",
        "document": document,
        "classes": document.class_names if document else [],
        "freshness": document.freshness if document else [],
        "error": row["error"] or found.aside.get(row["key"]),
    }
