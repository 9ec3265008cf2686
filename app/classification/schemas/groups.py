"""Groups: customers whom people put together by hand."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field

from app.classification.schemas.schemes import Note, SchemeKey, SchemePatch
from app.core.bounds import Count, In, Line, Out


class GroupIn(In):
    """A group, with its first members if there are any. The key names it for ever, also after it was deleted."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "key": "advisory_board",
                    "title": "Advisory board",
                    "description": "Invited each spring",
                    "members": [],
                }
            ]
        }
    )

    key: SchemeKey
    title: Line
    description: Note | None = None
    members: Annotated[list[UUID], Field(max_length=500)] = []


class GroupPatch(SchemePatch):
    """What a group is called and what it is for; a field left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"title": "Board", "description": "Invited each year"}]})


class GroupOut(Out):
    """A group. `customers` counts the members you may see; a list counts them when asked, with `include=customers`."""

    key: str
    title: str
    description: str | None
    customers: Count | None
    created_at: datetime
    updated_at: datetime


class GroupPage(Out):
    """A page of groups, by key."""

    items: list[GroupOut]
    next_cursor: str | None
