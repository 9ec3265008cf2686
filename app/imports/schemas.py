"""Requests and answers of imports."""

from pydantic import Field

from app.core.bounds import Count, Out
from app.core.work import WorkOut


class ImportOut(WorkOut):
    """An import and how far it is. The file's rows are read first (`rows_read`), then merged (`processed`)."""

    kind: str
    file_name: str | None
    dry_run: bool
    rows_read: Count
    processed: Count = Field(description="accepted, rejected and skipped rows together")
    accepted: Count
    rejected: Count
    skipped: Count
    total: Count | None = Field(description="rows of the file; an estimate while it is being read")
    customers_created: Count
    changed: Count = Field(description="records that were made or altered")


class ImportPage(Out):
    """A page of imports, the newest first."""

    items: list[ImportOut]
    next_cursor: str | None


class ImportErrorOut(Out):
    """A row that was not taken."""

    line: Count = Field(description="line of the file on which the row begins; the first is 1")
    field: str | None = Field(description="our column that is wrong; null when the whole row is")
    reason: str


class ImportErrorPage(Out):
    """A page of bad rows, in the file's order."""

    items: list[ImportErrorOut]
    next_cursor: str | None
