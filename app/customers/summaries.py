"""How a package of facts sums a customer up, so that classification can measure it without knowing its tables."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

Who = Callable[[ColumnElement[Any]], ColumnElement[bool]]
"""Tells the customers meant by their id."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What one package's facts come to, in the columns of `customer_metrics` that are marked as from `name`.

    `facts` and `windowed_facts` are SELECTs of `customer_id` and `occurred_at`: of every fact, and of those that the
    column `windowed` counts while they are within `window`. `window_first_at` is the column of the earliest of these.
    `totals(as_of, window_from, who)` gives a row with these columns for each customer who has a fact up to `as_of`.
    An index by (customer_id, occurred_at) finds the facts: each purchase looks whether one has begun to count.
    """

    name: str
    window: timedelta
    windowed: str
    window_first_at: str
    facts: Select[Any]
    windowed_facts: Select[Any]
    totals: Callable[[ColumnElement[Any], ColumnElement[Any], Who], Select[Any]]

    def first_after(self, customer_id: ColumnElement[Any], after: ColumnElement[Any]) -> ColumnElement[Any]:
        """When the customer's first fact after an instant occurred; NULL without one."""
        their_id, occurred_at = self.facts.selected_columns
        found = select(func.min(occurred_at)).where(their_id == customer_id, occurred_at > after)
        return found.correlate_except(their_id.table).scalar_subquery()
