"""Versions of a scheme: drafts can be written; what was published once stays as it is, and can be published again."""

from typing import Any, Literal
from uuid import UUID

from sqlalchemy import delete, exists, func, insert, select, update

from app.classification import recalculations, schemes
from app.classification.catalogue import PUBLISH, WRITE, as_json, check_may_define
from app.classification.definitions import Document
from app.classification.metrics import METRICS
from app.classification.models import recalculation, scheme, scheme_version, simulation, simulation_count
from app.classification.models import simulation_move as moves
from app.classification.publishing import check_fits, newest_breakpoints, one_editor_at_a_time, replaced_at, to_publish
from app.core import audit, work
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, Invalid, NotFound
from app.core.http.etag import check_version
from app.core.http.paging import Page
from app.identity.actor import Actor

Movement = Literal["at_once", "as_documented"]
MAX_VERSIONS = 10_000


class VersionPublished(Conflict):
    type = "version-published"
    title = "Only drafts can be changed; make a new version"


async def create(session: WriteSession, actor: Actor, key: str, document: Document, note: str | None) -> int:
    """The next version, as a draft. Raises `Invalid` below /body/document for what does not fit the other schemes."""
    check_may_define(actor, WRITE)
    await one_editor_at_a_time(session)
    await _check_there(session, key)
    await check_fits(session, key, document, pointer="/body/document")
    latest = await session.scalar(select(func.max(scheme_version.c.version)).where(scheme_version.c.scheme == key))
    if latest >= MAX_VERSIONS:
        raise Conflict(f"{key} has {MAX_VERSIONS} versions; that is enough")
    version = int(latest) + 1
    content = {"document": as_json(document), "note": note}
    await session.execute(
        insert(scheme_version).values(
            scheme=key, version=version, status="draft", created_by=session.principal, **content
        )
    )
    audit.record(session, actor, "scheme_version.created", "scheme_version", f"{key}/{version}", after=content)
    return version


async def change(
    session: WriteSession,
    actor: Actor,
    key: str,
    version: int,
    document: Document,
    note: str | None,
    *,
    expected: int | None,
) -> None:
    """Another document for a draft. Raises `VersionPublished`, and `PreconditionFailed` when it has changed."""
    check_may_define(actor, WRITE)
    before = await _draft(session, key, version, expected)
    await check_fits(session, key, document, pointer="/body/document")
    was, becomes = audit.changed(before, {"document": as_json(document), "note": note})
    if not becomes:
        return
    v = scheme_version.c
    await session.execute(
        update(scheme_version).where(v.scheme == key, v.version == version).values(edits=v.edits + 1, **becomes)
    )
    audit.record(
        session, actor, "scheme_version.changed", "scheme_version", f"{key}/{version}", before=was, after=becomes
    )


async def remove(session: WriteSession, actor: Actor, key: str, version: int, *, expected: int | None) -> None:
    """Delete a draft and its simulations. A scheme keeps one version at least: it is deleted itself."""
    check_may_define(actor, WRITE)
    before = await _draft(session, key, version, expected)
    v, s = scheme_version.c, simulation.c
    if not await session.scalar(select(exists().where(v.scheme == key, v.version != version))):
        raise Conflict(f"This is the only version of {key}; delete the scheme")
    simulated = select(s.id).where(s.scheme == key, s.version == version)
    if await session.scalar(select(exists(simulated.where(work.under_way(simulation))))):
        raise Conflict("This draft is being simulated; wait for that, or cancel it")
    for table in (simulation_count, moves):
        await session.execute(delete(table).where(table.c.simulation_id.in_(simulated)))
    await session.execute(delete(simulation).where(s.scheme == key, s.version == version))
    await session.execute(delete(scheme_version).where(v.scheme == key, v.version == version))
    audit.record(
        session,
        actor,
        "scheme_version.deleted",
        "scheme_version",
        f"{key}/{version}",
        before={"document": before["document"], "note": before["note"]},
    )


async def _draft(session: WriteSession, key: str, version: int, expected: int | None) -> Record:
    """A draft that may be changed until the transaction ends."""
    await one_editor_at_a_time(session)
    await _check_there(session, key)
    row = await read(session, key, version)
    if row["status"] != "draft":
        raise VersionPublished(f"Version {version} of {key} is {row['status']}; only drafts can be changed")
    check_version(row["edits"], expected)
    r = recalculation.c
    publishing = exists().where(r.publishes == version, r.schemes.contains([key]), work.under_way(recalculation))
    if await session.scalar(select(publishing)):
        raise VersionPublished(f"Version {version} of {key} is being published")
    return row


