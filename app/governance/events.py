"""What this package announces. Payloads carry ids, never names or what was written about somebody."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field


@dataclass(frozen=True, slots=True)
class DataRequestReceived:
    """A person asked for its data, or to be forgotten."""

    name: ClassVar[str] = "data_request.received"
    stored: ClassVar[bool] = True

    customer_id: UUID
    data_request_id: UUID
    kind: Annotated[str, Field(examples=["erasure"])]
    due_on: date


@dataclass(frozen=True, slots=True)
class DataRequestDecided:
    """It was completed, rejected or cancelled."""

    name: ClassVar[str] = "data_request.decided"
    stored: ClassVar[bool] = True

    customer_id: UUID
    data_request_id: UUID
    kind: Annotated[str, Field(examples=["erasure"])]
    status: Annotated[str, Field(examples=["completed"])]
