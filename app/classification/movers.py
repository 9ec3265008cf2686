"""Who moves in a simulation, among the customers that the actor may see: in pages, as a sample, as a file."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Select, func, literal, select, tuple_

from app.classification.comparing import NO_CLASS
from app.classification.models import simulation, simulation_move
from app.classification.simulations import READ
from app.core import audit, csv
from app.core.bounds import money_text
from app.core.db import ReadSession, Record
from app.core.errors import Conflict, NotFound
from app.core.http.paging import Page
from app.customers.document import visible_to
from app.customers.models import customer
from app.identity.actor import Actor

READ_CUSTOMERS = "customers:read"
NOBODYS_CLASS = "-"
"""What a filter calls having no class; no class can be called so."""

_m, _c = simulation_move.c, customer.c
_order = (_m.from_class, _m.to_class, _m.customer_id)
COLUMNS = ("customer_id", "name", "owner_id", "unit_id", "from_class", "to_class", "monetary")


@dataclass(frozen=True, slots=True)
class Movers:
    """The movers of a simulation from and to a class; None is any."""

    simulation_id: UUID
    from_class: str | None = None
    to_class: str | None = None

    @property
    def scope(self) -> list[str | None]:
        """What pages have in common."""
        return [self.from_class, self.to_class]

    def visible(self, actor: Actor) -> Select[Any]:
        """Those whom both permissions reach, of customers and of simulations."""
        statement = (
            select(_m.customer_id, _c.name, _c.owner_id, _c.unit_id, _m.from_class, _m.to_class, _m.monetary)
            .join(customer, _c.id == _m.customer_id)
            .where(_m.simulation_id == self.simulation_id, visible_to(actor, READ), visible_to(actor, READ_CUSTOMERS))
        )
        for column, name in ((_m.from_class, self.from_class), (_m.to_class, self.to_class)):
            if name is not None:
                statement = statement.where(column == (NO_CLASS if name == NOBODYS_CLASS else name))
        return statement


async def check_completed(session: ReadSession, simulation_id: UUID) -> None:
    """Raises `NotFound`, and `Conflict` for a simulation that has found nothing yet or never will."""
    status = await session.scalar(select(simulation.c.status).where(simulation.c.id == simulation_id))
    if status is None:
        raise NotFound("There is no such simulation")
    if status != "completed":
        raise Conflict(f"This simulation is {status}; customers are listed once it is completed")


async def page_of(session: ReadSession, actor: Actor, movers: Movers, page: Page) -> dict[str, Any]:
    """A page of movers by their classes, then by customer."""
    rows = await _after(session, actor, movers, page.after(movers.scope), page.limit + 1)
    shown = rows[: page.limit]
    return {
        "items": [_mover(row) for row in shown],
        "next_cursor": page.next_cursor(rows, _position(shown[-1]) if shown else [], movers.scope),
    }


async def sample(session: ReadSession, actor: Actor, movers: Movers, size: int) -> dict[str, Any]:
    """So many movers, drawn by a hash of customer and simulation: the same ones whenever it is asked."""
    seed = literal(movers.simulation_id.int & (2**63 - 1), BigInteger)
    drawn = func.uuid_hash_extended(_m.customer_id, seed)
    rows = await session.all(movers.visible(actor).order_by(drawn, _m.customer_id).limit(size))
    return {"items": [_mover(row) for row in rows], "next_cursor": None}


async def file_of(session: ReadSession, actor: Actor, movers: Movers, request_id: str | None) -> AsyncIterator[str]:
    """All of them as CSV; that somebody took them is written down."""
    what = {"from_class": movers.from_class, "to_class": movers.to_class}
    await audit.record_reading(
        session, actor, "simulation.exported", "simulation", movers.simulation_id, what=what, request_id=request_id
    )

    async def after(row: Record | None, limit: int) -> list[Record]:
        return await _after(session, actor, movers, None if row is None else _position(row), limit)

    return csv.file_of(COLUMNS, after, {"monetary": money_text})


async def _after(
    session: ReadSession, actor: Actor, movers: Movers, after: list[Any] | None, limit: int
) -> list[Record]:
    statement = movers.visible(actor).order_by(*_order).limit(limit)
    if after is not None:
        from_class, to_class, customer_id = after
        statement = statement.where(tuple_(*_order) > tuple_(from_class, to_class, UUID(customer_id)))
    return await session.all(statement)


def _position(row: Record) -> list[Any]:
    return [row["from_class"], row["to_class"], str(row["customer_id"])]


def _mover(row: Record) -> dict[str, Any]:
    return {**row, "from_class": row["from_class"] or None, "to_class": row["to_class"] or None}
