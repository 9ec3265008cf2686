"""SELECTs over classes, changes and breakpoints. What a person can ask starts from what that one may see."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Text, cast, func, literal, literal_column, select, tuple_
from sqlalchemy.dialects.postgresql import JSON, aggregate_order_by, distinct_on

from app.classification.engine import Evaluation
from app.classification.metrics import read_value
from app.classification.models import (
    breakpoints,
    class_change,
    customer_class,
    customer_metrics,
    recalculation,
    scheme,
    scheme_version,
)
from app.classification.schemes import document_adapter, published
from app.core import clock
from app.core.db import ReadSession, Record
from app.core.errors import NotFound
from app.core.http.paging import Page
from app.customers.document import visible_to
from app.customers.models import customer
from app.identity.actor import Actor, Scope

READ = "classes:read"

classes_of_customer = (
    select(
        func.coalesce(
            func.json_object_agg(
                customer_class.c.scheme, aggregate_order_by(customer_class.c.class_, customer_class.c.scheme)
            ),
            cast(literal("{}", Text), JSON),
        )
    )
    .where(customer_class.c.customer_id == customer.c.id)
    .correlate(customer)
    .scalar_subquery()
)
"""A customer's classes as JSON, for the customer document."""


async def classes_summary(session: ReadSession, actor: Actor, key: str) -> list[dict[str, Any]]:
    """Customers and revenue of each class of a scheme, among the customers the actor may see."""
    k, m = customer_class.c, customer_metrics.c
    statement = (
        select(k.class_, func.count().label("customers"), func.sum(m.monetary).label("monetary"))
        .join(customer_metrics, m.customer_id == k.customer_id)
        .where(k.scheme == key)
        .group_by(k.class_)
    )
    if actor.scope(READ) is not Scope.ALL:
        statement = statement.join(customer, customer.c.id == k.customer_id).where(visible_to(actor, READ))
    rows = await session.all(statement)
    customers = sum(row["customers"] for row in rows)
    monetary = sum(row["monetary"] for row in rows)
    return [
        {
            "class": row["class"],
            "customers": row["customers"],
            "share": round(row["customers"] / customers, 6),
            "monetary": row["monetary"],
            "monetary_share": float(round(row["monetary"] / monetary, 6)) if monetary else 0.0,
        }
        for row in rows
    ]


async def current_breakpoints(session: ReadSession, key: str) -> dict[str, Any]:
    """The breakpoints in force. Raises `NotFound` before the first fit."""
    row = await session.first(
        select(breakpoints).join(scheme, scheme.c.breakpoints_id == breakpoints.c.id).where(scheme.c.key == key)
    )
    if row is None:
        raise NotFound(f"{key} has no breakpoints yet; ask for a recalculation with refit")
    return dict(row)


async def classes_of(session: ReadSession, customer_id: UUID, key: str | None = None) -> list[dict[str, Any]]:
    """A customer's current classes, or the one of a scheme."""
    k = customer_class.c
    statement = select(customer_class).where(k.customer_id == customer_id).order_by(k.scheme)
    if key is not None:
        statement = statement.where(k.scheme == key)
    evaluation = await published(session)
    return [_class(row, evaluation) for row in await session.all(statement)]


def _class(row: Record, evaluation: Evaluation) -> dict[str, Any]:
    return {**row, "score": evaluation.read_score(row["scheme"], row["score"]), "pending": None, "override": None}


async def classes_at(session: ReadSession, customer_id: UUID, at: datetime) -> list[dict[str, Any]]:
    """A customer's classes at an instant: of each scheme the last change before it."""
    h = class_change.c
    rows = await session.all(
        select(h.scheme, h.to_class, h.score, h.at.label("since"), h.as_of, h.version, h.breakpoints_id)
        .ext(distinct_on(h.scheme))
        .where(h.customer_id == customer_id, h.at <= at)
        .order_by(h.scheme, h.at.desc(), h.id.desc())
    )
    evaluation = await published(session)
    return [{**_class(row, evaluation), "class": row["to_class"]} for row in rows if row["to_class"] is not None]


async def history_of(session: ReadSession, customer_id: UUID, key: str, page: Page) -> dict[str, Any]:
    """A page of a customer's changes of class, the latest first."""
    h = class_change.c
    statement = (
        select(class_change, scheme_version.c.document)
        .join(scheme_version, (scheme_version.c.scheme == h.scheme) & (scheme_version.c.version == h.version))
        .where(h.customer_id == customer_id, h.scheme == key)
        .order_by(h.at.desc(), h.id.desc())
        .limit(page.limit + 1)
    )
    if (after := page.after()) is not None:
        statement = statement.where(
            tuple_(h.at, h.id) < tuple_(literal(datetime.fromisoformat(after[0])), int(after[1]))
        )
    rows = await session.all(statement)
    shown = rows[: page.limit]
    last = [shown[-1]["at"], shown[-1]["id"]] if shown else []
    return {
        "items": [_change(row) for row in shown],
        "next_cursor": page.next_cursor(rows, last),
    }


def _change(row: Record) -> dict[str, Any]:
    """A change as people read it, by the document of the version that decided."""
    document = document_adapter.validate_python(row["document"])
    inputs = zip(document.metrics, row["inputs"], strict=True)
    return {
        **row,
        "score": document.read_score(row["score"]),
        "inputs": {name: None if value is None else read_value(name, value) for name, value in inputs},
    }


async def one_recalculation(session: ReadSession, recalculation_id: UUID) -> dict[str, Any]:
    """A recalculation with its progress. Raises `NotFound`."""
    row = await session.first(select(recalculation).where(recalculation.c.id == recalculation_id))
    if row is None:
        raise NotFound("There is no such recalculation")
    return with_progress(row)


async def page_of_recalculations(session: ReadSession, page: Page) -> dict[str, Any]:
    """A page of recalculations, the latest first."""
    r = recalculation.c
    statement = select(recalculation).order_by(r.id.desc()).limit(page.limit + 1)
    if (after := page.after()) is not None:
        statement = statement.where(r.id < UUID(after[0]))
    rows = await session.all(statement)
    shown = rows[: page.limit]
    last = [shown[-1]["id"]] if shown else []
    return {"items": [with_progress(row) for row in shown], "next_cursor": page.next_cursor(rows, last)}


def with_progress(row: Record) -> dict[str, Any]:
    """The row in the shape of long work: two passes over everybody count as one."""
    total, processed = row["customers"], row["done"] // 2
    if row["status"] == "completed":
        processed = total
    return {**row, "total": total, "processed": processed, "eta": expected_end(row, processed, total)}


def expected_end(row: Record, processed: int, total: int) -> datetime | None:
    """When long work ends if it goes on as it did; None unless it runs and has begun."""
    if row["status"] != "running" or not processed or row["started_at"] is None:
        return None
    so_far: timedelta = clock.now() - row["started_at"]
    return clock.now() + so_far * (max(total - processed, 0) / processed)


async def rfm_grid(session: ReadSession, key: str) -> dict[tuple[int, int], int]:
    """How many customers have each pair of recency and frequency scores."""
    k = customer_class.c
    r, f = k.score / literal_column("100"), k.score / literal_column("10") % literal_column("10")
    rows = await session.all(
        select(r.label("r"), f.label("f"), func.count().label("customers")).where(k.scheme == key).group_by(r, f)
    )
    return {(row["r"], row["f"]): row["customers"] for row in rows}
