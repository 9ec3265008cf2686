"""The summaries of facts that are kept beside what purchases come to; a package adds its own here.

Its columns stand in `customer_metrics`, marked as from it; a count is never null, and zero for whoever has no fact.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Subquery, cast, func, literal

from app.classification.models import customer_metrics
from app.customers.summaries import Summary, Who
from app.feedback.summary import SUMMARY as FEEDBACK
from app.interactions.summary import SUMMARY as INTERACTIONS

SUMMARIES: Sequence[Summary] = (INTERACTIONS, FEEDBACK)


def columns_of(summary: Summary) -> list[Column[Any]]:
    """The columns in which it is kept."""
    return [column for column in customer_metrics.columns if column.info.get("from") == summary.name]


def measured_columns() -> list[str]:
    """The names of all columns that summaries keep."""
    return [column.name for each in SUMMARIES for column in columns_of(each)]


def totals_of(summary: Summary, as_of: ColumnElement[Any], who: Who) -> Subquery:
    """What the summary comes to as of an instant, for those of these customers who have any of its facts."""
    return summary.totals(as_of, as_of - literal(summary.window), who).subquery(f"{summary.name}_totals")


def read(column: Column[Any], totals: FromClause) -> ColumnElement[Any]:
    """A column's value by these totals, also of whoever is not among them."""
    found = totals.c[column.name]
    return cast(found if column.nullable else func.coalesce(found, 0), column.type).label(column.name)


def first_after(customer_id: ColumnElement[Any], after: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """When each summary's next fact after an instant occurs."""
    return [each.first_after(customer_id, after) for each in SUMMARIES]
