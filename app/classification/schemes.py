"""The published schemes, loaded once and kept until one changes; their compiled statements with them.

A scheme that cannot be evaluated is set aside: its classes stand as they were, and the others go on without it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Text, cast, func, insert, literal, or_, select
from sqlalchemy.dialects.postgresql import JSONPATH

from app.classification import presets
from app.classification.definitions import Document, Fact
from app.classification.definitions.references import broken, levels
from app.classification.engine import Cause, Evaluation, Outcome, Scheme, evaluate
from app.classification.models import scheme, scheme_version
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, Invalid, NotFound
from app.core.http.problems import message_of, pointer_of
from app.core.invalidation import Cache, announce

TOPIC = "schemes"
document_adapter: TypeAdapter[Document] = TypeAdapter(Document)


class SchemeFailing(Conflict):
    type = "scheme-failing"
    title = "The scheme cannot be evaluated; its classes stand as they were"


class TagRead(Conflict):
    type = "tag-read"
    title = "A scheme or a segment reads this tag"


@dataclass(frozen=True, slots=True)
class Published:
    """The schemes in force by key, how they are evaluated, and why some of them are not."""

    schemes: Mapping[str, Scheme]
    evaluation: Evaluation
    aside: Mapping[str, str]
    facts: frozenset[Fact]
    """What is read besides metrics by the schemes that are evaluated."""

    @property
    def keys(self) -> list[str]:
        """Every scheme in force, those set aside included."""
        return [*self.schemes, *(key for key in self.aside if key not in self.schemes)]


_cache: Cache[Published] = Cache(TOPIC)


async def current(session: ReadSession) -> Published:
    """The schemes in force, from the cache while nothing changes."""
    cached = _cache.get("published")
    if cached is not None:
        return cached
    generation = _cache.generation
    found = await load(session)
    _cache.put("published", found, generation=generation)
    return found


async def load(session: ReadSession, *, failing: Collection[str] | None = None) -> Published:
    """The schemes in force as they stand now, without those whose error is recorded, or without `failing` instead."""
    readable: dict[str, Scheme] = {}
    aside: dict[str, str] = {}
    for row in await _in_force(session):
        document = read_document(row["document"])
        if isinstance(document, str):
            aside[row["key"]] = document
            continue
        readable[row["key"]] = Scheme(row["key"], row["version"], row["title"], document)
        if row["error"] is not None if failing is None else row["key"] in failing:
            aside[row["key"]] = row["error"]
    able = {key: each.document for key, each in readable.items() if key not in aside}
    aside |= broken(able, aside)
    evaluation = Evaluation([[readable[key] for key in level] for level in levels(able)])
    return Published(readable, evaluation, aside, frozenset(_facts(evaluation.schemes)))


async def _in_force(session: ReadSession) -> list[Record]:
    return await session.all(
        select(scheme.c.key, scheme.c.title, scheme.c.version, scheme.c.error, scheme_version.c.document)
        .join(
            scheme_version, (scheme_version.c.scheme == scheme.c.key) & (scheme_version.c.version == scheme.c.version)
        )
        .where(scheme.c.retired_at.is_(None))
        .order_by(scheme.c.created_at, scheme.c.key)
    )


async def reading_tag(session: ReadSession, tag: str) -> list[str]:
    """The schemes and segments whose version in force, or a draft, asks for the tag."""
    v = scheme_version.c
    asks = func.jsonb_path_exists(
        v.document, cast("$.**.tag ? (@ == $tag)", JSONPATH), func.jsonb_build_object(literal("tag", Text), tag)
    )
    rows = await session.all(
        select(scheme.c.key)
        .join(scheme_version, v.scheme == scheme.c.key)
        .where(scheme.c.retired_at.is_(None), or_(v.version == scheme.c.version, v.status == "draft"), asks)
        .distinct()
        .order_by(scheme.c.key)
    )
    return [row["key"] for row in rows]


async def documents(session: ReadSession) -> dict[str, Document]:
    """The documents in force, by their schemes' keys; without those that are not valid any more."""
    found = {row["key"]: read_document(row["document"]) for row in await _in_force(session)}
    return {key: document for key, document in found.items() if not isinstance(document, str)}


def _facts(evaluated: Sequence[Scheme]) -> set[Fact]:
    return {fact for each in evaluated for fact in each.document.facts}


def read_document(stored: Any) -> Document | str:
    """A stored document, or why it is none any more."""
    try:
        return document_adapter.validate_python(stored)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        # The first part of the location is the kind, by which the union tells its documents apart.
        return f"its document is not valid any more: {pointer_of(first['loc'][1:])}: {message_of(first)}"


async def published(session: ReadSession) -> Evaluation:
    """All published schemes, ready to evaluate."""
    return (await current(session)).evaluation


async def decide(
    session: WriteSession,
    customer_ids: Sequence[UUID],
    *,
    as_of: datetime,
    cause: Cause,
    evaluation: Evaluation | None = None,
) -> Outcome:
    """Evaluate these customers, whose metrics were just refreshed, by what is in force or by some of it.

    A process can learn of a new version a moment after its commit; a statement of the version before decides nothing,
    and is made anew.
    """
    evaluation = evaluation or await published(session)
    outcome = await evaluate(session, evaluation, customer_ids, as_of=as_of, cause=cause)
    if evaluation.levels and outcome.evaluated < len(set(customer_ids)):
        evaluation = (await load(session)).evaluation
        outcome = await evaluate(session, evaluation, customer_ids, as_of=as_of, cause=cause)
    return outcome


async def get(session: ReadSession, key: str) -> Scheme:
    """One published scheme. Raises `NotFound`, naming the ones that exist, and `SchemeFailing` without a document."""
    found = await current(session)
    if key in found.schemes:
        return found.schemes[key]
    if key in found.aside:
        raise SchemeFailing(f"{key}: {found.aside[key]}")
    raise NotFound(f"There is no published scheme {key}; there are: {', '.join(found.keys)}")


async def check_class(session: ReadSession, key: str, name: str) -> None:
    """Raises `Invalid` at /path/name for a class that the published scheme does not have, and what `get` raises."""
    known = (await get(session, key)).document.class_names
    if name not in known:
        raise Invalid.at("/path/name", f"{key} has no class {name}; it has: {', '.join(known)}")


def chosen(evaluation: Evaluation, keys: Collection[str]) -> Evaluation:
    """Only these of the published schemes, and those that read their classes."""
    wanted = set(keys)
    picked = []
    for level in evaluation.levels:
        wanted |= {each.key for each in level if wanted & set(each.document.schemes_used)}
        picked.append([each for each in level if each.key in wanted])
    if picked == evaluation.levels:
        return evaluation
    return Evaluation([level for level in picked if level], whole=False)


async def seed(session: WriteSession) -> None:
    """Publish the presets that were never there; edited and deleted ones stay as they are."""
    there = {row["key"] for row in await session.all(select(scheme.c.key))}
    missing = [preset for preset in presets.load() if preset.key not in there]
    for preset in missing:
        document = document_adapter.validate_python(preset.document).model_dump(mode="json", by_alias=True)
        await session.execute(
            insert(scheme).values(key=preset.key, title=preset.title, version=1, created_at=func.clock_timestamp())
        )
        await session.execute(
            insert(scheme_version).values(
                scheme=preset.key, version=1, document=document, status="published", published_at=func.now()
            )
        )
    if missing:
        await announce(session, TOPIC)
