"""What this package announces. Payloads say what kind of thing happened, never what was said."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field


@dataclass(frozen=True, slots=True)
class InteractionRecorded:
    """One interaction was recorded."""

    name: ClassVar[str] = "interaction.recorded"
    stored: ClassVar[bool] = True

    customer_id: UUID
    interaction_id: UUID
    kind: Annotated[str, Field(examples=["call"])]
    outcome: Annotated[str | None, Field(examples=["reached"])]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class InteractionCorrected:
    """An interaction has a next version, which says something else in these fields."""

    name: ClassVar[str] = "interaction.corrected"
    stored: ClassVar[bool] = True

    customer_id: UUID
    interaction_id: UUID
    version: int
    fields: Annotated[list[str], Field(examples=[["outcome"]])]


@dataclass(frozen=True, slots=True)
class InteractionsRecorded:
    """Many at once, told to handlers only: others hear of each of a batch, and of a file as a whole."""

    name: ClassVar[str] = "interactions.recorded"
    stored: ClassVar[bool] = False

    customer_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class InteractionsForgotten:
    """Interactions of these customers had their time and are gone; told to handlers only."""

    name: ClassVar[str] = "interactions.forgotten"
    stored: ClassVar[bool] = False

    customer_ids: list[UUID]
