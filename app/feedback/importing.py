"""The import kind `feedback`: a row of a file is a thing that a customer said, known by its reference."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, Text, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from app.core import outbox
from app.core.bounds import Key
from app.core.db import WriteSession
from app.core.events import publish
from app.customers.fact_files import FactFile, FactRow, Refusal, said_by
from app.customers.occurring import TOO_LATE, is_too_late
from app.feedback.events import ComplaintReceived, FeedbackImported, ScoredLow
from app.feedback.facts import WRITE
from app.feedback.models import feedback
from app.feedback.queries import scored_low
from app.feedback.schemas.facts import FeedbackKind, Measure, Score, wrong_score
from app.feedback.schemas.surveys import AnswerText
from app.feedback.staging import feedback_import_row


class _FileRow(FactRow):
    """A row of the file. What a cell may be is what recorded feedback may be."""

    kind: FeedbackKind
    measure: Measure | None = None
    score: Score | None = None
    channel: Key
    topic: Key | None = None
    text: AnswerText | None = None


def _refuse(row: _FileRow, now: datetime) -> Refusal:
    if (wrong := wrong_score(row.kind, row.measure, row.score)) is not None:
        return ("measure" if (row.kind == "answer") == (row.measure is None) else "score"), wrong
    return ("occurred_at", TOO_LATE) if is_too_late(row.occurred_at, now) else None


async def _write(session: WriteSession, rows: Select[Any], written_by: str) -> int:
    """Complaints and low scores are announced one by one, by the statement that keeps them."""
    given, said = rows.subquery("given"), said_by(_FileRow)
    written = (
        insert(feedback)
        .from_select(
            ["customer_id", *said, "written_by"],
            select(given.c.customer_id, *(given.c[name] for name in said), literal(written_by, Text)),
        )
        .on_conflict_do_nothing()
        .returning(feedback)
        .cte("written")
    )
    w = written.c
    where_and_when = {name: w[name] for name in ("channel", "topic", "occurred_at")}
    ids = {"customer_id": w.customer_id, "feedback_id": w.id}
    complained = outbox.storing(
        ComplaintReceived.name, _payload({**ids, **where_and_when}), written, when=w.kind == "complaint"
    )
    low = outbox.storing(
        ScoredLow.name,
        _payload({**ids, "measure": w.measure, "score": w.score, **where_and_when}),
        written,
        when=scored_low(w),
    )
    whose = await session.all(
        select(w.customer_id, func.count())
        .group_by(w.customer_id)
        .order_by(w.customer_id)
        .add_cte(complained.cte("complained"), low.cte("low")),
        {"correlation_id": session.correlation_id},
    )
    if whose:
        await publish(session, FeedbackImported([row[0] for row in whose]))
    return sum(row[1] for row in whose)


def _payload(fields: dict[str, Any]) -> Any:
    return func.jsonb_build_object(*(part for name, value in fields.items() for part in (literal(name, Text), value)))


KIND = FactFile(
    name="feedback",
    row=_FileRow,
    staging=feedback_import_row,
    facts=feedback,
    permission=WRITE,
    refuse=_refuse,
    write=_write,
    numbers={"score": "this is no whole number"},
)
