"""The job of a prediction: read everybody, fit, write what is expected of everybody.

It goes in chunks, with progress; it can be cancelled, and a killed worker's successor goes on where it ended: with
the parameters that are kept once they are found, from the last customer written.
"""

import asyncio
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from math import isnan
from typing import Any
from uuid import UUID

from sqlalchemy import Float, Integer, bindparam, case, cast, func, literal, or_, select, update
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.types import TypeEngine

from app.classification import recalculations, refresh
from app.classification.metrics import PREDICTED
from app.classification.models import customer_metrics, dirty_customer, prediction
from app.classification.predictions import requests
from app.classification.refresh import AS_OF, AS_OF_DAY, within
from app.core import clock
from app.core.db import Prepared, Record, WriteSession
from app.core.jobs import Hopeless, Interrupted, JobContext, alone
from app.customers.queries import customer_count, keep_all, nth_customer_after
from app.purchases.repeats import repeat_purchases

CHUNK = 10_000
MISSING = "prediction needs the extra strata[predict]"
_ESTIMATES = "app.classification.predictions.estimates"


class _Cancelled(Exception):
    pass


async def run_prediction(context: JobContext) -> None:
    """The job: fit, unless the parameters are kept already, and write."""
    prediction_id = UUID(context.payload["prediction_id"])
    async with context.database.transaction() as session:
        p = prediction.c
        run = await session.first(
            update(prediction)
            .where(p.id == prediction_id, p.status.in_(requests.UNDER_WAY))
            .values(
                status="running",
                started_at=func.coalesce(p.started_at, func.now()),
                total=await customer_count(session),
                processed=case((p.estimable.is_(None), 0), else_=p.processed),
            )
            .returning(*prediction.columns)
        )
    if run is None:
        return
    if find_spec("numpy") is None or find_spec("scipy") is None:
        raise Hopeless(MISSING)
    with suppress(_Cancelled):
        await _Run(context, run).finish()


async def prediction_died(session: WriteSession, payload: dict[str, Any], reason: str) -> None:
    """The job is dead: so is the prediction, and it says why."""
    await _end(session, UUID(payload["prediction_id"]), "failed", reason)


async def _end(session: WriteSession, prediction_id: UUID, status: str, error: str | None) -> bool:
    p = prediction.c
    ended = await session.execute(
        update(prediction)
        .where(p.id == prediction_id, p.status.in_(requests.UNDER_WAY))
        .values(status=status, error=error, finished_at=func.now())
    )
    return bool(ended)


@lru_cache
def _alike() -> Prepared:
    """The histories in a range of customers, those that are alike as one row."""
    found = repeat_purchases(AS_OF, AS_OF_DAY, lambda customer_id: within(customer_id, ranged=True)).subquery()
    columns = [found.c[name] for name in ("repeats", "recency", "age", "spend")]
    return Prepared(select(*columns, func.count().label("customers")).group_by(*columns))


@lru_cache
def _each() -> Prepared:
    found = repeat_purchases(AS_OF, AS_OF_DAY, lambda customer_id: within(customer_id, ranged=True)).subquery()
    columns = [found.c[name] for name in ("repeats", "recency", "age", "spend")]
    return Prepared(select(*columns, literal(1, Integer).label("customers"), found.c.customer_id))


@lru_cache
def _write(*, marking: bool) -> Prepared:
    """What is expected of a range of customers, nothing of those who are not named; only rows that differ are written.

    The revision rises, so that classes computed from the older row are not written. `as_of` stays: it is the facts'.
    """
    arrays: list[tuple[str, TypeEngine[Any]]] = [("customer_id", UuidType()), *((name, Float()) for name in PREDICTED)]
    given = (
        func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in arrays))
        .table_valued(*(name for name, _ in arrays))
        .render_derived()
    )
    m = customer_metrics.c
    values = {name: cast(given.c[name], m[name].type) for name in PREDICTED}
    changed = (
        select(m.customer_id, *(value.label(name) for name, value in values.items()))
        .select_from(customer_metrics.outerjoin(given, given.c.customer_id == m.customer_id))
        .where(within(m.customer_id, ranged=True), or_(*(m[n].is_distinct_from(v) for n, v in values.items())))
        .cte("changed")
    )
    written = (
        update(customer_metrics)
        .values({name: changed.c[name] for name in PREDICTED} | {"revision": m.revision + 1})
        .where(m.customer_id == changed.c.customer_id, within(m.customer_id, ranged=True))
        .returning(m.customer_id)
        .cte("written")
    )
    statement = select(func.count()).select_from(written)
    if marking:
        marked = (
            upsert(dirty_customer)
            .from_select(["customer_id"], select(written.c.customer_id).order_by(written.c.customer_id))
            .on_conflict_do_nothing()
            .cte("marked")
        )
        statement = statement.add_cte(marked)
    return Prepared(statement)


