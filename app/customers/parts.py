"""Parts of the record that a customer can have several of: listed, added, changed and removed alike.

Of those that are alike one at most is the primary; who becomes it takes the place of the one before.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Table, delete, func, insert, select, update

from app.core import audit
from app.core.db import ReadSession, WriteSession
from app.core.errors import NotFound
from app.core.events import Event, publish
from app.core.http.etag import check_version
from app.core.http.paging import Page
from app.customers.document import check_visible
from app.customers.queries import held
from app.identity.actor import Actor
from app.identity.scopes import scope_params

Values = Mapping[str, Any]


async def _nothing_to_check(
    _session: WriteSession, _actor: Actor, _customer_id: UUID, _values: Values, _new: Collection[str]
) -> None:
    return None


def _as_stored(part: "Part", _actor: Actor) -> Select[Any]:
    return select(part.table)


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of part: its table, what one is called, its two permissions, and among which one is the primary.

    `check` raises `Invalid` for what a customer cannot have, of all values as they will be and of the names of those
    that are new; `shown` selects what an actor is shown; `announces` makes the event, of the customer's id, of each
    change.
    """

    table: Table
    noun: str
    READ: str
    WRITE: str
    alike: tuple[str, ...] = ()
    check: Callable[[WriteSession, Actor, UUID, Values, Collection[str]], Awaitable[None]] = _nothing_to_check
    shown: "Callable[[Part, Actor], Select[Any]]" = _as_stored
    announces: Callable[[UUID], Event] | None = None

    async def page(self, session: ReadSession, actor: Actor, customer_id: UUID, page: Page) -> dict[str, Any]:
        """The customer's, the latest first. Raises `NotFound`."""
        await check_visible(session, actor, customer_id, self.READ)
        return await page.latest_first(session, self.shown(self, actor).where(self.table.c.customer_id == customer_id))

    async def read(self, session: ReadSession, actor: Actor, customer_id: UUID, part_id: UUID) -> dict[str, Any]:
        """One of them. Raises `NotFound`."""
        await check_visible(session, actor, customer_id, self.READ)
        return await self._found(session, actor, customer_id, part_id)

    async def add(self, session: WriteSession, actor: Actor, customer_id: UUID, values: Values) -> dict[str, Any]:
        """One more. Raises `NotFound`, and what `check` raises."""
        await self._hold(session, actor, customer_id)
        await self.check(session, actor, customer_id, values, values.keys())
        await self._make_room(session, customer_id, None, values)
        row = await session.first(
            insert(self.table).values(customer_id=customer_id, **values).returning(self.table.c.id)
        )
        assert row is not None
        self._write_down(session, actor, "added", row["id"], after={"customer_id": customer_id, **values})
        await self._announce(session, customer_id)
        return await self._found(session, actor, customer_id, row["id"])

    async def change(
        self,
        session: WriteSession,
        actor: Actor,
        customer_id: UUID,
        part_id: UUID,
        values: Values,
        *,
        expected: int | None,
    ) -> dict[str, Any]:
        """Change what is named. Raises `NotFound`, `PreconditionFailed` if it has changed, what `check` raises."""
        before = await self._held(session, actor, customer_id, part_id, expected)
        was, becomes = audit.changed(before, values)
        if not becomes:
            return await self._found(session, actor, customer_id, part_id)
        after = {**before, **becomes}
        await self.check(session, actor, customer_id, after, becomes.keys())
        await self._make_room(session, customer_id, part_id, after)
        await session.execute(
            update(self.table)
            .where(self.table.c.customer_id == customer_id, self.table.c.id == part_id)
            .values(**becomes, version=self.table.c.version + 1, updated_at=func.now())
        )
        self._write_down(session, actor, "changed", part_id, before=was, after=becomes)
        await self._announce(session, customer_id)
        return await self._found(session, actor, customer_id, part_id)

    async def remove(
        self, session: WriteSession, actor: Actor, customer_id: UUID, part_id: UUID, *, expected: int | None
    ) -> None:
        """Take it away. Raises `NotFound`, and `PreconditionFailed` when it has changed."""
        await self._held(session, actor, customer_id, part_id, expected)
        t = self.table.c
        await session.execute(delete(self.table).where(t.customer_id == customer_id, t.id == part_id))
        self._write_down(session, actor, "removed", part_id, before={"customer_id": customer_id})
        await self._announce(session, customer_id)

    async def _make_room(self, session: WriteSession, customer_id: UUID, part_id: UUID | None, values: Values) -> None:
        """Whoever was the primary among those alike no longer is, when this one becomes it."""
        if not values["is_primary"]:
            return
        t = self.table.c
        others = update(self.table).where(t.customer_id == customer_id, t.is_primary)
        others = others.where(*(t[name] == values[name] for name in self.alike))
        if part_id is not None:
            others = others.where(t.id != part_id)
        await session.execute(others.values(is_primary=False, version=t.version + 1, updated_at=func.now()))

    async def _hold(self, session: WriteSession, actor: Actor, customer_id: UUID) -> None:
        params = {"customer_id": customer_id, **scope_params(actor)}
        if await session.first(held(actor, self.WRITE), params) is None:
            raise NotFound("There is no such customer among those you may change")

    async def _held(
        self, session: WriteSession, actor: Actor, customer_id: UUID, part_id: UUID, expected: int | None
    ) -> dict[str, Any]:
        """Nobody else changes it meanwhile: whoever does holds its customer first."""
        await self._hold(session, actor, customer_id)
        t = self.table.c
        row = await session.first(select(self.table).where(t.customer_id == customer_id, t.id == part_id))
        if row is None:
            raise self._missing()
        check_version(row["version"], expected)
        return dict(row)

    async def _found(self, session: ReadSession, actor: Actor, customer_id: UUID, part_id: UUID) -> dict[str, Any]:
        t = self.table.c
        row = await session.first(self.shown(self, actor).where(t.customer_id == customer_id, t.id == part_id))
        if row is None:
            raise self._missing()
        return dict(row)

    def _missing(self) -> NotFound:
        return NotFound(f"The customer has no such {self.noun}")

    async def _announce(self, session: WriteSession, customer_id: UUID) -> None:
        if self.announces is not None:
            await publish(session, self.announces(customer_id))

    def _write_down(self, session: WriteSession, actor: Actor, done: str, part_id: UUID, **states: Any) -> None:
        personal = frozenset(column.name for column in self.table.columns if "personal" in column.info)
        audit.record(session, actor, f"{self.noun}.{done}", self.noun, part_id, **states, personal=personal)
