"""Decides classes: one statement, for the customers named or for a range of all.

Who writes what it computed must know that nothing newer was written meanwhile. Every write of a metrics row
raises its `revision`; a bulk statement that read revision n writes only where revision n still stands,
and leaves the rest to whoever was faster. A request that records a fact holds the customer's row lock first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Numeric,
    Select,
    Subquery,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, array

from app.classification.compile import MeasuredRow, StoredRow, breakpoint_columns, expression
from app.classification.definitions import Document
from app.classification.metrics import METRICS, Source
from app.classification.models import class_change, customer_class, customer_metrics
from app.classification.refresh import AS_OF, AS_OF_DAY, EVALUATION_LOCK, Range, Scope, scope_params, within
from app.core import clock
from app.core.db import Prepared, WriteSession


@dataclass(frozen=True, slots=True)
class Scheme:
    """A published scheme: its key, version and document."""

    key: str
    version: int
    title: str
    document: Document


Limits = Mapping[str, CTE]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why classes are evaluated: what the history will say."""

    name: str
    actor: str
    correlation_id: str | None


class Evaluation:
    """The compiled statements that decide a set of schemes."""

    def __init__(self, schemes: Sequence[Scheme]) -> None:
        self.schemes = tuple(schemes)
        self.of_some = Prepared(_evaluate(self.schemes, ranged=False))
        self.of_range = Prepared(_evaluate(self.schemes, ranged=True))

    def read_score(self, key: str, score: int | None) -> dict[str, int] | None:
        """A stored score as people read it; None for kinds without scores and schemes no longer published."""
        return next((each.document.read_score(score) for each in self.schemes if each.key == key), None)


def _decisions(schemes: Sequence[Scheme], limits: Limits, *, ranged: bool) -> CTE:
    """One row a customer: for every scheme its class, its score and the breakpoints it used.

    In three stages, kept apart by OFFSET 0 (PostgreSQL would merge them and compute a metric as often as it is
    named): the metrics that the schemes read, the steps of their expressions, the classes.
    """
    measured = _measured(schemes, limits, ranged=ranged)
    rows = {each.key: MeasuredRow(_columns_of(each, measured), {}, limits[each.key].c.__getitem__) for each in schemes}
    expressions = {each.key: expression(each.document, rows[each.key]) for each in schemes}
    steps = [
        step.label(f"{key}_step_{name}") for key, decided in expressions.items() for name, step in decided.steps.items()
    ]
    stepped = select(measured, *steps).select_from(_joined(measured, limits)).offset(0).subquery("stepped")
    rows = {each.key: MeasuredRow(_columns_of(each, stepped), {}, limits[each.key].c.__getitem__) for each in schemes}
    read = {column.key: column for each in schemes for column in _columns_of(each, stepped).values()}
    columns: list[ColumnElement[Any]] = [stepped.c.customer_id, stepped.c.revision, *read.values()]
    for each in schemes:
        decided = expression(each.document, rows[each.key])
        done = {name: stepped.c[f"{each.key}_step_{name}"] for name in decided.steps}
        fitted = limits[each.key].c.id.is_not(None) if each.document.breakpoint_paths else literal(True)
        score = decided.score_of(done) if decided.score_of else cast(null(), Integer)
        columns += [
            cast(case((fitted, decided.class_of(done))), Text).label(f"{each.key}_class"),
            score.label(f"{each.key}_score"),
            limits[each.key].c.id.label(f"{each.key}_fit"),
        ]
    return select(*columns).select_from(_joined(stepped, limits)).cte("decisions")


def _joined(rows: FromClause, limits: Limits) -> FromClause:
    for edges in limits.values():
        rows = rows.join(edges, literal(True))
    return rows


