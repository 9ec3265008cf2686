"""What a file is, told from its first block: compressed or not, CSV or NDJSON, which columns it has."""

import codecs
import csv
import io
import json
import zlib
from dataclasses import dataclass
from typing import Any

from app.core.bounds import printable

PIECE = 1024 * 1024  # bytes; also the longest line
MAX_LINE = PIECE
MAX_FIELD = 10_000
MAX_COLUMNS = 200
HEAD = 256 * 1024
GZIP = b"\x1f\x8b"
_NDJSON_NAMES = (".ndjson", ".jsonl")

# A limit of the whole process; nothing here reads longer fields.
csv.field_size_limit(MAX_FIELD)

# Numbers keep their digits as written; NaN and Infinity are no JSON.
_decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda name: f"{name}")


class FileError(Exception):
    """The file is not what it says, or cannot be read on; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Format:
    """How the bytes become rows."""

    format: str
    delimiter: str
    gzipped: bool
    header: list[str]


def recognise(first: bytes, *, file_name: str, content_type: str) -> Format:
    """Read the first block of a file. Raises `FileError` when it is not what it says."""
    name = file_name.lower()
    if not first:
        raise FileError("The file is empty")
    gzipped = first.startswith(GZIP)
    if name.endswith(".gz") and not gzipped:
        raise FileError("The file's name ends in .gz, but it is not compressed with gzip")
    head = _decompressed(first) if gzipped else first[:HEAD]
    text = _decoded(head)
    if not text.strip():
        raise FileError("The file is empty")
    claims_json = name.removesuffix(".gz").endswith(_NDJSON_NAMES) or any(
        t in content_type for t in ("ndjson", "jsonl")
    )
    whole = len(head) < HEAD
    if claims_json or text.lstrip().startswith("{"):
        try:
            return Format("ndjson", "", gzipped, _keys(text, whole=whole))
        except FileError:
            if claims_json:
                raise
    delimiter, header = _header(text, whole=whole)
    return Format("csv", delimiter, gzipped, header)


def json_object(line: str) -> dict[str, Any]:
    """One line of NDJSON; ValueError when it is no JSON object."""
    try:
        found = _decoder.decode(line)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _decompressed(first: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(first, HEAD)
    except zlib.error as error:
        raise FileError("The file begins like gzip, but cannot be decompressed") from error


def _decoded(head: bytes) -> str:
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError as error:
        raise FileError("The file is not UTF-8 text; save it as CSV (UTF-8)") from error
    if "\0" in text:
        raise FileError("The file is binary, not text; save it as CSV (UTF-8) or NDJSON")
    return text


def _keys(text: str, *, whole: bool) -> list[str]:
    lines = text.split("\n")
    if not whole and len(lines) > 1:
        lines.pop()  # not read to its end
    keys: dict[str, None] = {}
    seen = False
    for line in lines:
        if not line.strip():
            continue
        try:
            keys.update(dict.fromkeys(json_object(line)))
        except ValueError as error:
            if not seen:
                raise FileError("The file is not NDJSON: its first line is no JSON object") from error
        seen = True
        if len(keys) > MAX_COLUMNS:
            raise FileError(f"The file has more than {MAX_COLUMNS} columns")
    return list(keys)


def _header(text: str, *, whole: bool) -> tuple[str, list[str]]:
    if not whole and "\n" not in text:
        raise FileError("The file's first line is too long for a header")
    best: list[str] = []
    delimiter = ","
    for candidate in ",;\t":
        try:
            found = next((row for row in csv.reader(io.StringIO(text, newline=""), delimiter=candidate) if row), [])
        except csv.Error as error:
            raise FileError("The file's first line cannot be read as a CSV header") from error
        if len(found) > len(best):
            best, delimiter = found, candidate
    header = [name.strip() for name in best]
    if len(header) > MAX_COLUMNS:
        raise FileError(f"The file has more than {MAX_COLUMNS} columns")
    if not any(header) or any(not _is_printable(name) for name in header):
        raise FileError("The file's first line must be a header with the names of its columns")
    return delimiter, header


def _is_printable(name: str) -> bool:
    try:
        printable(name)
    except ValueError:
        return False
    return True
