"""The published schemes, loaded once and kept until one changes; their compiled statements with them."""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import func, insert, select

from app.classification import presets
from app.classification.definitions import Document
from app.classification.definitions.references import levels
from app.classification.engine import Evaluation, Scheme
from app.classification.models import scheme, scheme_version
from app.core.db import ReadSession, WriteSession
from app.core.errors import NotFound
from app.core.invalidation import Cache, announce

TOPIC = "schemes"
document_adapter: TypeAdapter[Document] = TypeAdapter(Document)
_cache: Cache[Evaluation] = Cache(TOPIC)


async def published(session: ReadSession) -> Evaluation:
    """All published schemes, ready to evaluate."""
    cached = _cache.get("published")
    if cached is not None:
        return cached
    generation = _cache.generation
    rows = await session.all(
        select(scheme.c.key, scheme.c.title, scheme.c.version, scheme_version.c.document)
        .join(
            scheme_version, (scheme_version.c.scheme == scheme.c.key) & (scheme_version.c.version == scheme.c.version)
        )
        .order_by(scheme.c.created_at, scheme.c.key)
    )
    evaluation = _evaluation([_scheme(row) for row in rows])
    _cache.put("published", evaluation, generation=generation)
    return evaluation


def _scheme(row: Any) -> Scheme:
    return Scheme(row["key"], row["version"], row["title"], document_adapter.validate_python(row["document"]))


async def get(session: ReadSession, key: str) -> Scheme:
    """One published scheme. Raises `NotFound`, naming the ones that exist."""
    schemes = (await published(session)).schemes
    for each in schemes:
        if each.key == key:
            return each
    raise NotFound(f"There is no scheme {key}; there are: {', '.join(each.key for each in schemes)}")


def _evaluation(schemes: Sequence[Scheme]) -> Evaluation:
    by_key = {each.key: each for each in schemes}
    order = levels({key: each.document for key, each in by_key.items()})
    return Evaluation([[by_key[key] for key in level] for level in order])


def chosen(evaluation: Evaluation, keys: Sequence[str]) -> Evaluation:
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
    """Publish the presets that are not there yet; edited ones stay as they are."""
    there = {row["key"] for row in await session.all(select(scheme.c.key))}
    for preset in presets.load():
        if preset.key in there:
            continue
        document = document_adapter.validate_python(preset.document).model_dump(mode="json", by_alias=True)
        await session.execute(
            insert(scheme).values(key=preset.key, title=preset.title, version=1, created_at=func.clock_timestamp())
        )
        await session.execute(
            insert(scheme_version).values(
                scheme=preset.key, version=1, document=document, status="published", published_at=func.now()
            )
        )
    if len(there) < len(presets.ORDER):
        await announce(session, TOPIC)
