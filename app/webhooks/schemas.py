"""The contract of events and webhooks: what is asked and what is answered."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from app.core.bounds import Count, Flag, In, Line, Out, Printable

EventPattern = Annotated[
    str,
    StringConstraints(pattern=r"^(\*|[a-z][a-z_]{0,40}(\.[a-z_]{1,40}){0,3}(\.\*)?)$", max_length=200),
    Field(description="the name of an event such as `purchase.recorded`, all of a kind as `segment.*`, or `*`"),
]
EventPatterns = Annotated[list[EventPattern], Field(min_length=1, max_length=50)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True), Printable]
DeliveryStatus = Literal["pending", "delivered", "dead"]


class EventOut(Out):
    """What happened, once: the same id wherever it is told."""

    id: UUID
    type: str = Field(examples=["customer.class_changed"])
    timestamp: datetime = Field(description="when the transaction began that made it true")
    data: dict[str, Any] = Field(description="what the event says; ids, never names or contacts")


class EventFeed(Out):
    """Events, oldest first."""

    items: list[EventOut] = Field(
        description="may be empty though there is more: of others than asked for, a part is passed over"
    )
    next_cursor: str | None = Field(description="where to go on; keep it. null only while nothing ever happened")
    more: bool = Field(description="whether to ask again at once; otherwise in a while, with the same cursor")


_EXAMPLE: JsonDict = {
    "url": "https://hooks.example.com/strata",
    "types": ["customer.class_changed", "segment.*"],
    "description": "the shop's mailing service",
    "active": True,
}


class WebhookIn(In):
    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    url: Url = Field(description="https only; the address must be a public one")
    types: EventPatterns
    description: Line | None = None
    active: Flag = True


class WebhookPatch(In):
    """What is left out stays. `active: true` also resumes a webhook that was paused."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"description": "the mailing service", "active": True}]})

    url: Url | None = None
    types: EventPatterns | None = None
    description: Line | None = None
    active: Flag | None = None


class WebhookOut(Out):
    """Where events go. What is paused or not active keeps its place, and goes on from there."""

    id: UUID
    url: str
    types: list[str]
    description: str | None
    active: bool
    status: Literal["active", "failing", "paused", "inactive"]
    failing_since: datetime | None
    paused_at: datetime | None
    paused_reason: str | None
    previous_secret_until: datetime | None = Field(description="until then the secret before signs, too")
    version: int
    created_at: datetime
    updated_at: datetime


class WebhookIssued(WebhookOut):
    """The only answer with the secret."""

    secret: str = Field(examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"])


class WebhookList(Out):
    items: list[WebhookOut]
    next_cursor: str | None


class DeliveryOut(Out):
    """One event on its way to one webhook."""

    id: UUID
    webhook_id: UUID
    event_id: UUID | None = Field(description="null for a test")
    type: str
    status: DeliveryStatus
    attempts: Count
    due_at: datetime | None = Field(description="the next attempt")
    attempted_at: datetime | None
    response_status: int | None
    error: str | None
    created_at: datetime


class DeliveryList(Out):
    items: list[DeliveryOut]
    next_cursor: str | None


class ReplayedOut(Out):
    """How many deliveries are sent again."""

    replayed: Count
