"""The job of a prediction: read everybody, fit, write what is expected of everybody.

It goes in chunks, with progress; it can be cancelled, and a killed worker's successor goes on where it ended: with
the parameters that are kept once they are found, from the last customer written.
"""

import asyncio
from functools import lru_cache, partial
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

from app.classification import recalculate, recalculations, refresh, walking
from app.classification.metrics import PREDICTED
from app.classification.models import customer_metrics, dirty_customer, prediction
from app.classification.predictions import requests
from app.classification.refresh import AS_OF, AS_OF_DAY, within
from app.core import clock, work
from app.core.db import Prepared, Record
from app.core.jobs import Hopeless, Interrupted, JobContext, alone
from app.customers.queries import customer_count, keep_all
from app.purchases.repeats import repeat_purchases

MISSING = "prediction needs the extra strata[predict]"
_ESTIMATES = "app.classification.predictions.estimates"


async def run_prediction(context: JobContext) -> None:
    """The job: fit, unless the parameters are kept already, and write."""
    prediction_id, p = work.id_from(prediction, context.payload), prediction.c
    async with context.database.transaction() as session:
        total, processed = await customer_count(session), case((p.estimable.is_(None), 0), else_=p.processed)
        run = await work.begin(session, prediction, prediction_id, total=total, processed=processed)
    if run is None:
        return
    if find_spec("numpy") is None or find_spec("scipy") is None:
        raise Hopeless(MISSING)
    with work.carried():
        await _Run(context, run).finish()


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
        self.position: UUID = run["position"] or refresh.NOBODY
        self.up_to = {"as_of": run["as_of"], "as_of_day": clock.business_day(run["as_of"])}

    async def finish(self) -> None:
        """Whatever is left to do."""
        # Half a second the first time, which nobody else should wait for.
        await asyncio.to_thread(import_module, _ESTIMATES)
        if self.estimable is None:
            await self._fit()
        marking = await requests.read_by_a_scheme(self.database.reading())
        # A recalculation writes the same rows, and only over the revision that it has compared.
        async with alone(self.context, recalculate.ONE_AT_A_TIME):
            await self._write(marking=marking)
        async with self.database.transaction(correlation_id=self.context.correlation_id) as session:
            if await work.end(session, prediction, self.id, "completed") and marking:
                await recalculations.enqueue_after_prediction(session)

    async def _fit(self) -> None:
        from app.classification.predictions.estimates import Histories, estimate

        parts = [Histories.of([])]
        async for step in walking.steps(self.database, refresh.NOBODY, partial(self._read, _alike()), lanes=1):
            parts += map(Histories.of, step.found)
            await self._checkpoint(step.size, None)
        everybody = Histories.together(parts)
        found = await asyncio.to_thread(estimate, everybody, check=self._check)
        self.estimable, self.parameters = found.reason is None, found.document()
        async with self.database.transaction() as session:
            await work.keep(
                session,
                prediction,
                self.id,
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

        async def write(chunk: refresh.Range) -> None:
            rows = await self._read(_each(), chunk) if self.estimable else []
            expected = model.expect(Histories.of(rows))
            values = {name: _nullable(each.tolist()) for name, each in zip(PREDICTED, expected, strict=True)}
            params = {"customer_id": [row["customer_id"] for row in rows], **values, **refresh.scope_params(chunk)}
            async with self.database.transaction() as session:
                await keep_all(session)
                await refresh.plan_for_many(session)
                await session.all(_write(marking=marking), params)

        async for step in walking.steps(self.database, self.position, write, lanes=1):
            await self._checkpoint(step.size, step.position)

    async def _read(self, statement: Prepared, chunk: refresh.Range) -> list[Record]:
        async with self.database.transaction() as session:
            await refresh.plan_for_many(session)
            return await session.all(statement, {**self.up_to, **refresh.scope_params(chunk)})

    async def _checkpoint(self, done: int, position: UUID | None) -> None:
        """Keep how far we are; leave when cancelled or when the worker stops."""
        p = prediction.c
        processed = func.least(p.processed + done, 2 * p.total)
        await work.checkpoint(self.context, prediction, self.id, position=position, processed=processed)

    def _check(self) -> None:
        """Also called from the thread that fits."""
        if self.context.stopping.is_set():
            raise Interrupted


def _nullable(values: list[float]) -> list[float | None]:
    return [None if isnan(value) else value for value in values]
