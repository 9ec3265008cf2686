"""Surveys: made, changed while a draft, published, closed. What is published stays as it is."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, insert, literal, select, update

from app.core import audit
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, Forbidden, NotFound
from app.core.events import publish as announce
from app.core.http.etag import check_version
from app.core.http.paging import Page
from app.feedback.events import SurveyPublished
from app.feedback.models import survey, survey_version
from app.feedback.schemas.surveys import SurveyDocument, SurveyPatch
from app.identity.actor import Actor, Scope

READ = "surveys:read"
WRITE = "surveys:write"
_s, _v = survey.c, survey_version.c


class VersionPublished(Conflict):
    type = "survey-version-published"
    title = "A published version of a survey never changes; make a new version"


class NothingAsked(Conflict):
    type = "survey-not-open"
    title = "The survey is closed, or no version of it is published"


def check_may_define(actor: Actor) -> None:
    """Raises `Forbidden`: surveys belong to the whole company."""
    if actor.scope(WRITE) is not Scope.ALL:
        raise Forbidden(f"Surveys belong to the whole company: changing them needs {WRITE} with the scope all")


# ---- changing --------------------------------------------------------------------------------------------------------


async def create(session: WriteSession, actor: Actor, name: str, document: SurveyDocument) -> dict[str, Any]:
    """A survey with draft version 1. Raises `Forbidden`."""
    check_may_define(actor)
    row = await session.first(insert(survey).values(name=name).returning(survey))
    assert row is not None
    await _add_version(session, row["id"], 1, document)
    audit.record(session, actor, "survey.created", "survey", row["id"], after={"name": name})
    return dict(row)


async def change(
    session: WriteSession, actor: Actor, survey_id: UUID, patch: SurveyPatch, *, expected: int | None
) -> dict[str, Any]:
    """Another name, closed or open again. Raises `NotFound`, `PreconditionFailed`, `Forbidden`."""
    check_may_define(actor)
    before = await _locked(session, survey_id)
    check_version(before["version"], expected)
    was, becomes = audit.changed(before, patch.model_dump(exclude_unset=True))
    if not becomes:
        return dict(before)
    row = await session.first(
        update(survey)
        .where(_s.id == survey_id)
        .values(**becomes, version=_s.version + 1, updated_at=func.now())
        .returning(survey)
    )
    assert row is not None
    audit.record(session, actor, "survey.changed", "survey", survey_id, before=was, after=becomes)
    return dict(row)


async def add_version(session: WriteSession, actor: Actor, survey_id: UUID, document: SurveyDocument) -> dict[str, Any]:
    """The next version, a draft. Raises `NotFound`, `Forbidden`."""
    check_may_define(actor)
    await _locked(session, survey_id)
    last = await session.scalar(select(func.max(_v.number)).where(_v.survey_id == survey_id))
    row = await _add_version(session, survey_id, last + 1, document)
    audit.record(session, actor, "survey.version_created", "survey", survey_id, after={"number": row["number"]})
    return dict(row)


async def change_version(
    session: WriteSession,
    actor: Actor,
    survey_id: UUID,
    number: int,
    document: SurveyDocument,
    *,
    expected: int | None,
) -> dict[str, Any]:
    """Let a draft ask something else. Raises `NotFound`, `VersionPublished`, `PreconditionFailed`, `Forbidden`."""
    check_may_define(actor)
    before = await _locked_draft(session, survey_id, number, expected)
    row = await session.first(
        update(survey_version)
        .where(_v.survey_id == survey_id, _v.number == number)
        .values(document=_as_json(document), revision=_v.revision + 1)
        .returning(survey_version)
    )
    assert row is not None
    audit.record(
        session,
        actor,
        "survey.version_changed",
        "survey",
        survey_id,
        before={"number": number, "document": before["document"]},
        after={"number": number, "document": row["document"]},
    )
    return dict(row)


async def publish(
    session: WriteSession, actor: Actor, survey_id: UUID, number: int, *, expected: int | None
) -> dict[str, Any]:
    """From now on this version is asked. Raises `NotFound`, `VersionPublished`, `PreconditionFailed`, `Forbidden`."""
    check_may_define(actor)
    before = await _locked(session, survey_id)
    await _locked_draft(session, survey_id, number, expected)
    row = await session.first(
        update(survey_version)
        .where(_v.survey_id == survey_id, _v.number == number)
        .values(status="published", published_at=func.now())
        .returning(survey_version)
    )
    assert row is not None
    await session.execute(
        update(survey)
        .where(_s.id == survey_id)
        .values(published_version=number, version=_s.version + 1, updated_at=func.now())
    )
    was = {"published_version": before["published_version"]}
    audit.record(
        session, actor, "survey.published", "survey", survey_id, before=was, after={"published_version": number}
    )
    await announce(session, SurveyPublished(survey_id, number))
    return dict(row)


def _as_json(document: SurveyDocument) -> dict[str, Any]:
    return document.model_dump(mode="json")


async def _add_version(session: WriteSession, survey_id: UUID, number: int, document: SurveyDocument) -> Record:
    values = {"survey_id": survey_id, "number": number, "document": _as_json(document)}
    row = await session.first(
        insert(survey_version).values(**values, created_by=session.principal).returning(survey_version)
    )
    assert row is not None
    return row


async def _locked(session: WriteSession, survey_id: UUID) -> Record:
    row = await session.first(select(survey).where(_s.id == survey_id).with_for_update())
    if row is None:
        raise NotFound("There is no such survey")
    return row


async def _locked_draft(session: WriteSession, survey_id: UUID, number: int, expected: int | None) -> Record:
    row = await session.first(
        select(survey_version).where(_v.survey_id == survey_id, _v.number == number).with_for_update()
    )
    if row is None:
        raise NotFound(f"There is no such survey, or it has no version {number}")
    if row["status"] == "published":
        raise VersionPublished(f"Version {number} is published: add a version and publish that")
    check_version(row["revision"], expected)
    return row


# ---- reading ---------------------------------------------------------------------------------------------------------


async def read(session: ReadSession, survey_id: UUID) -> dict[str, Any]:
    """One survey. Raises `NotFound`."""
    row = await session.first(select(survey).where(_s.id == survey_id))
    if row is None:
        raise NotFound("There is no such survey")
    return dict(row)


async def page(session: ReadSession, page: Page) -> dict[str, Any]:
    """A page of surveys, the latest first."""
    return await page.latest_first(session, select(survey))


async def read_version(session: ReadSession, survey_id: UUID, number: int) -> dict[str, Any]:
    """One version. Raises `NotFound`."""
    row = await session.first(_versions(survey_id).where(_v.number == number))
    if row is None:
        raise NotFound(f"There is no such survey, or it has no version {number}")
    return dict(row)


async def page_of_versions(session: ReadSession, survey_id: UUID, page: Page) -> dict[str, Any]:
    """A page of versions, the latest first. Raises `NotFound`."""
    await read(session, survey_id)
    statement = _versions(survey_id).order_by(_v.number.desc()).limit(page.limit + 1)
    if (after := page.after()) is not None:
        statement = statement.where(_v.number < literal(after[0]))
    rows = await session.all(statement)
    on_it = rows[: page.limit]
    last = [on_it[-1]["number"]] if on_it else []
    return {"items": [dict(row) for row in on_it], "next_cursor": page.next_cursor(rows, last)}


def _versions(survey_id: UUID) -> Select[Any]:
    return select(survey_version).where(_v.survey_id == survey_id)


async def asked(session: ReadSession, survey_id: UUID) -> tuple[int, SurveyDocument]:
    """The version in force and what it asks. Raises `NotFound`, and `NothingAsked` of one closed or not published."""
    found = await read(session, survey_id)
    number = found["published_version"]
    if number is None or found["status"] != "open":
        raise NothingAsked("Publish a version, or open the survey again")
    version = await read_version(session, survey_id, number)
    return number, SurveyDocument.model_validate(version["document"])
