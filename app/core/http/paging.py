"""`limit` and `cursor` of every list, and the page that answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request

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


async def _page(
    request: Request,
    limit: Limit = 50,
    cursor: Annotated[
        str | None, Query(max_length=MAX_CURSOR_LENGTH, description="`next_cursor` of the page before")
    ] = None,
) -> Page:
    return Page(limit, cursor, request.app.state.cursors, f"{request.method} {request.url.path}")


Paging = Annotated[Page, Depends(_page)]
