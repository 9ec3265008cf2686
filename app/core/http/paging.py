"""`limit` and `cursor` of every list, and the page that answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query, Request
from sqlalchemy import DateTime, Select, Table, literal, tuple_

from app.core.db import ReadSession, Record
from app.core.pagination import MAX_CURSOR_LENGTH, CursorSigner

Limit = Annotated[int, Query(ge=1, le=200, description="rows a page")]


@dataclass(frozen=True, slots=True)
class Page:
    """What the caller asked of a list. `scope` binds the cursors to the route, its filter and its sort order."""

    limit: int
    cursor: str | None
    signer: CursorSigner
    route: str

    def after(self, scope: Any = None) -> list[Any] | None:
        """The sort values to start after; None for the first page."""
        return None if self.cursor is None else self.signer.read(self.cursor, [self.route, scope])

    def next_cursor(self, rows: Sequence[Any], position: Sequence[Any], scope: Any = None) -> str | None:
        """The cursor after `position` when the query, asked for `limit + 1` rows, found more than a page."""
        return self.signer.sign(position, [self.route, scope]) if len(rows) > self.limit else None

    async def latest_first(
        self,
        session: ReadSession,
        statement: Select[Any],
        shown: Callable[[Record], dict[str, Any]] = dict,
        *,
        scope: Any = None,
    ) -> dict[str, Any]:
        """The page itself, where the latest row has the greatest `id`; each row as `shown` makes it."""
        row_id = statement.selected_columns["id"]
        statement = statement.order_by(row_id.desc()).limit(self.limit + 1)
        if (after := self.after(scope)) is not None:
            statement = statement.where(row_id < UUID(after[0]))
        rows = await session.all(statement)
        on_it = rows[: self.limit]
        last = [on_it[-1]["id"]] if on_it else []
        return {"items": [shown(row) for row in on_it], "next_cursor": self.next_cursor(rows, last, scope)}

    async def latest_facts(
        self,
        session: ReadSession,
        statement: Select[Any],
        facts: Table,
        filters: Mapping[str, Any],
        shown: Callable[[Record], dict[str, Any]] = dict,
    ) -> dict[str, Any]:
        """The page itself of facts about customers, by when they happened, the latest first; the filters bind it."""
        key = (facts.c.occurred_at, facts.c.customer_id, facts.c.id)
        scope = sorted((name, str(value)) for name, value in filters.items())
        statement = statement.order_by(*(column.desc() for column in key)).limit(self.limit + 1)
        if (after := self.after(scope)) is not None:
            at = literal(datetime.fromisoformat(after[0]), DateTime(timezone=True))
            statement = statement.where(tuple_(*key) < tuple_(at, UUID(after[1]), UUID(after[2])))
        rows = await session.all(statement)
        on_it = rows[: self.limit]
        last = [on_it[-1][column.name] for column in key] if on_it else []
        return {"items": [shown(row) for row in on_it], "next_cursor": self.next_cursor(rows, last, scope)}


async def _page(
    request: Request,
    limit: Limit = 50,
    cursor: Annotated[
        str | None, Query(max_length=MAX_CURSOR_LENGTH, description="`next_cursor` of the page before")
    ] = None,
) -> Page:
    return Page(limit, cursor, request.app.state.cursors, f"{request.method} {request.url.path}")


Paging = Annotated[Page, Depends(_page)]