async def _check_there(session: ReadSession, key: str) -> None:
    found = select(scheme.c.key).where(scheme.c.key == key, scheme.c.retired_at.is_(None))
    if await session.scalar(found) is None:
        raise NotFound(f"There is no scheme {key}")


# ---- publishing ------------------------------------------------------------------------------------------------------


async def publish(
    session: WriteSession,
    actor: Actor,
    key: str,
    version: int,
    *,
    refit: bool,
    movement: Movement | None,
    expected: int | None,
) -> UUID:
    """Ask for a version to be put in force for everybody; for a retired one that is a rollback.

    `refit` computes its breakpoints; otherwise it takes the newest that it had. A rollback undoes at once what the
    versions since then gave and took, unless `movement` says otherwise; a new version moves classes as it documents.
    Raises `Conflict` when it is in force, `Invalid` when it has no breakpoints or what it reads is no longer there.
    """
    check_may_define(actor, PUBLISH)
    await one_editor_at_a_time(session)
    await _check_there(session, key)
    check_version((await read(session, key, version))["edits"], expected)
    return await ask_to_publish(session, actor, key, version, refit=refit, movement=movement)


async def ask_to_publish(
    session: WriteSession, actor: Actor, key: str, version: int, *, refit: bool, movement: Movement | None = None
) -> UUID:
    """Enqueue the publication; the caller has seen to it that nobody else edits and that the actor may."""
    row = await read(session, key, version)
    if row["status"] == "published":
        raise Conflict(f"Version {version} of {key} is in force; a recalculation with refit fits it anew")
    each = await to_publish(session, key, version)
    await check_fits(session, key, each.document)
    needs_some = bool(each.document.breakpoint_paths)
    if needs_some and not refit and await newest_breakpoints(session, key, version) is None:
        raise Invalid.at("/body/refit", "this version has no breakpoints to take; publish it with refit")
    is_return = row["status"] == "retired"
    movement = movement or ("at_once" if is_return else "as_documented")
    undoes = is_return and movement == "at_once"
    recalculation_id = await recalculations.queue(
        session,
        "all",
        "publish",
        [key],
        refit=refit,
        publishes=version,
        movement=movement,
        released_from=await replaced_at(session, key, version) if undoes else None,
        phase="metrics" if await _reads_what_nobody_read(session, each.document) else "fit",
    )
    after = {"version": version, "refit": refit, "movement": movement, "recalculation_id": recalculation_id}
    audit.record(session, actor, "scheme.publish_requested", "scheme", key, after=after)
    return recalculation_id


async def _reads_what_nobody_read(session: ReadSession, document: Document) -> bool:
    """Events and sweeps keep true what schemes read; what none has read so far may have to be measured."""
    read_so_far = {name for each in (await schemes.published(session)).schemes for name in each.document.metrics}
    return not set(document.metrics) <= read_so_far & METRICS.keys()


# ---- reading ---------------------------------------------------------------------------------------------------------


async def read(session: ReadSession, key: str, version: int) -> Record:
    """One version. Raises `NotFound`."""
    v = scheme_version.c
    row = await session.first(select(scheme_version).where(v.scheme == key, v.version == version))
    if row is None:
        raise NotFound(f"{key} has no version {version}")
    return row


async def shown(session: ReadSession, key: str, version: int) -> dict[str, Any]:
    """One version for people: without its document, but with the reason, when that is not valid any more."""
    row = await read(session, key, version)
    document = schemes.read_document(row["document"])
    is_read = not isinstance(document, str)
    return {**row, "document": document if is_read else None, "error": None if is_read else document}


async def page(session: ReadSession, key: str, page: Page) -> dict[str, Any]:
    """A page of a scheme's versions, the latest first. Raises `NotFound` without such a scheme."""
    if await session.scalar(select(scheme.c.key).where(scheme.c.key == key)) is None:
        raise NotFound(f"There is no scheme {key}")
    v = scheme_version.c
    columns = [column for column in v if column.name != "document"]
    statement = select(*columns).where(v.scheme == key).order_by(v.version.desc()).limit(page.limit + 1)
    if (after := page.after()) is not None:
        statement = statement.where(v.version < after[0])
    rows = await session.all(statement)
    shown = [dict(row) for row in rows[: page.limit]]
    return {"items": shown, "next_cursor": page.next_cursor(rows, [shown[-1]["version"]] if shown else [])}
