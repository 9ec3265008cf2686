"""Answers that are files."""

from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse


class CsvResponse(StreamingResponse):
    """A file of rows, sent while it is read."""

    media_type = "text/csv"


def csv_file(name: str, rows: AsyncIterator[str]) -> CsvResponse:
    """Rows to be kept under this name."""
    return CsvResponse(rows, headers={"content-disposition": f'attachment; filename="{name}.csv"'})
