"""Predictions as people see them."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.classification.metrics import PREDICTED
from app.classification.models import prediction
from app.core import clock, work
from app.core.db import ReadSession, Record
from app.core.http.paging import Page


async def one_prediction(session: ReadSession, prediction_id: UUID) -> dict[str, Any]:
    """A prediction with its progress. Raises `NotFound`."""
    return _readable(await work.read(session, prediction, prediction_id))


async def page_of_predictions(session: ReadSession, page: Page) -> dict[str, Any]:
    """A page of predictions, the latest first."""
    return await page.latest_first(session, select(prediction), _readable)


def _readable(row: Record) -> dict[str, Any]:
    # Reading everybody and writing everybody are two passes that count as one.
    shown = work.progress(row, row["processed"] // 2, row["total"])
    models = {name: _flat(found) for name, found in (row["parameters"] or {}).items()}
    return {"bg_nbd": None, "gamma_gamma": None, **shown, **models}


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
