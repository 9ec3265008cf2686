"""Requests and answers of self-service. Whoever asks is the customer: nothing is masked, nothing internal shown."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from app.classification.schemas.classes import PendingOut
from app.classification.schemas.explanations import NextClassOut
from app.core.bounds import In, Key, Line, Out
from app.customers.schemas import Birthday, Channel, ConsentStatus, Email, IdentityOut, Kind, Phone, Region
from app.customers.schemas import Language as LanguageTag
from app.feedback.schemas.surveys import ANSWERS, Answer, AnswerText, GivenAnswer, SurveyDocumentOut, WordingOut
from app.identity.schemas import Username

Days = Annotated[int, Field(strict=True, ge=1, le=90, description="for which the invitation works")]

Sent = Annotated[
    Literal["email"] | None,
    Field(description="has the invitation sent to the customer's e-mail address, instead of shown in the answer"),
]


class AccountIn(In):
    """An account of its own with an invitation to it, or, by `user_id`, one that somebody has already."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"days": 14}]})

    username: Username | None = Field(default=None, description="made up, if left out")
    user_id: UUID | None = Field(default=None, description="a user with the role customer, such as one of your issuer")
    days: Days = 14
    send: Sent = None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> "AccountIn":
        if self.username is not None and self.user_id is not None:
            raise ValueError("give a username for a new account, or the user_id of one that is there")
        if self.send is not None and self.user_id is not None:
            raise ValueError("who has an account already gets no invitation: leave send out")
        return self


class AccountInvitationIn(In):
    """Another invitation."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"days": 14}]})

    days: Days = 14
    send: Sent = None


class AccountOut(Out):
    """A customer's account."""

    customer_id: UUID
    user_id: UUID
    username: str
    active: bool
    linked_at: datetime
    linked_by: str


class AccountInvited(AccountOut):
    """The only answer that shows the invitation; with it, `POST /v1/auth/invitations` sets the password, once."""

    invitation: str | None = Field(description="null where it is sent by e-mail, and for a user who logs in already")
    expires_at: datetime | None


class ShownSchemeOut(Out):
    """A scheme whose classes customers see of themselves."""

    scheme: str
    shown_since: datetime
    shown_by: str


class ShownSchemeList(Out):
    """All of them."""

    items: list[ShownSchemeOut]
    next_cursor: None = None


def _left_out(schema: dict[str, Any]) -> None:
    schema["examples"] = [{"name": "Mei Chen", "language": "zh", "email": "mei.chen@example.com"}]
    for each in schema["properties"].values():
        each.pop("default", None)


class MyProfilePatch(In):
    """The fields to change; one left out stays as it is. Another e-mail address or phone number waits for its code."""

    model_config = ConfigDict(json_schema_extra=_left_out)

    name: Line = ""
    title: Line | None = None
    birthday: Birthday | None = None
    region: Region | None = None
    language: LanguageTag | None = None
    email: Email = ""
    phone: Phone = ""


class MyChangeOut(Out):
    """What waits for its code, and until when."""

    field: Literal["email", "phone"]
    value: str
    expires_at: datetime


class MyConfirmationIn(In):
    """The code that was sent to the new address or number."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"field": "email", "code": "01234567"}]})

    field: Literal["email", "phone"]
    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{8}$")]


class ProfileChangeOut(MyChangeOut):
    """What to send where: the code, to the new address or number, in the customer's language."""

    customer_id: UUID
    id: UUID
    code: str
    language: str | None


class MyProfileOut(Out):
    """What is on record of oneself."""

    id: UUID
    kind: Kind
    name: str
    title: str | None
    birthday: date | None
    region: str | None
    language: str | None
    phone: str | None
    email: str | None
    identities: list[IdentityOut]
    waiting: list[MyChangeOut]
    version: int
    created_at: datetime
    updated_at: datetime


class MyClassOut(Out):
    """The class that one is in and what is missing to the next ones; `class` is null while there is none.

    `next` leads upwards only; it is empty at the top, and while the scheme cannot be evaluated.
    """

    model_config = ConfigDict(populate_by_name=True)

    scheme: str
    title: str
    name: str | None = Field(alias="class")
    since: datetime | None
    pending: PendingOut | None
    sentence: str | None
    next: list[NextClassOut]


class MyClassList(Out):
    """Of every scheme that customers get to see."""

    items: list[MyClassOut]
    next_cursor: None = None


class MySurveyOut(Out):
    """A survey to which one is invited; it is answered here or, without logging in, under `url`, once."""

    id: UUID = Field(description="of the invitation")
    survey_id: UUID
    title: WordingOut
    expires_at: datetime
    created_at: datetime
    url: str


class MySurveyPage(Out):
    """A page of open invitations, the latest first."""

    items: list[MySurveyOut]
    next_cursor: str | None


class MySurveyAskedOut(MySurveyOut):
    """What the survey asks."""

    document: SurveyDocumentOut


class MyAnswersIn(In):
    """Answers by the keys of the questions: a score, an option's key, a list of them, or a text."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"answers": ANSWERS}]})

    answers: Annotated[dict[Key, Answer], Field(max_length=30)]


class MyAnswersOut(Out):
    """A survey, filled in. Options that were chosen are a list, be it of one."""

    id: UUID
    survey_id: UUID
    answered_at: datetime
    answers: dict[str, GivenAnswer]


_FEEDBACK: dict[str, Any] = {"kind": "complaint", "topic": "delivery", "text": "The second box came open."}


class MyFeedbackIn(In):
    """A suggestion or a complaint."""

    model_config = ConfigDict(json_schema_extra={"examples": [_FEEDBACK]})

    kind: Literal["suggestion", "complaint"]
    topic: Key | None = Field(default=None, description="what it is about: `delivery`")
    text: Annotated[AnswerText, Field(min_length=1)]


class MyFeedbackOut(Out):
    """What one said."""

    id: UUID
    kind: Literal["suggestion", "complaint"]
    topic: str | None
    text: str | None
    occurred_at: datetime


class MyFeedbackPage(Out):
    """A page of what one said here, the latest first."""

    items: list[MyFeedbackOut]
    next_cursor: str | None


class MyConsentIn(In):
    """That one agrees to be reached by a channel for a purpose, or does not want it any more."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"channel": "email", "purpose": "marketing", "status": "withdrawn"}]}
    )

    channel: Channel
    purpose: Annotated[Key, Field(description="such as marketing, service or research")]
    status: ConsentStatus


class MyConsentOut(Out):
    """What one said of a channel and a purpose, when, and how it is known."""

    id: UUID
    channel: Channel
    purpose: str
    status: ConsentStatus
    source: str
    at: datetime


class MyConsentsOut(Out):
    """What stands: the latest of each channel and purpose. Where nothing stands, nothing was agreed to."""

    items: list[MyConsentOut]
    next_cursor: None = None


class MyConsentPage(Out):
    """A page of what one ever said."""

    items: list[MyConsentOut]
    next_cursor: str | None
