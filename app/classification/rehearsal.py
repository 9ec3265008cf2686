"""A version is decided for everybody, writing nothing, before it is put in force: what fails then has failed nobody."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from app.classification import edges, refresh, statements
from app.classification.engine import Scheme
from app.classification.failures import CANNOT_COMPUTE, OF_A_CHUNK, limit_time, reason
from app.core import clock
from app.core.db import Database, Prepared


class Rehearsal:
    """The whole of what a version computes of customers, by breakpoints that are not in force yet."""

    def __init__(self, each: Scheme, breakpoints: Any, as_of: datetime) -> None:
        limits = edges.given(each, "version_breakpoints")
        review = statements.Review([each], whole=False)
        decided = statements.decisions([[each]], review, limits, ranged=True)
        # Whatever is not asked for is not computed.
        self._statement = Prepared(select(*(func.count(column) for column in decided.c)))
        day = clock.business_day(as_of)
        self._params = {"version_breakpoints": breakpoints, "as_of": as_of, "as_of_day": day}

    async def of(self, database: Database, chunk: refresh.Range) -> str | None:
        """Decide these customers, for nothing; why that cannot be done, if it cannot."""
        try:
            async with database.transaction() as session:
                await limit_time(session, times=OF_A_CHUNK)
                await refresh.plan_for_many(session)
                await session.all(self._statement, self._params | refresh.scope_params(chunk))
        except CANNOT_COMPUTE as error:
            return reason(error)
        return None
