"""Versions of a scheme: drafts, what is in force, what was."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from app.classification.schemas.recalculations import PublicationMovement
from app.classification.schemas.schemes import DOCUMENT, Note, SchemeDocument
from app.core.bounds import Count, Flag, In, Out


class VersionIn(In):
    """What a draft says, and what it changes in its author's words."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"document": DOCUMENT, "note": "large begins at ten thousand"}]}
    )

    document: SchemeDocument
    note: Note | None = None


class PublishIn(In):
    """Put a version in force: with breakpoints computed for it, or with the newest that it had (for a rollback)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"refit": True}]})

    refit: Flag = True
    movement: PublicationMovement | None = Field(
        default=None,
        description="`as_documented`: with the grace, periods and minimum stay of its document; `at_once`: without. "
        "Default: at once for a return to an earlier version, which undoes what was given since, else as documented",
    )


class VersionSummary(Out):
    """A version of a scheme, without its document."""

    scheme: str
    version: Count
    status: Literal["draft", "published", "retired"]
    note: str | None
    created_by: str
    created_at: datetime
    published_by: str | None
    published_at: datetime | None
    retired_at: datetime | None


class VersionOut(VersionSummary):
    """A version of a scheme."""

    document: SchemeDocument | None = Field(description="null when it is not valid any more: see error")
    error: str | None


class VersionPage(Out):
    """A page of versions, the latest first."""

    items: list[VersionSummary]
    next_cursor: str | None
