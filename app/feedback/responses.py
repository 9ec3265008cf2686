"""Filled-in surveys: every answer becomes a fact about the customer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from unicodedata import category
from uuid import UUID

from sqlalchemy import insert

from app.core import audit, clock
from app.core.db import WriteSession
from app.core.errors import FieldError, Invalid
from app.core.events import publish
from app.core.http.problems import pointer_of
from app.customers.occurring import TOO_LATE, is_too_late
from app.feedback import surveys
from app.feedback.events import SurveyAnswered
from app.feedback.facts import hold, write
from app.feedback.models import survey_response
from app.feedback.rules import MAX_TEXT, SCALES, Fault, faults, is_empty
from app.feedback.schemas.surveys import SurveyDocument, SurveyQuestion, SurveyResponseIn
from app.identity.actor import Actor

SAID: dict[Fault, str] = {
    "missing": "this question needs an answer",
    "unknown": "the survey does not ask this",
    "not_a_score": "this is no score on the question's scale",
    "not_a_choice": "this is not among the question's options",
    "not_a_text": "this question is answered with a text",
    "too_long": f"at most {MAX_TEXT} characters",
}


async def record(session: WriteSession, actor: Actor, survey_id: UUID, body: SurveyResponseIn) -> dict[str, Any]:
    """Record answers that somebody brings, to the version in force.

    Raises `NotFound`, `NothingAsked`, and `Invalid` naming each answer that does not fit.
    """
    number, document = await surveys.asked(session, survey_id)
    now = clock.business_now()
    answered_at = body.answered_at or now
    wrong = [
        FieldError(pointer_of(("body", "answers", key)), SAID[fault])
        for key, fault in faults(document.questions, body.answers)
    ]
    if is_too_late(answered_at, now):
        wrong.append(FieldError("/body/answered_at", TOO_LATE))
    if wrong:
        raise Invalid("Correct the answers named in errors", errors=wrong)
    await hold(session, actor, body.customer_id, pointer="/body/customer_id")
    made = await keep(
        session,
        customer_id=body.customer_id,
        survey_id=survey_id,
        number=number,
        document=document,
        answers=body.answers,
        channel=body.channel,
        answered_at=answered_at,
    )
    after = {"customer_id": body.customer_id, "survey_id": survey_id, "survey_version": number}
    audit.record(session, actor, "survey.answered", "survey_response", made["id"], after=after)
    return made


async def keep(
    session: WriteSession,
    *,
    customer_id: UUID,
    survey_id: UUID,
    number: int,
    document: SurveyDocument,
    answers: Mapping[str, Any],
    channel: str,
    answered_at: datetime,
) -> dict[str, Any]:
    """Keep answers without faults of a customer, who must be held; announce them."""
    values = {
        "customer_id": customer_id,
        "survey_id": survey_id,
        "survey_version": number,
        "channel": channel,
        "answered_at": answered_at,
        "written_by": session.principal,
    }
    response = await session.first(insert(survey_response).values(**values).returning(survey_response))
    assert response is not None
    said = {}
    for question in document.questions:
        if is_empty(answer := answers.get(question.key)):
            continue
        column, value = _column(question, answer)
        measure = question.kind if question.kind in SCALES else None
        about = {"channel": channel, "topic": question.topic or document.topic, "occurred_at": answered_at}
        where = {"response_id": response["id"], "question": question.key}
        await write(session, customer_id, {"kind": "answer", "measure": measure, column: value, **about, **where})
        said[question.key] = value
    measures = sorted({str(question.kind) for question in document.questions if question.key in said} & {*SCALES})
    await publish(
        session, SurveyAnswered(customer_id, response["id"], survey_id, number, channel, answered_at, measures)
    )
    return {**dict(response), "answers": said}


def _column(question: SurveyQuestion, answer: Any) -> tuple[str, Any]:
    """Where an answer is kept, and as what: chosen options as a list, be it of one."""
    if question.kind in SCALES:
        return "score", answer
    if question.kind == "text":
        return "text", answer.strip()
    return "choices", answer if isinstance(answer, list) else [answer]


def read_form(document: SurveyDocument, given: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The answers of a form, by the questions' keys; other fields are none of ours."""
    read: dict[str, Any] = {}
    for question in document.questions:
        values = [text for value in given.get(question.key, ()) if (text := _printable(value))]
        if not values:
            continue
        if question.kind == "choices":
            read[question.key] = values
        elif question.kind in SCALES and values[0].isascii() and values[0].isdecimal() and len(values[0]) <= 2:
            read[question.key] = int(values[0])
        else:
            read[question.key] = values[0]
    return read


def _printable(text: str) -> str:
    """The text as it can be stored: a form cannot be told that a character of it is not accepted."""
    kept = (each for each in text.replace("\r\n", "\n") if each in "\n\t" or category(each) not in ("Cc", "Cs"))
    return "".join(kept).strip()
