"""What is kept for a period only: each package names the kinds of rows that it can forget, and how."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, DateTime, Select, Table, bindparam, delete, func, select, tuple_

from app.core.db import ReadSession, WriteSession

BEFORE = bindparam("before", type_=DateTime(timezone=True))
Afterwards = Callable[[WriteSession, Sequence[object]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Retained:
    """Rows of a table that may go once they are older than a period, and whatever hangs on them.

    `days` is the period unless a company sets another; None keeps them for ever. Below `at_least` days somebody would
    miss them. `afterwards` is called with the customers whose rows went, where the rows belong to customers.
    """

    kind: str
    title: str
    table: Table
    at: ColumnElement[datetime]
    days: int | None = None
    at_least: int = 1
    only: ColumnElement[bool] | None = None
    afterwards: Afterwards | None = None

    async def due(self, session: ReadSession, before: datetime) -> int:
        """How many rows are older."""
        return int(await session.scalar(select(func.count()).select_from(self._old().subquery()), {"before": before}))

    async def forget(self, session: WriteSession, before: datetime, limit: int) -> int:
        """Delete up to `limit` of them; how many were."""
        keys = list(self.table.primary_key.columns)
        old = self._old().limit(limit).with_for_update(skip_locked=True)
        gone = await session.all(
            delete(self.table).where(tuple_(*keys).in_(old)).returning(*keys),
            {"before": before},
        )
        if self.afterwards is not None and gone:
            await self.afterwards(session, gone)
        return len(gone)

    def _old(self) -> Select[tuple[object, ...]]:
        old = select(*self.table.primary_key.columns).where(self.at < BEFORE)
        return old if self.only is None else old.where(self.only)
