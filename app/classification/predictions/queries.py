"""Predictions as people see them."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.classification.metrics import PREDICTED
from app.classification.models import prediction
from app.classification.queries import expected_end
from app.core import clock
from app.core.db import ReadSession, Record
from app.core.errors import NotFound
from app.core.http.paging import Page


async def one_prediction(session: ReadSession, prediction_id: UUID) -> dict[str, Any]:
    """A prediction with its progress. Raises `NotFound`."""
    row = await session.first(select(prediction).where(prediction.c.id == prediction_id))
    if row is None:
        raise NotFound("There is no such prediction")
    return _readable(row)


async def page_of_predictions(session: ReadSession, page: Page) -> dict[str, Any]:
    """A page of predictions, the latest first."""
    p = prediction.c
    statement = select(prediction).order_by(p.id.desc()).limit(page.limit + 1)
    if (after := page.after()) is not None:
        statement = statement.where(p.id < UUID(after[0]))
    rows = await session.all(statement)
    shown = rows[: page.limit]
    last = [shown[-1]["id"]] if shown else []
    return {"items": [_readable(row) for row in shown], "next_cursor": page.next_cursor(rows, last)}


def _readable(row: Record) -> dict[str, Any]:
    """The row in the shape of long work: reading everybody and writing everybody are two passes that count as one."""
    total, processed = row["total"], row["processed"] // 2
    if row["status"] == "completed":
        processed = total
    models = {name: _flat(found) for name, found in (row["parameters"] or {}).items()}
    return {
        "bg_nbd": None,
        "gamma_gamma": None,
        **row,
        **models,
        "processed": processed,
        "eta": expected_end(row, processed, total),
    }


def _flat(found: dict[str, Any] | None) -> dict[str, Any] | None:
    return found and {**found["parameters"], "log_likelihood": found["log_likelihood"], "reason": found["reason"]}


async def why_absent(session: ReadSession) -> dict[str, str]:
    """For each predicted metric, why a customer may have none: as the last prediction that was completed left it."""
    p = prediction.c
    last = await session.first(
        select(p.as_of, p.estimable, p.reason).where(p.status == "completed").order_by(p.finished_at.desc()).limit(1)
    )
    if last is None:
        return dict.fromkeys(PREDICTED, "nothing has been predicted yet")
    if not last["estimable"]:
        return dict.fromkeys(PREDICTED, f"not estimable: {last['reason']}")
    day = clock.business_day(last["as_of"])
    notes = dict.fromkeys(PREDICTED, f"no purchase before the last prediction, as of {day}")
    if last["reason"] is not None:
        notes["predicted_value_365d"] = f"not estimable: {last['reason']}"
    return notes
