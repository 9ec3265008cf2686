"""Starting an import and cancelling it."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import insert, update

from app.core import audit, jobs, work
from app.core.db import WriteSession
from app.core.errors import Conflict, Forbidden, Invalid
from app.core.settings import get_settings
from app.identity.actor import Actor, as_kept
from app.imports import formats, kinds, plan, queries, storage
from app.imports.formats import FileError
from app.imports.kinds import ImportKind, Options
from app.imports.models import imports

JOB = "imports.run"
WRITE = "imports:write"


class ImportEnded(Conflict):
    type = "import-ended"
    title = "This import has ended; what it accepted stays"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it arrives; `read(size)` gives its next bytes, none at its end."""

    file_name: str
    content_type: str
    read: storage.Read


@dataclass(frozen=True, slots=True)
class Order:
    """What the caller wants done with the file; `mapping` and `skip_when` are JSON documents."""

    kind: str
    options: Options
    mapping: object = None
    skip_when: object = None
    dry_run: bool = False


async def start(session: WriteSession, actor: Actor, upload: Upload, order: Order) -> UUID:
    """Store the file and enqueue its import.

    Raises `Invalid` naming what is wrong with the file, the mapping or an option, `Forbidden` when the kind
    needs a permission that the actor lacks, `TooLarge` for a file beyond the limit.
    """
    kind = _kind(order.kind)
    _check_allowed(actor, kind, order.options)
    _check_time_zone(order.options)
    kind.check(order.options)
    first = await upload.read(formats.PIECE)
    try:
        found = formats.recognise(first, file_name=upload.file_name, content_type=upload.content_type)
    except FileError as error:
        raise Invalid.at("/body/file", str(error)) from error
    columns = kinds.columns_of(kind, plan.names_of(found.header, order.mapping))
    how = plan.Plan(
        found.format,
        found.delimiter,
        found.gzipped,
        found.header,
        plan.map_columns(columns, found.header, order.mapping),
        plan.rows_to_skip(found.header, order.skip_when),
        order.options,
    )
    import_id = await _insert(session, actor, upload, order, how)
    limit = get_settings().max_import_bytes
    size = await storage.store(session, import_id, first, upload.read, gzipped=found.gzipped, limit=limit)
    job_id = await jobs.enqueue(session, JOB, {"import_id": import_id})
    await session.execute(update(imports).where(imports.c.id == import_id).values(size=size, job_id=job_id))
    audit.record(
        session,
        actor,
        "import.started",
        "import",
        import_id,
        after={
            "kind": order.kind,
            "size": size,
            "dry_run": order.dry_run,
            "mapping": order.mapping,
            "skip_when": order.skip_when,
            "create_customers": order.options.create_customers,
            "currency": order.options.currency,
            "time_zone": order.options.time_zone,
        },
    )
    return import_id


async def cancel(session: WriteSession, actor: Actor, import_id: UUID) -> None:
    """Stop the import at its next checkpoint; its worker deletes the file. Raises `ImportEnded`."""
    await queries.get_import(session, actor, import_id, WRITE)
    if not await work.end(session, imports, import_id, "cancelled"):
        raise ImportEnded
    audit.record(session, actor, "import.cancelled", "import", import_id)


def document(text: str | None, field: str) -> object:
    """A form field that holds JSON. Raises `Invalid` naming it."""
    if text is None or not text.strip():
        return None
    try:
        found: object = json.loads(text)
        again = json.dumps(found, ensure_ascii=False)
        again.encode()
    except (ValueError, RecursionError) as error:
        raise Invalid.at(f"/body/{field}", "This is no JSON") from error
    if "\\u0000" in again:
        raise Invalid.at(f"/body/{field}", "The character NUL is not accepted")
    return found


async def _insert(session: WriteSession, actor: Actor, upload: Upload, order: Order, how: plan.Plan) -> UUID:
    row: Any = await session.first(
        insert(imports)
        .values(
            kind=order.kind,
            file_name="".join(filter(str.isprintable, upload.file_name))[:200] or None,
            plan=how.as_json(),
            dry_run=order.dry_run,
            requested_by=actor.owner_id,
            actor=as_kept(actor),
        )
        .returning(imports.c.id)
    )
    import_id: UUID = row["id"]
    return import_id


def _kind(name: str) -> ImportKind:
    kind = kinds.find(name)
    if kind is None:
        raise Invalid.at("/body/kind", f"Nothing of this kind is imported; choose one of {', '.join(kinds.known())}")
    return kind


def _check_allowed(actor: Actor, kind: ImportKind, options: Options) -> None:
    for permission in kind.permissions(options):
        if not actor.may(permission):
            raise Forbidden(f"This import needs the permission {permission}")


def _check_time_zone(options: Options) -> None:
    if options.time_zone is not None:
        try:
            ZoneInfo(options.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise Invalid.at("/body/time_zone", "Give an IANA time zone such as Asia/Shanghai") from error
