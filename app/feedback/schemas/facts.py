"""Requests and answers of feedback."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import TypeAliasType

from app.core.bounds import In, Instant, Key, Out, Reference
from app.feedback.rules import SCALES, STARS
from app.feedback.schemas.surveys import AnswerText

FeedbackKind = Literal["answer", "suggestion", "review", "complaint"]
Measure = TypeAliasType("Measure", Literal["csat", "nps", "ces"])
Score = Annotated[int, Field(strict=True, ge=0, le=10)]

EXAMPLE: dict[str, Any] = {
    "reference": "FB-77",
    "kind": "complaint",
    "channel": "phone",
    "topic": "delivery",
    "text": "The second box came open.",
    "occurred_at": "2026-01-02T03:04:05Z",
}


class FeedbackIn(In):
    """What a customer said. An answer has a `measure` and a score on its scale, a review may have 1 to 5 stars."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    reference: Reference | None = Field(default=None, description="by which your own system knows it")
    kind: FeedbackKind
    measure: Measure | None = None
    score: Score | None = Field(default=None, description="csat 1-5, nps 0-10, ces 1-7, stars of a review 1-5")
    channel: Key = Field(description="how it came, in your own words: `phone`, `app_store`")
    topic: Key | None = Field(default=None, description="what it is about, in your own words: `delivery`")
    text: AnswerText | None = None
    occurred_at: Instant

    @model_validator(mode="after")
    def _is_on_a_scale(self) -> "FeedbackIn":
        if (wrong := wrong_score(self.kind, self.measure, self.score)) is not None:
            raise ValueError(wrong)
        return self


def wrong_score(kind: str, measure: str | None, score: int | None) -> str | None:
    """What is wrong with a score of this kind; None if nothing is."""
    if kind == "answer":
        if measure is None or score is None:
            return "an answer has a measure and a score"
        scale = SCALES[measure]
        return None if score in scale else f"{measure} is answered with {scale[0]} to {scale[-1]}"
    if measure is not None:
        return "only an answer has a measure"
    if score is None:
        return None
    if kind != "review":
        return "only an answer and a review have a score"
    return None if score in STARS else "a review has 1 to 5 stars"


class FeedbackOut(Out):
    """What a customer said; of an answer to a survey, `response_id` and `question` say where."""

    id: UUID
    customer_id: UUID
    reference: str | None
    kind: FeedbackKind
    measure: Measure | None
    score: int | None
    channel: str
    topic: str | None
    text: str | None
    choices: list[str] | None
    occurred_at: datetime
    response_id: UUID | None
    question: str | None
    written_at: datetime
    written_by: str


class FeedbackPage(Out):
    """A page of feedback, the latest first."""

    items: list[FeedbackOut]
    next_cursor: str | None
