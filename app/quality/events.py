"""What this package announces. A statement writes it to the outbox itself, for however many owners."""

from dataclasses import dataclass
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field


@dataclass(frozen=True, slots=True)
class Reminder:
    """Once a week: how many of an owner's customers need attention, and of which finding how many."""

    name: ClassVar[str] = "data_quality.reminder"
    stored: ClassVar[bool] = True

    owner_id: UUID
    customers: Annotated[int, Field(examples=[12])]
    findings: Annotated[dict[str, int], Field(examples=[{"missing_contact": 9, "stale": 4}])]
