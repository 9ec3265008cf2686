"""What this package announces. Payloads say what kind of thing was said, never its words."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field


@dataclass(frozen=True, slots=True)
class FeedbackReceived:
    """A customer said something: an answer, a suggestion, a review or a complaint.

    An answer to a survey names the filled-in one; `survey.answered` follows when all its answers are told.
    """

    name: ClassVar[str] = "feedback.received"
    stored: ClassVar[bool] = True

    customer_id: UUID
    feedback_id: UUID
    kind: Annotated[str, Field(examples=["answer"])]
    measure: Annotated[str | None, Field(examples=["nps"])]
    score: Annotated[int | None, Field(examples=[9])]
    channel: Annotated[str, Field(examples=["phone"])]
    topic: Annotated[str | None, Field(examples=["delivery"])]
    occurred_at: datetime
    response_id: UUID | None


@dataclass(frozen=True, slots=True)
class ComplaintReceived:
    """A customer complained."""

    name: ClassVar[str] = "complaint.received"
    stored: ClassVar[bool] = True

    customer_id: UUID
    feedback_id: UUID
    channel: Annotated[str, Field(examples=["phone"])]
    topic: Annotated[str | None, Field(examples=["delivery"])]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class ScoredLow:
    """A customer gave a low score; `measure` is csat, nps, ces or, of a review's stars, null."""

    name: ClassVar[str] = "feedback.scored_low"
    stored: ClassVar[bool] = True

    customer_id: UUID
    feedback_id: UUID
    measure: Annotated[str | None, Field(examples=["csat"])]
    score: Annotated[int, Field(examples=[1])]
    channel: Annotated[str, Field(examples=["phone"])]
    topic: Annotated[str | None, Field(examples=["delivery"])]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class FeedbackImported:
    """Much at once, of these customers; the outbox holds an event of its own for each complaint and low score."""

    name: ClassVar[str] = "feedback.imported"
    stored: ClassVar[bool] = False

    customer_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class FeedbackForgotten:
    """Feedback of these customers had its time and is gone; told to handlers only."""

    name: ClassVar[str] = "feedback.forgotten"
    stored: ClassVar[bool] = False

    customer_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class SurveyPublished:
    """From now on this version of the survey is asked."""

    name: ClassVar[str] = "survey.published"
    stored: ClassVar[bool] = True

    survey_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class SurveyAnswered:
    """A customer filled in a survey; each answer was announced as feedback, too. `measures` are those of its scores."""

    name: ClassVar[str] = "survey.answered"
    stored: ClassVar[bool] = True

    customer_id: UUID
    response_id: UUID
    survey_id: UUID
    version: int
    channel: Annotated[str, Field(examples=["link"])]
    answered_at: datetime
    measures: Annotated[list[str], Field(examples=[["csat", "nps"]])]
