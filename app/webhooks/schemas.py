"""The contract of events: what is asked and what is answered."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints

from app.core.bounds import Out

EventPattern = Annotated[
    str,
    StringConstraints(pattern=r"^(\*|[a-z][a-z_]{0,40}(\.[a-z_]{1,40}){0,3}(\.\*)?)$", max_length=200),
    Field(description="the name of an event such as `purchase.recorded`, all of a kind as `segment.*`, or `*`"),
]


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
