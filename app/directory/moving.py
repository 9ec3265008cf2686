"""The job that puts many customers into other hands: along their ids, block by block, each a transaction."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, any_, func, literal, or_, select
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.core import work
from app.core.db import Record, WriteSession
from app.core.jobs import Interrupted, JobContext
from app.customers.document import visible_to
from app.customers.hands import HANDS
from app.customers.models import customer
from app.customers.queries import keep_all
from app.customers.transfers import TRANSFER, check_hands, move
from app.directory.models import transfer
from app.directory.queries import condition_of, measured
from app.directory.schemas import TransferOfManyIn
from app.directory.transfers import hands_of
from app.identity.actor import Actor, from_kept
from app.identity.present import as_of_now
from app.identity.scopes import within_scope

BLOCK = 500
_c, _t = customer.c, transfer.c


async def run_transfer(context: JobContext) -> None:
    """The job: whoever takes it up goes on behind the last block."""
    row = await work.take_up(context, transfer)
    if row is None:
        return
    with work.carried():
        await _Run(context, row).finish()


class _Run:
    """One transfer on its way through the customers."""

    def __init__(self, context: JobContext, row: Record) -> None:
        self.context = context
        self.database = context.database
        self.id: UUID = row["id"]
        self.asked = TransferOfManyIn.model_validate(row["asked"])
        self.to = hands_of(self.asked)
        self.asked_by = from_kept(row["actor"])
        self.requested_by: str = row["requested_by"]
        self.position: UUID | None = row["position"]
        self.total: int | None = row["total"]

    async def finish(self) -> None:
        """Whatever is left of it. Raises `Interrupted` when the worker stops, `Cancelled` when it shall."""
        if self.asked.dry_run:
            await self._count()
            return
        if self.total is None:
            actor = await as_of_now(self.database, self.asked_by)
            counted = select(func.count()).select_from(measured).where(*await self._conditions(actor))
            self.total = int(await self.database.reading().scalar(counted))
        while await self._block() == BLOCK:
            if self.context.stopping.is_set():
                raise Interrupted
        async with self.database.transaction() as session:
            await work.keep(session, transfer, self.id, self._ours(), status="completed", finished_at=func.now())

    async def _count(self) -> None:
        """What a transfer would come to, in one statement."""
        actor = await as_of_now(self.database, self.asked_by)
        changed, reached = self._changed(), self._reached(actor)
        count = func.count()
        counts = select(
            count.label("total"),
            count.filter(changed & reached).label("moved"),
            count.filter(~changed).label("unchanged"),
            count.filter(changed & ~reached).label("out_of_reach"),
        )
        statement = counts.select_from(measured).where(*await self._conditions(actor))
        async with self.database.transaction() as session:
            found = await session.first(statement)
            assert found is not None
            ended = {"status": "completed", "finished_at": func.now()}
            await work.keep(session, transfer, self.id, processed=found["total"], **found, **ended)

    async def _block(self) -> int:
        """Move the next block, in the transaction of its checkpoint; how many were looked at.

        The rights are looked up anew: whoever may less by now moves less. Raises `Cancelled` when another worker
        was faster.
        """
        actor = await as_of_now(self.database, self.asked_by)
        async with self.database.transaction(
            correlation_id=self.context.correlation_id, principal=self.requested_by
        ) as session:
            await keep_all(session)
            conditions = await self._conditions(actor)
            rest = select(_c.id).select_from(measured).where(*conditions).order_by(_c.id).limit(BLOCK)
            if self.position is not None:
                rest = rest.where(_c.id > self.position)
            ids = [row["id"] for row in await session.all(rest)]
            rows = await self._held(session, actor, ids)
            reached = [row for row in rows if row["reached"]]
            beyond = sum(row["changed"] and not row["reached"] for row in rows)
            await check_hands(session, self.to)
            moved = await move(session, actor, reached, self.to, transfer_id=self.id)
            before, self.position = self._ours(), ids[-1] if ids else self.position
            processed = _t.processed + len(ids)
            await work.keep(
                session,
                transfer,
                self.id,
                before,
                position=self.position,
                processed=processed,
                total=func.greatest(self.total, processed),
                moved=_t.moved + moved,
                unchanged=_t.unchanged + (len(ids) - moved - beyond),
                out_of_reach=_t.out_of_reach + beyond,
            )
        return len(ids)

    async def _held(self, session: WriteSession, actor: Actor, ids: list[UUID]) -> list[Record]:
        """Those of them who are still meant, held; with whether they change hands and whether that is in reach."""
        statement = select(customer, self._changed().label("changed"), self._reached(actor).label("reached"))
        those = _c.id == any_(literal(ids, ARRAY(UuidType)))
        return await session.all(
            statement.where(those, visible_to(actor, TRANSFER), *self._from()).order_by(_c.id).with_for_update()
        )

    async def _conditions(self, actor: Actor) -> list[ColumnElement[bool]]:
        """Who is meant, among those whom the actor may transfer. Raises `Forbidden` for what it may not ask."""
        conditions = [visible_to(actor, TRANSFER), *self._from()]
        if self.asked.where is not None:
            # What one may not see one may not find out by moving it, either.
            conditions += [visible_to(actor), await condition_of(self.database.reading(), actor, self.asked.where)]
        return conditions

    def _from(self) -> list[ColumnElement[bool]]:
        asked, conditions = self.asked, list[ColumnElement[bool]]()
        if asked.customer_ids is not None:
            conditions.append(_c.id == any_(literal(asked.customer_ids, ARRAY(UuidType))))
        if asked.from_owner_id is not None:
            conditions.append(_c.owner_id == asked.from_owner_id)
        if asked.from_unit_id is not None:
            conditions.append(_c.unit_id == asked.from_unit_id)
        return conditions

    def _changed(self) -> ColumnElement[bool]:
        return or_(*(_c[name].is_distinct_from(literal(value, UuidType)) for name, value in self.to.items()))

    def _reached(self, actor: Actor) -> ColumnElement[bool]:
        """Whether the actor's permission reaches where a customer would go."""
        owner_id, unit_id = (literal(self.to[name], UuidType) if name in self.to else _c[name] for name in HANDS)
        return within_scope(actor, TRANSFER, owner=owner_id, unit=unit_id)

    def _ours(self) -> ColumnElement[bool]:
        position: Any = literal(self.position, UuidType)
        return _t.position.is_not_distinct_from(position)
