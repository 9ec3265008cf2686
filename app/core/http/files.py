"""Answers that are files."""

from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse


class CsvResponse(StreamingResponse):
    """A file of rows, sent while it is read."""

    media_type = "text/csv"


def csv_file(name: str, rows: AsyncIterator[str]) -> CsvResponse:
    """Rows to be kept under this name."""
    return CsvResponse(rows, headers={"content-disposition": f'attachment; filename="{name}.csv"'})


class NdjsonResponse(StreamingResponse):
    """A file of one JSON object a line, sent while it is read."""

    media_type = "application/x-ndjson"


def ndjson_file(name: str, rows: AsyncIterator[str]) -> NdjsonResponse:
    """Lines to be kept under this name."""
    return NdjsonResponse(rows, headers={"content-disposition": f'attachment; filename="{name}.ndjson"'})


class ZipResponse(StreamingResponse):
    """Several files in one, sent piece by piece."""

    media_type = "application/zip"


def zip_file(name: str, content: AsyncIterator[bytes]) -> ZipResponse:
    """An archive to be kept under this name."""
    return ZipResponse(content, headers={"content-disposition": f'attachment; filename="{name}.zip"'})
