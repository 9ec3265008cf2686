"""What schemes read besides metrics, as SQL: fields and tags of the record, classes, events, memberships."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, false, func, literal, select

from app.classification.definitions import Fact
from app.classification.models import customer_class, segment_member
from app.core.predicates import HasEvents
from app.customers import fields
from app.purchases import counting
from app.purchases.models import purchase


@dataclass(frozen=True, slots=True)
class FactSource:
    """The customer's id and record, and the instant up to which events count. `scheme` is who asks, for memberships.

    `until`: what happened later is not known, though windows end at `as_of`.
    """

    customer_id: ColumnElement[Any]
    record: FromClause
    as_of: ColumnElement[Any]
    scheme: str = ""
    until: ColumnElement[Any] | None = None

    def column(self, fact: Fact, pointer: str = "") -> ColumnElement[Any]:
        """The fact's value. Raises `Invalid` for a field or an event that does not exist."""
        match fact.kind:
            case "field":
                return fields.field(fact.name, self.record, pointer)
            case "tag":
                # Whoever has no record any more carries no tag.
                return func.coalesce(fields.has_tag(fact.name, self.record), false())
            case "class":
                return self._class_in(fact.name)
            case "member":
                return self._is_member()
            case "events":
                return self._events(fact.events, pointer)

    def leaves_on(self, leaf: HasEvents) -> ColumnElement[Any]:
        """When the earliest event that counts now stops counting; NULL while none does."""
        first = counting.earliest_event(leaf, self.customer_id, self._within(leaf))
        return first + literal(timedelta(days=leaf.within_days or 0))

    def _class_in(self, scheme: str) -> ColumnElement[Any]:
        k = customer_class.alias(f"used_{scheme}")
        found = select(k.c.class_).where(k.c.customer_id == self.customer_id, k.c.scheme == scheme)
        return found.scalar_subquery()

    def _is_member(self) -> ColumnElement[Any]:
        m = segment_member.c
        return (select(m.customer_id).where(m.customer_id == self.customer_id, m.scheme == self.scheme)).exists()

    def _events(self, leaf: HasEvents, pointer: str) -> ColumnElement[Any]:
        return counting.count_events(leaf, self.customer_id, self._within(leaf), pointer)

    def _within(self, leaf: HasEvents) -> ColumnElement[bool]:
        until = purchase.c.occurred_at <= (self.as_of if self.until is None else self.until)
        if leaf.within_days is None:
            return until
        return and_(until, purchase.c.occurred_at > self.as_of - literal(timedelta(days=leaf.within_days)))