class _Run:
    """One prediction on its way."""

    def __init__(self, context: JobContext, run: Record) -> None:
        self.context = context
        self.database = context.database
        self.id: UUID = run["id"]
        self.estimable: bool | None = run["estimable"]
        self.parameters: dict[str, Any] | None = run["parameters"]
        self.position: UUID | None = run["position"]
        self.up_to = {"as_of": run["as_of"], "as_of_day": clock.business_day(run["as_of"])}

    async def finish(self) -> None:
        """Whatever is left to do."""
        # Half a second the first time, which nobody else should wait for.
        await asyncio.to_thread(import_module, _ESTIMATES)
        if self.estimable is None:
            await self._fit()
        marking = await requests.read_by_a_scheme(self.database.reading())
        # A recalculation writes the same rows, and only over the revision that it has compared.
        async with alone(self.context, recalculations.ONE_AT_A_TIME):
            await self._write(marking=marking)
        async with self.database.transaction(correlation_id=self.context.correlation_id) as session:
            if await _end(session, self.id, "completed", None) and marking:
                await recalculations.enqueue_after_prediction(session)

    async def _fit(self) -> None:
        from app.classification.predictions.estimates import Histories, estimate

        parts, position = [Histories.of([])], refresh.NOBODY
        while (chunk := await self._next_chunk(position)) is not None:
            parts.append(Histories.of(await self._read(_alike(), chunk)))
            position = chunk.up_to
            await self._checkpoint(None)
        everybody = Histories.together(parts)
        found = await asyncio.to_thread(estimate, everybody, check=self._check)
        self.estimable, self.parameters = found.reason is None, found.document()
        await self._keep(
            estimable=self.estimable,
            reason=found.reason or found.value_reason,
            population=int(everybody.customers.sum()),
            parameters=self.parameters,
            processed=prediction.c.total,
        )

    async def _write(self, *, marking: bool) -> None:
        from app.classification.predictions.estimates import Histories, Model

        assert self.parameters is not None
        model = Model(self.parameters)
        position = self.position or refresh.NOBODY
        while (chunk := await self._next_chunk(position)) is not None:
            rows = await self._read(_each(), chunk) if self.estimable else []
            expected = model.expect(Histories.of(rows))
            values = {name: _nullable(each.tolist()) for name, each in zip(PREDICTED, expected, strict=True)}
            params = {"customer_id": [row["customer_id"] for row in rows], **values, **refresh.scope_params(chunk)}
            async with self.database.transaction() as session:
                await keep_all(session)
                await refresh.plan_for_many(session)
                await session.all(_write(marking=marking), params)
            position = chunk.up_to
            await self._checkpoint(position)

    async def _next_chunk(self, after: UUID) -> refresh.Range | None:
        up_to = await nth_customer_after(self.database.reading(), after, CHUNK)
        return None if up_to is None else refresh.Range(after, up_to)

    async def _read(self, statement: Prepared, chunk: refresh.Range) -> list[Record]:
        async with self.database.transaction() as session:
            await refresh.plan_for_many(session)
            return await session.all(statement, {**self.up_to, **refresh.scope_params(chunk)})

    async def _checkpoint(self, position: UUID | None) -> None:
        """Keep how far we are; leave when cancelled or when the worker stops."""
        p = prediction.c
        await self._keep(position=position, processed=func.least(p.processed + CHUNK, 2 * p.total))
        self._check()

    async def _keep(self, **values: Any) -> None:
        async with self.database.transaction() as session:
            p = prediction.c
            running = update(prediction).where(p.id == self.id, p.status == "running")
            if not await session.execute(running.values(**values)):
                raise _Cancelled

    def _check(self) -> None:
        """Also called from the thread that fits."""
        if self.context.stopping.is_set():
            raise Interrupted


def _nullable(values: list[float]) -> list[float | None]:
    return [None if isnan(value) else value for value in values]