def _measured(schemes: Sequence[Scheme], limits: Limits, *, ranged: bool) -> Subquery:
    """Every metric that a scheme reads, once; those that depend on the population, once for each scheme."""
    row = customer_metrics.alias("m")
    columns: dict[str, ColumnElement[Any]] = {}
    for each in schemes:
        stored = StoredRow(Source(row, AS_OF_DAY, limits[each.key].c.__getitem__))
        for name in each.document.metrics:
            columns[_column_name(each, name)] = stored.metric(name)
    return (
        select(row.c.customer_id, row.c.revision, *(column.label(name) for name, column in columns.items()))
        .select_from(_joined(row, limits))
        .where(within(row.c.customer_id, ranged=ranged))
        .offset(0)
        .subquery("measured")
    )


def _column_name(each: Scheme, metric: str) -> str:
    return f"{each.key}_{metric}" if METRICS[metric].population else metric


def _columns_of(each: Scheme, rows: Subquery | CTE) -> dict[str, ColumnElement[Any]]:
    return {name: rows.c[_column_name(each, name)] for name in each.document.metrics}


def _evaluate(schemes: Sequence[Scheme], *, ranged: bool) -> Select[Any]:
    """Decide, compare with what stands, write what differs and why; gives what each customer is afterwards."""
    limits = {each.key: breakpoint_columns(each.key, each.document) for each in schemes}
    decisions = _decisions(schemes, limits, ranged=ranged)
    moved = union_all(*(_moves(each, decisions, ranged=ranged) for each in schemes)).cte("moved")
    return _write(moved, _afterwards(schemes, decisions), ranged=ranged)


def _moves(each: Scheme, decisions: CTE, *, ranged: bool) -> Select[Any]:
    """Customers for whom the decision is not what stands. Its inputs are put together for these alone."""
    stands = customer_class.alias(f"stands_{each.key}")
    decided, score = decisions.c[f"{each.key}_class"], decisions.c[f"{each.key}_score"]
    inputs = [_as_number(column) for column in _columns_of(each, decisions).values()]
    this_one = and_(
        stands.c.customer_id == decisions.c.customer_id,
        stands.c.scheme == literal_column(f"'{each.key}'", Text),
        within(stands.c.customer_id, ranged=ranged),
    )
    return (
        select(
            decisions.c.customer_id,
            decisions.c.revision,
            literal(each.key, Text).label("scheme"),
            literal(each.version, Integer).label("version"),
            decisions.c[f"{each.key}_fit"].label("breakpoints_id"),
            decided.label("decided"),
            score.label("score"),
            cast(array(inputs), ARRAY(Numeric)).label("inputs"),
            stands.c.class_.label("before"),
        )
        .select_from(decisions.outerjoin(stands, this_one))
        .where(
            or_(
                stands.c.class_.is_distinct_from(decided),
                and_(stands.c.class_.is_not(None), stands.c.score.is_distinct_from(score)),
            )
        )
    )


