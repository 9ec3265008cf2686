"""Recalculations as long work."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypeAliasType

from app.core.bounds import Count, Day, Flag, In, Instant, Key, Out
from app.core.work import WorkOut

AsOf = TypeAliasType("AsOf", Instant | Day)
PublicationMovement = TypeAliasType("PublicationMovement", Literal["at_once", "as_documented"])


class RecalculationIn(In):
    """Recalculate everybody: which schemes (all when empty), as of when, and whether to fit new breakpoints."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"schemes": ["abc", "rfm"], "as_of": "2026-01-31", "refit": True}]}
    )

    schemes: Annotated[list[Key], Field(max_length=100)] = []
    as_of: AsOf | None = Field(default=None, description="an instant, or a day: its end. The moment it runs if null")
    refit: Flag = False


class RecalculationOut(WorkOut):
    """Long work: a recalculation and how far it is."""

    phase: Literal["metrics", "fit", "classes"]
    scope: Literal["all", "dirty"]
    schemes: list[str]
    as_of: datetime | None
    refit: bool
    publishes: int | None = Field(description="the version of its scheme that it puts in force")
    movement: PublicationMovement | None = Field(description="how its publication moves classes")
    cause: str
    changed: Count


class RecalculationPage(Out):
    """A page of recalculations, the latest first."""

    items: list[RecalculationOut]
    next_cursor: str | None
