"""Walking through everybody: in chunks by customer id, some of them side by side, one step after the other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from app.classification.refresh import NOBODY, Range
from app.core.db import Database, ReadSession
from app.core.settings import get_settings
from app.customers.queries import customer_count, nth_customer_after

CHUNK = 10_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """Chunks that are done: what each came to, how many customers they hold at most, and the last of these."""

    found: list[T]
    size: int
    position: UUID


async def steps(
    database: Database, after: UUID, work: Callable[[Range], Coroutine[Any, Any, T]], *, lanes: int | None = None
) -> AsyncIterator[Step[T]]:
    """Everybody after this customer, a chunk in each lane at once; in as many lanes as the settings say if None."""
    session, count = database.reading(), lanes or get_settings().recalculation_lanes
    while chunks := await ranges(session, after, size=CHUNK, at_most=count):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work(chunk)) for chunk in chunks]
        after = chunks[-1].up_to
        yield Step([task.result() for task in tasks], len(chunks) * CHUNK, after)


async def ranges(session: ReadSession, after: UUID, *, size: int, at_most: int | None = None) -> list[Range]:
    """Everybody after this customer in ranges of `size`, or only the first ranges; the last of all may be smaller."""
    found: list[Range] = []
    while len(found) != at_most and (up_to := await nth_customer_after(session, after, size)) is not None:
        found.append(Range(after, up_to))
        after = up_to
    return found


async def parts(session: ReadSession) -> list[Range]:
    """Everybody in as many ranges as there are lanes, for what is only read, and each all at once."""
    size = -(-await customer_count(session) // get_settings().recalculation_lanes)
    return await ranges(session, NOBODY, size=size) if size else []
