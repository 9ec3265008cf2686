"""Requests and answers of interactions."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator
from typing_extensions import TypeAliasType

from app.core.bounds import EARLIEST, Count, Day, In, Instant, Key, Line, Out, Printable, Reference
from app.customers.fact_batches import MAX_ROWS, BatchRow

InteractionKind = Literal["call", "email", "meeting", "chat", "visit", "web_event"]
InteractionDirection = TypeAliasType("InteractionDirection", Literal["inbound", "outbound"])
InteractionMatter = TypeAliasType("InteractionMatter", Literal["product", "service", "other"])
Minutes = Annotated[str, StringConstraints(min_length=1, max_length=10_000, strip_whitespace=True), Printable]
MediaType = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}$")]
Location = Annotated[str, StringConstraints(min_length=1, max_length=1000, strip_whitespace=True), Printable]
Duration = Annotated[int, Field(strict=True, ge=0, le=7 * 24 * 3600)]
Size = Annotated[int, Field(strict=True, ge=0, le=10**15, json_schema_extra={"format": "int64"})]
StaffIds = Annotated[list[UUID], Field(max_length=50), AfterValidator(lambda ids: list(dict.fromkeys(ids)))]

_EXAMPLE: dict[str, Any] = {
    "reference": "CALL-77",
    "kind": "call",
    "direction": "outbound",
    "outcome": "interested",
    "occurred_at": "2026-01-02T03:04:05Z",
    "duration_seconds": 420,
    "subject": "Spring teas",
    "minutes": "Wants samples of two spring teas before ordering.",
    "matter": "product",
    "staff_ids": [],
    "contacts": [{"name": "Purchasing desk", "role": "buyer"}],
    "next_step": {"what": "Send the samples", "due_on": "2026-01-09"},
    "attachments": [
        {"file_name": "price-list.pdf", "media_type": "application/pdf", "size": 48213, "location": "files/price-list"}
    ],
}


class Participant(In):
    """Somebody on the customer's side who took part: a contact by `contact_id`, anybody else by `name`."""

    contact_id: UUID | None = Field(default=None, description="of a contact of this customer, whose name is shown")
    name: Line | None = Field(default=None, description="of who is no contact")
    role: Line | None = Field(default=None, description="null for that of the contact")

    @model_validator(mode="after")
    def _is_somebody(self) -> "Participant":
        if self.name is None and self.contact_id is None:
            raise ValueError("give a name, or say by contact_id which contact it is")
        return self


class NextStep(In):
    """What is to be done next, and by when."""

    what: Line
    due_on: Day | None = None


class Attachment(In):
    """A file that belongs to it. The file itself is kept elsewhere: `location` says where."""

    file_name: Line
    media_type: MediaType | None = None
    size: Size | None = Field(default=None, description="bytes")
    location: Location | None = None


Participants = Annotated[list[Participant], Field(max_length=50)]
Attachments = Annotated[list[Attachment], Field(max_length=50)]


class InteractionIn(In):
    """One interaction with a customer."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    reference: Reference | None = Field(default=None, description="by which your own system knows it")
    kind: InteractionKind
    direction: InteractionDirection | None = None
    outcome: Key | None = Field(default=None, description="what came of it, in your own words: `no_answer`")
    occurred_at: Instant
    duration_seconds: Duration | None = None
    subject: Line | None = None
    minutes: Minutes | None = Field(default=None, description="what was said or written")
    matter: InteractionMatter | None = None
    # Made anew: a list that stood here would be copied with every row of a batch, which takes as long as reading it.
    staff_ids: StaffIds = Field(default_factory=list, json_schema_extra={"default": []})
    contacts: Participants = Field(default_factory=list, json_schema_extra={"default": []})
    next_step: NextStep | None = None
    attachments: Attachments = Field(default_factory=list, json_schema_extra={"default": []})


def _left_out(schema: dict[str, Any]) -> None:
    """A field that is left out has no value at all: a client must not send what stands here only for the types."""
    schema["examples"] = [{"outcome": "order_placed", "reason": "ordered on the same call"}]
    for each in schema["properties"].values():
        each.pop("default", None)


class InteractionPatch(In):
    """What the next version says otherwise; a field left out stays as it is, null empties it."""

    model_config = ConfigDict(json_schema_extra=_left_out)

    kind: InteractionKind = "call"
    direction: InteractionDirection | None = None
    outcome: Key | None = None
    occurred_at: Instant = EARLIEST
    duration_seconds: Duration | None = None
    subject: Line | None = None
    minutes: Minutes | None = None
    matter: InteractionMatter | None = None
    staff_ids: StaffIds = []
    contacts: Participants = []
    next_step: NextStep | None = None
    attachments: Attachments = []
    reason: Line | None = Field(default=None, description="why it is corrected")


class InteractionRow(BatchRow, InteractionIn):
    """An interaction of a batch."""


class InteractionBatchIn(In):
    """Up to 1,000 rows. Each is read by itself, so that one that is wrong does not keep the others out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"interactions": [{**_EXAMPLE, "identity": {"kind": "external", "value": "C-1001"}}]}]
        }
    )

    interactions: Annotated[
        list[Annotated[dict[str, Any], Field(max_length=40)]],
        Field(
            min_length=1,
            max_length=MAX_ROWS,
            description="each as an interaction is recorded, with `customer_id` or `identity` (`kind`, `value`)",
        ),
    ]


class ParticipantOut(Out):
    """Somebody on the customer's side who took part.

    A contact is shown by the name it goes by where you may see that, else by the one it had then, if that was kept.
    """

    contact_id: UUID | None = None
    name: str | None
    role: str | None


class NextStepOut(Out):
    """What is to be done next, and by when."""

    what: str
    due_on: date | None


class AttachmentOut(Out):
    """A file that belongs to it."""

    file_name: str
    media_type: str | None
    size: Count | None
    location: str | None


class InteractionOut(Out):
    """A version of an interaction; `written_by` recorded or corrected it."""

    id: UUID
    customer_id: UUID
    version: int
    reference: str | None
    kind: InteractionKind
    direction: InteractionDirection | None
    outcome: str | None
    occurred_at: datetime
    duration_seconds: int | None
    subject: str | None
    minutes: str | None
    matter: InteractionMatter | None
    staff_ids: list[UUID]
    contacts: list[ParticipantOut]
    next_step: NextStepOut | None
    attachments: list[AttachmentOut]
    written_at: datetime
    written_by: str
    reason: str | None


class InteractionPage(Out):
    """A page of interactions, the latest first."""

    items: list[InteractionOut]
    next_cursor: str | None
