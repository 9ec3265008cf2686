"""Decides classes: one statement for all schemes, for the customers named or for a range of all.

Within it, schemes that read other schemes' classes are decided after them, level by level. Who writes what it
computed must know that nothing newer was written meanwhile. Every write of a metrics row raises its `revision`; a bulk
statement that read revision n writes only where revision n still stands, and leaves the rest to whoever was faster.
A request that records a fact holds the customer's row lock first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid as UuidType
from sqlalchemy import any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.classification import statements
from app.classification.definitions import Document
from app.classification.models import customer_metrics
from app.classification.refresh import EVALUATION_LOCK, Range, Scope, scope_params
from app.core import clock
from app.core.db import Prepared, Record, WriteSession


@dataclass(frozen=True, slots=True)
class Scheme:
    """A published scheme: its key, version and document."""

    key: str
    version: int
    title: str
    document: Document


@dataclass(frozen=True, slots=True)
class Cause:
    """Why classes are evaluated: what the history will say. A correction may pass over grace.

    Classes of `released` schemes are not held by movement at all: those given since `released_from`, or every one.
    """

    name: str
    actor: str
    correlation_id: str | None
    correction: bool = False
    released: Sequence[str] = ()
    released_from: datetime | None = None
    fills: str | None = None
    """The scheme that nobody had a class of before: in bulk, its members are no news."""


class Evaluation:
    """The compiled statement that decides schemes, level by level. `whole`: they are all the schemes there are."""

    def __init__(self, levels: Sequence[Sequence[Scheme]], *, whole: bool = True) -> None:
        self.levels = [list(level) for level in levels]
        self.whole = whole

    @cached_property
    def of_one(self) -> Prepared:
        """For one customer, whose classes are told."""
        return self._prepared(told=True)

    @cached_property
    def of_some(self) -> Prepared:
        """For customers named."""
        return self._prepared()

    @cached_property
    def of_range(self) -> Prepared:
        """For a range of all."""
        return self._prepared(ranged=True)

    @property
    def schemes(self) -> list[Scheme]:
        return [each for level in self.levels for each in level]

    @property
    def counts_categories(self) -> bool:
        """Whether some scheme reads the number of categories, which is not counted for nothing."""
        return any("distinct_categories" in each.document.metrics for each in self.schemes)

    def read_score(self, key: str, score: int | None) -> dict[str, Any] | None:
        """A stored score as people read it; None for kinds without scores and schemes no longer published."""
        return next((each.document.read_score(score) for each in self.schemes if each.key == key), None)

    def _prepared(self, *, ranged: bool = False, told: bool = False) -> Prepared:
        said = [[(each.key, each.version, each.document.model_dump_json()) for each in level] for level in self.levels]
        zone = str(clock.business_zone())  # a statement knows where a day begins
        return _compiled(_Said(repr((said, self.whole, zone)), self), ranged=ranged, told=told)


@dataclass(frozen=True, slots=True)
class _Said:
    """An evaluation, equal to every other that says the same: what was compiled for one load serves the next."""

    words: str
    evaluation: Evaluation = field(compare=False)


@lru_cache(maxsize=32)
def _compiled(said: _Said, *, ranged: bool, told: bool) -> Prepared:
    evaluation = said.evaluation
    return Prepared(statements.deciding(evaluation.levels, whole=evaluation.whole, ranged=ranged, told=told))


@dataclass(slots=True)
class Outcome:
    """What an evaluation came to: how many customers were found, how many classes changed; the classes of one."""

    evaluated: int = 0
    changed: int = 0
    classes: dict[str, str] = field(default_factory=dict)


async def evaluate(
    session: WriteSession, evaluation: Evaluation, scope: Scope, *, as_of: datetime, cause: Cause
) -> Outcome:
    """Decide the classes of these customers from their stored metrics and write what changed.

    Customers that somebody else changed meanwhile are evaluated again from what that one wrote.
    """
    if not evaluation.levels:
        return Outcome()
    params = _params(as_of, cause) | scope_params(scope)
    if not isinstance(scope, Range):
        return await (_decide_one if len(scope) == 1 else _decide)(session, evaluation, params)
    row: Record = await session.first(evaluation.of_range, params)
    if overtaken := row["overtaken"]:
        await _lock_metrics(session, sorted(overtaken))
        await _decide(session, evaluation, _params(as_of, cause) | {"ids": sorted(overtaken)})
    return Outcome(row["evaluated"], row["changed"])


def _params(as_of: datetime, cause: Cause) -> dict[str, Any]:
    at = clock.business_now()
    return {
        "as_of": as_of,
        "as_of_day": clock.business_day(as_of),
        "at": at,
        "today": clock.business_day(at),
        "cause": cause.name,
        "actor": cause.actor,
        "correlation_id": cause.correlation_id,
        "correction": cause.correction,
        "released": list(cause.released),
        "released_from": cause.released_from,
        "fills": cause.fills,
    }


async def _decide(session: WriteSession, evaluation: Evaluation, params: dict[str, Any]) -> Outcome:
    row: Record = await session.first(evaluation.of_some, params)
    return Outcome(row["evaluated"], row["changed"])


async def _decide_one(session: WriteSession, evaluation: Evaluation, params: dict[str, Any]) -> Outcome:
    row = await session.first(evaluation.of_one, params)
    return Outcome() if row is None else Outcome(evaluated=1, classes=row["classes"] or {})


async def _lock_metrics(session: WriteSession, ids: Sequence[UUID]) -> None:
    """Wait for whoever writes these customers, in key order, so that the next statement sees their work."""
    await session.all(
        select(customer_metrics.c.customer_id)
        .where(customer_metrics.c.customer_id == any_(literal(list(ids), ARRAY(UuidType))))
        .order_by(customer_metrics.c.customer_id)
        .with_for_update(key_share=True)
    )


async def exclude_evaluation(session: WriteSession) -> None:
    """Wait until no request evaluates with the breakpoints so far; the next ones wait for this commit."""
    await session.all(select(func.pg_advisory_xact_lock(EVALUATION_LOCK)))
