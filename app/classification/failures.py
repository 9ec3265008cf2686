"""A scheme that the database cannot evaluate is found out, set aside with its reason, and the others go on."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy import Text, any_, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY

from app.classification import refresh
from app.classification.engine import Cause, Evaluation
from app.classification.models import scheme
from app.classification.schemes import TOPIC, decide, published
from app.core import clock
from app.core.db import Database, WriteSession
from app.core.errors import ReactionFailed
from app.core.invalidation import announce
from app.core.jobs import JobContext, enqueue
from app.core.settings import get_settings
from app.customers.queries import hold

log = structlog.get_logger(__name__)

NOT_COMPUTABLE = (asyncpg.DataError, asyncpg.SyntaxOrAccessError, asyncpg.ProgramLimitExceededError)
"""What PostgreSQL says of an expression that it cannot compute: for some value, at all, or within its limits."""
CANNOT_COMPUTE = (*NOT_COMPUTABLE, asyncpg.QueryCanceledError)
"""What one scheme can do to a statement that decides many; it took too long, too."""
OF_A_CHUNK = 20
"""A chunk of customers may take so many times as long as the one customer of a request."""

Attempt = Callable[[WriteSession, Evaluation], Awaitable[object]]


class _Undone(Exception):
    """Rolls back what was only tried."""


def reason(error: BaseException) -> str:
    """Why a scheme cannot be evaluated, for those who can change it."""
    match error:
        case asyncpg.DataError():
            return "a value of some customer lies outside what its conditions can compute"
        case asyncpg.QueryCanceledError():
            return "its conditions take longer than a statement may"
        case _:
            return "its conditions are more than the database can evaluate, or name what is not there"


async def set_aside_failing(database: Database, evaluation: Evaluation, attempt: Attempt) -> list[str]:
    """Try each scheme alone, undoing it; record the error of those that fail, and give their keys.

    No scheme is to blame for what fails without any.
    """
    if await _error(database, Evaluation([], whole=False), attempt):
        return []
    alone = {each.key: Evaluation([[each]], whole=False) for each in evaluation.schemes}
    errors = {key: await _error(database, each, attempt) for key, each in alone.items()}
    failing = {key: error for key, error in errors.items() if error is not None}
    if failing:
        log.error("schemes.failing", schemes=list(failing))
        async with database.transaction() as session:
            await record(session, failing)
    return list(failing)


async def _error(database: Database, evaluation: Evaluation, attempt: Attempt) -> str | None:
    try:
        async with database.transaction() as session:
            await attempt(session, evaluation)
            raise _Undone
    except _Undone:
        return None
    except CANNOT_COMPUTE as error:
        return reason(error)


async def limit_time(session: WriteSession, *, times: int = 1) -> None:
    """Until this transaction ends, its statements have so many times as long as a request's: a worker has no limit."""
    limit = str(1000 * times * get_settings().statement_timeout)
    await session.all(select(func.set_config("statement_timeout", limit, True)))


def was_put_off(session: WriteSession) -> bool:
    """Whether this request is carried out again because some scheme could not decide its customer."""
    return session.defers and get_settings().classify_inline


async def ask_why(session: WriteSession, customer_id: UUID) -> None:
    """Have it found out which scheme could not decide this customer, when that is why it was put off."""
    if was_put_off(session):
        await enqueue(session, "schemes.examine", {"customer_id": str(customer_id)})


async def decide_again(
    session: WriteSession,
    customer_ids: Sequence[UUID],
    *,
    as_of: datetime,
    cause: str,
    evaluation: Evaluation | None = None,
) -> None:
    """Measure and classify these customers, who are held, in the request's transaction.

    Raises `ReactionFailed` when some scheme cannot compute one of them; the request is then carried out again, and
    leaves them to the sweep.
    """
    if was_put_off(session):
        await refresh.mark_dirty(session, customer_ids)
        for each in customer_ids:
            await ask_why(session, each)
        return
    await refresh.refresh_metrics(session, customer_ids, as_of=as_of)
    by = Cause(cause, session.principal, session.correlation_id)
    try:
        await decide(session, customer_ids, as_of=as_of, cause=by, evaluation=evaluation)
    except CANNOT_COMPUTE as error:
        raise ReactionFailed from error


async def run_examination(context: JobContext) -> None:
    """The job: decide one customer by each scheme alone, undoing it, in the time that a request has."""
    ids, as_of = [UUID(context.payload["customer_id"])], clock.business_now()

    async def attempt(session: WriteSession, evaluation: Evaluation) -> None:
        await limit_time(session)
        await hold(session, ids)
        await refresh.refresh_metrics(session, ids, as_of=as_of)
        cause = Cause("event", session.principal, session.correlation_id)
        await decide(session, ids, as_of=as_of, cause=cause, evaluation=evaluation)

    await set_aside_failing(context.database, await published(context.database.reading()), attempt)


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
