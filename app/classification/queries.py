"""SELECTs over classes, changes and breakpoints. What a person can ask starts from what that one may see."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Integer, Text, and_, cast, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import JSON, aggregate_order_by

from app.classification.engine import Evaluation
from app.classification.models import class_override, customer_class, customer_metrics
from app.classification.schemes import published
from app.core import clock
from app.core.db import ReadSession, Record
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

CLASS_MEMBERS = select(
    customer_class.c.customer_id, customer_class.c.scheme.label("key"), customer_class.c.class_.label("name")
)
"""Who is in which class of which scheme, for packages that put customers together by it."""


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
    return with_shares(await session.all(statement))


def with_shares(rows: Sequence[Record]) -> list[dict[str, Any]]:
    """Counts and revenue of classes, with their shares of the whole."""
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


async def classes_of(session: ReadSession, customer_id: UUID, key: str | None = None) -> list[dict[str, Any]]:
    """A customer's current classes, or the one of a scheme."""
    k, o = customer_class.c, class_override.c
    now = literal(clock.business_now(), DateTime(timezone=True))
    overridden = and_(
        o.customer_id == k.customer_id, o.scheme == k.scheme, o.status == "active", o.period.contains(now)
    )
    statement = (
        select(customer_class, *override_columns())
        .select_from(customer_class.outerjoin(class_override, overridden))
        .where(k.customer_id == customer_id)
        .order_by(k.scheme)
    )
    if key is not None:
        statement = statement.where(k.scheme == key)
    evaluation = await published(session)
    return [as_class(row, evaluation) for row in await session.all(statement)]


def override_columns() -> list[ColumnElement[Any]]:
    """What `as_class` shows of the override in force; all null where there is none."""
    o = class_override.c
    return [
        o.class_.label("forced_class"),
        o.reason.label("forced_reason"),
        o.expires_at.label("forced_expires_at"),
        func.lower(o.period).label("forced_since"),
        o.proposed_by.label("forced_proposed_by"),
        o.decided_by.label("forced_approved_by"),
    ]


def as_class(row: Mapping[str, Any], evaluation: Evaluation) -> dict[str, Any]:
    """A row of a class and of `override_columns` as people read it."""
    names = ("class", "reason", "expires_at", "since", "proposed_by", "approved_by")
    forced = {name: row[f"forced_{name}"] for name in names}
    pending = {"class": row["pending_class"], "on": row["pending_on"]} if row["pending_class"] else None
    return {
        **row,
        "score": evaluation.read_score(row["scheme"], row["score"]),
        "pending": pending,
        "override": forced if forced["class"] else None,
    }


async def rfm_grid(session: ReadSession, key: str) -> dict[tuple[int, int], int]:
    """How many customers have each pair of recency and frequency scores."""
    k = customer_class.c
    hundred, ten = literal_column("100", Integer), literal_column("10", Integer)
    r, f = k.score // hundred, k.score // ten % ten
    rows = await session.all(
        select(r.label("r"), f.label("f"), func.count().label("customers")).where(k.scheme == key).group_by(r, f)
    )
    return {(row["r"], row["f"]): row["customers"] for row in rows}