def _as_number(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.extract("epoch", column) if isinstance(column.type, DateTime) else column


def _afterwards(schemes: Sequence[Scheme], decisions: CTE) -> Select[Any]:
    names = [literal(each.key, Text) for each in schemes]
    decided = [decisions.c[f"{each.key}_class"] for each in schemes]
    return select(
        decisions.c.customer_id, func.jsonb_object(array(names), array(decided), type_=JSONB).label("classes")
    )


def _write(moved: CTE, afterwards: Select[Any], *, ranged: bool) -> Select[Any]:
    at = bindparam("at", type_=DateTime(timezone=True))
    changes = moved.c.before.is_distinct_from(moved.c.decided)
    if ranged:
        # The lock makes whoever comes later wait; the revision makes sure nobody came before.
        locked = (
            select(customer_metrics.c.customer_id)
            .select_from(customer_metrics)
            .where(
                customer_metrics.c.customer_id == moved.c.customer_id,
                customer_metrics.c.revision == moved.c.revision,
                within(customer_metrics.c.customer_id, ranged=True),
            )
            .with_for_update(key_share=True, of=customer_metrics)
            .cte("locked")
        )
        mine: ColumnElement[bool] = moved.c.customer_id.in_(select(locked.c.customer_id))
    else:
        mine = literal(True)
    entered = (
        insert(customer_class)
        .from_select(
            ["customer_id", "scheme", "class_", "score", "since", "as_of", "version", "breakpoints_id"],
            select(
                moved.c.customer_id,
                moved.c.scheme,
                moved.c.decided,
                moved.c.score,
                at,
                AS_OF,
                moved.c.version,
                moved.c.breakpoints_id,
            )
            .where(moved.c.before.is_(None), moved.c.decided.is_not(None), mine)
            # In the order of the larger index, whose keys would otherwise be scattered over all classes.
            .order_by(moved.c.scheme, moved.c.decided, moved.c.customer_id),
        )
        .returning(customer_class.c.customer_id)
        .cte("entered")
    )
    this_one = and_(
        customer_class.c.customer_id == moved.c.customer_id,
        customer_class.c.scheme == moved.c.scheme,
        within(customer_class.c.customer_id, ranged=ranged),
        moved.c.before.is_not(None),
    )
    stayed = (
        update(customer_class)
        .values(
            class_=moved.c.decided,
            score=moved.c.score,
            since=case((customer_class.c.class_ == moved.c.decided, customer_class.c.since), else_=at),
            as_of=AS_OF,
            version=moved.c.version,
            breakpoints_id=moved.c.breakpoints_id,
        )
        .where(this_one, moved.c.decided.is_not(None), mine)
        .returning(customer_class.c.customer_id)
        .cte("stayed")
    )
    left = (
        delete(customer_class)
        .where(this_one, moved.c.decided.is_(None), mine)
        .returning(customer_class.c.customer_id)
        .cte("left_scheme")
    )
    logged = (
        insert(class_change)
        .from_select(
            [
                "customer_id",
                "scheme",
                "from_class",
                "to_class",
                "at",
                "as_of",
                "version",
                "breakpoints_id",
                "inputs",
                "score",
                "cause",
                "actor",
                "correlation_id",
            ],
            select(
                moved.c.customer_id,
                moved.c.scheme,
                moved.c.before,
                moved.c.decided,
                at,
                AS_OF,
                moved.c.version,
                moved.c.breakpoints_id,
                moved.c.inputs,
                moved.c.score,
                bindparam("cause", type_=Text),
                bindparam("actor", type_=Text),
                bindparam("correlation_id", type_=Text),
            ).where(changes, mine),
        )
        .returning(class_change.c.customer_id)
        .cte("logged")
    )
    if ranged:
        return select(
            select(func.count()).select_from(logged).scalar_subquery().label("changed"),
            select(func.array_agg(func.distinct(moved.c.customer_id)))
            .where(moved.c.customer_id.not_in(select(locked.c.customer_id)))
            .scalar_subquery()
            .label("overtaken"),
        ).add_cte(entered, stayed, left)
    return afterwards.add_cte(entered, stayed, left, logged)


@dataclass(slots=True)
class Outcome:
    """What an evaluation came to: customers whose class changed, and the classes of those it was asked about."""

    changed: int = 0
    classes: dict[UUID, dict[str, str]] = field(default_factory=dict)


async def evaluate(
    session: WriteSession, evaluation: Evaluation, scope: Scope, *, as_of: datetime, cause: Cause
) -> Outcome:
    """Decide the classes of these customers from their stored metrics and write what changed.

    Customers that somebody else changed meanwhile are evaluated again from what that one wrote.
    """
    params = {
        "as_of": as_of,
        "as_of_day": clock.business_day(as_of),
        "at": clock.business_now(),
        "cause": cause.name,
        "actor": cause.actor,
        "correlation_id": cause.correlation_id,
    }
    if isinstance(scope, Range):
        row = await session.first(evaluation.of_range, params | scope_params(scope))
        assert row is not None
        outcome = Outcome(changed=row["changed"])
        if row["overtaken"]:
            await _lock_metrics(session, row["overtaken"])
            await session.all(evaluation.of_some, params | {"ids": row["overtaken"], "at": clock.business_now()})
        return outcome
    rows = await session.all(evaluation.of_some, params | scope_params(scope))
    return Outcome(
        classes={
            row["customer_id"]: {key: name for key, name in row["classes"].items() if name is not None} for row in rows
        }
    )


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
