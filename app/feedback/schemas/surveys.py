"""Requests and answers of surveys."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from typing_extensions import TypeAliasType

from app.core.bounds import Flag, In, Instant, Key, Line, Out, Printable
from app.feedback.rules import MAX_TEXT

Phrase = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True), Printable]
AnswerText = Annotated[str, StringConstraints(max_length=MAX_TEXT), Printable]
QuestionKind = Literal["csat", "nps", "ces", "choice", "choices", "text"]
SurveyStatus = Literal["open", "closed"]

DOCUMENT: dict[str, Any] = {
    "title": {"en": "How was your order?", "zh": "您对这次订单满意吗？"},
    "topic": "delivery",
    "questions": [
        {
            "key": "satisfaction",
            "kind": "csat",
            "text": {"en": "How satisfied are you with the delivery?", "zh": "您对配送满意吗？"},
        },
        {
            "key": "recommend",
            "kind": "nps",
            "text": {"en": "How likely are you to recommend us?", "zh": "您有多大可能向他人推荐我们？"},
            "required": False,
        },
        {
            "key": "why",
            "kind": "text",
            "text": {"en": "What is the reason for your answer?", "zh": "您这样评分的原因是什么？"},
            "required": False,
        },
    ],
}
ANSWERS: dict[str, Any] = {"satisfaction": 4, "recommend": 9, "why": "It came a day early."}


class Wording(In):
    """A text in the languages of the page; English stands in for Chinese where that is left out."""

    en: Phrase
    zh: Phrase | None = None

    def in_language(self, language: str) -> str:
        return (self.zh if language == "zh" else None) or self.en


class Option(In):
    """One of the answers to choose from."""

    key: Key
    text: Wording


class SurveyQuestion(In):
    """A question. csat is answered with 1 to 5, nps with 0 to 10, ces with 1 to 7 (7: the least effort)."""

    key: Key
    kind: QuestionKind
    text: Wording
    required: Flag = True
    topic: Key | None = Field(default=None, description="of its answers; the survey's if left out")
    options: Annotated[list[Option], Field(max_length=50)] = []

    @property
    def option_keys(self) -> Collection[str]:
        return [option.key for option in self.options]

    @model_validator(mode="after")
    def _has_what_can_be_chosen(self) -> "SurveyQuestion":
        if (self.kind in ("choice", "choices")) != bool(self.options):
            raise ValueError("options are given for the kinds choice and choices, and for no other")
        if repeated := _repeated(self.option_keys):
            raise ValueError(f"two options have the key {repeated}")
        return self


class SurveyDocument(In):
    """What a survey asks."""

    title: Wording
    introduction: Wording | None = None
    thanks: Wording | None = None
    topic: Key | None = Field(default=None, description="what the answers are about: `delivery`")
    questions: Annotated[list[SurveyQuestion], Field(min_length=1, max_length=30)]

    @model_validator(mode="after")
    def _asks_each_once(self) -> "SurveyDocument":
        if repeated := _repeated([question.key for question in self.questions]):
            raise ValueError(f"two questions have the key {repeated}")
        return self


def _repeated(keys: Collection[str]) -> str | None:
    return next((key for key, times in Counter(keys).items() if times > 1), None)


class SurveyIn(In):
    """A survey with its first version, a draft."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "After delivery", "document": DOCUMENT}]})

    name: Line
    document: SurveyDocument


def _left_out(schema: dict[str, Any]) -> None:
    schema["examples"] = [{"name": "After delivery, 2026", "status": "open"}]
    for each in schema["properties"].values():
        each.pop("default", None)


class SurveyPatch(In):
    """What becomes of a survey; a field left out stays as it is. A closed one takes no answers."""

    model_config = ConfigDict(json_schema_extra=_left_out)

    name: Line = "-"
    status: SurveyStatus = "open"


class SurveyVersionIn(In):
    """What a version asks."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"document": DOCUMENT}]})

    document: SurveyDocument


class SurveyOut(Out):
    """A survey. `published_version` is the one that is asked; null before the first is published."""

    id: UUID
    name: str
    status: SurveyStatus
    published_version: int | None
    version: int
    created_at: datetime
    updated_at: datetime


class SurveyPage(Out):
    """A page of surveys, the latest first."""

    items: list[SurveyOut]
    next_cursor: str | None


class WordingOut(Out):
    """A text in the languages of the page."""

    en: str
    zh: str | None


class OptionOut(Out):
    """One of the answers to choose from."""

    key: str
    text: WordingOut


class SurveyQuestionOut(Out):
    """A question."""

    key: str
    kind: QuestionKind
    text: WordingOut
    required: bool
    topic: str | None
    options: list[OptionOut]


class SurveyDocumentOut(Out):
    """What a survey asks."""

    title: WordingOut
    introduction: WordingOut | None
    thanks: WordingOut | None
    topic: str | None
    questions: list[SurveyQuestionOut]


class SurveyVersionOut(Out):
    """A version: a draft can be changed, a published one never again."""

    survey_id: UUID
    number: int
    status: Literal["draft", "published"]
    document: SurveyDocumentOut
    revision: int
    created_at: datetime
    created_by: str
    published_at: datetime | None


class SurveyVersionPage(Out):
    """A page of versions, the latest first."""

    items: list[SurveyVersionOut]
    next_cursor: str | None


Answer = Annotated[int, Field(strict=True, ge=0, le=10)] | AnswerText | Annotated[list[Key], Field(max_length=50)]
ChosenOptions = TypeAliasType("ChosenOptions", list[str])
GivenAnswer = TypeAliasType("GivenAnswer", int | str | ChosenOptions)


class SurveyResponseIn(In):
    """A customer's answers, by the keys of the questions: a score, an option's key, a list of them, or a text."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer_id": "01920000-0000-7000-8000-000000000001",
                    "channel": "phone",
                    "answered_at": "2026-01-02T03:04:05Z",
                    "answers": ANSWERS,
                }
            ]
        }
    )

    customer_id: UUID
    channel: Key = Field(description="how the answers came: `phone`, `shop`")
    answered_at: Instant | None = Field(default=None, description="now, if left out")
    answers: Annotated[dict[Key, Answer], Field(max_length=30)]


class SurveyResponseOut(Out):
    """A filled-in survey. Options that were chosen are a list, be it of one."""

    id: UUID
    customer_id: UUID
    survey_id: UUID
    survey_version: int
    channel: str
    answered_at: datetime
    answers: dict[str, GivenAnswer]
    written_at: datetime
    written_by: str


class SurveyResponsePage(Out):
    """A page of filled-in surveys, the latest first."""

    items: list[SurveyResponseOut]
    next_cursor: str | None
