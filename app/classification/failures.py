"""A scheme that the database cannot evaluate is found out, set aside with its reason, and the others go on."""

from collections.abc import Awaitable, Callable, Collection

import asyncpg
import structlog
from sqlalchemy import Text, any_, func, literal, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.classification.engine import Evaluation
from app.classification.models import scheme
from app.classification.schemes import TOPIC
from app.core.db import Database, WriteSession
from app.core.invalidation import announce

log = structlog.get_logger(__name__)

REASON = "a value of some customer lies outside what its conditions can compute"

Attempt = Callable[[WriteSession, Evaluation], Awaitable[object]]


class _Undone(Exception):
    """Rolls back what was only tried."""


async def set_aside_failing(database: Database, evaluation: Evaluation, attempt: Attempt) -> list[str]:
    """Try each scheme alone, undoing it; record the error of those that fail, and give their keys."""
    failing = [each.key for each in evaluation.schemes if await _fails(database, evaluation, each.key, attempt)]
    if failing:
        log.error("schemes.failing", schemes=failing)
        async with database.transaction() as session:
            await record(session, dict.fromkeys(failing, REASON))
    return failing


async def _fails(database: Database, evaluation: Evaluation, key: str, attempt: Attempt) -> bool:
    alone = next(each for each in evaluation.schemes if each.key == key)
    try:
        async with database.transaction() as session:
            await attempt(session, Evaluation([[alone]], whole=False))
            raise _Undone
    except _Undone:
        return False
    except asyncpg.DataError:
        return True


async def record(session: WriteSession, errors: dict[str, str]) -> None:
    """Keep why schemes cannot be evaluated, and since when; every process sets them aside."""
    news = 0
    for key, error in errors.items():
        news += await session.execute(
            update(scheme)
            .where(scheme.c.key == key, scheme.c.error.is_distinct_from(error))
            .values(error=error, stale_since=func.coalesce(scheme.c.stale_since, func.now()))
        )
    if news:
        await announce(session, TOPIC)


async def recovered(session: WriteSession, keys: Collection[str]) -> None:
    """These were evaluated for everybody: they are well."""
    well = await session.execute(
        update(scheme)
        .where(scheme.c.key == any_(literal(list(keys), ARRAY(Text))), scheme.c.error.is_not(None))
        .values(error=None, stale_since=None)
    )
    if well:
        await announce(session, TOPIC)
