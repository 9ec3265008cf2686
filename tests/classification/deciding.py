"""What a document decides about rows of metrics, breakpoints given by hand: its expression and nothing else."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Date, DateTime, Numeric, cast, column, func, literal, literal_column, null, select
from sqlalchemy.dialects.postgresql import JSONB

from app.classification.compile import StoredRow, expression
from app.classification.facts import FactSource
from app.classification.metrics import Source
from app.classification.models import customer_metrics
from app.core.db import Database
from app.customers.models import customer

TODAY = date(2020, 6, 30)
NOTHING = {each.name: 0 for each in customer_metrics.columns if "from" in each.info and not each.nullable}


def measured(*, recency: int | None = None, tenure: int | None = None, **metrics: Any) -> dict[str, Any]:
    """A row of stored metrics; ages in days before today."""
    days = {"last_purchase_on": recency, "first_purchase_on": recency if tenure is None else tenure}
    dates = {name: None if age is None else str(TODAY - timedelta(days=age)) for name, age in days.items()}
    return {**NOTHING, **dates, **metrics}


async def decide(
    database: Database, document: Any, rows: Sequence[Mapping[str, Any]], fitted: Mapping[str, Any] | None = None
) -> list[tuple[str | None, int | None]]:
    """For each row, in the order of their customers, the class and the score."""
    given = [{"customer_id": f"00000000-0000-0000-0000-{n:012}", **row} for n, row in enumerate(rows)]
    m = _as_rows(given)
    instant = literal(datetime(2020, 6, 30, 12, tzinfo=UTC), DateTime(timezone=True))
    source = Source(m, literal(TODAY, Date), lambda name: _breakpoint(document, name, fitted or {}))
    row = StoredRow(source, FactSource(m.c.customer_id, customer, instant, "test"))
    decided = expression(document, row)
    score = null() if decided.score is None else decided.score
    statement = (
        select(decided.class_name.label("class"), score.label("score"))
        .select_from(m.outerjoin(customer, customer.c.id == m.c.customer_id))
        .order_by(m.c.customer_id)
    )
    return [(each["class"], each["score"]) for each in await database.reading().all(statement)]


def _as_rows(given: Sequence[Mapping[str, Any]]) -> Any:
    record = func.jsonb_populate_recordset(literal_column("NULL::customer_metrics"), literal(given, JSONB))
    return record.table_valued(*(column(each.name, each.type) for each in customer_metrics.columns)).alias("m")


def _breakpoint(document: Any, name: str, fitted: Mapping[str, Any]) -> Any:
    found = document.read_breakpoint(name, fitted)
    return cast(null(), Numeric) if found is None else literal(Decimal(found), Numeric)
