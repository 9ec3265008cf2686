"""A file becomes blocks of staged rows: decompressed, decoded, split, skipped, validated; memory stays flat.

Everything here is synchronous and runs in a thread; `pieces` brings the file's bytes.
"""

import csv
import io
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.imports.formats import MAX_FIELD, MAX_LINE, PIECE, FileError, json_object
from app.imports.kinds import Rejection, RowCompiler, RowError
from app.imports.plan import Plan, Skip

BLOCK = 20_000
FREE_RATIO_BYTES = 64 * 1024 * 1024  # up to here any ratio is believed
MAX_RATIO = 200

_NEWLINE = b"\n"


@dataclass(slots=True)
class Block:
    """Some rows in a row: what goes to the staging table, and what does not."""

    rows: int = 0
    staged: list[str] = field(default_factory=list)
    skipped: int = 0
    rejections: list[Rejection] = field(default_factory=list)
    bytes_read: int = 0
    ended: bool = False
    data: bytes = b""


class Reading:
    """One pass over a file, of whose columns the `known` and the `further` mean something to its kind."""

    def __init__(
        self,
        plan: Plan,
        compiled: RowCompiler,
        pieces: Iterator[bytes],
        *,
        max_bytes: int,
        known: Collection[str] = (),
        further: re.Pattern[str] | None = None,
    ) -> None:
        self._bytes_read = 0
        self._compiled = compiled
        self._skip = _skipper(plan.skip)
        counted = self._count(pieces)
        plain = gunzip(counted, max_bytes=max_bytes) if plan.gzipped else counted
        # newline="\n": the csv module wants line ends as they are, and looking for "\r" costs a fifth.
        lines = io.TextIOWrapper(io.BufferedReader(_Raw(plain), 256 * 1024), encoding="utf-8-sig", newline="\n")
        late = _Late(plan.header, known, further)
        self._rows = _json_rows(lines, plan.header, late) if plan.format == "ndjson" else _csv_rows(lines, plan)
        self._line = 0

    def pass_over(self, rows: int) -> None:
        """Leave out rows that were read before."""
        try:
            for _ in range(rows):
                if next(self._rows, None) is None:
                    raise FileError("The file is shorter than it was")
        except UnicodeDecodeError as error:
            raise self._not_text() from error

    def block(self, size: int = BLOCK) -> Block:
        """The next rows, at most `size`. Raises `FileError` when the file cannot be read on."""
        block = Block()
        try:
            self._fill(block, size)
        except UnicodeDecodeError as error:
            raise self._not_text() from error
        block.bytes_read = self._bytes_read
        block.data = "".join(block.staged).encode()
        return block

    def _fill(self, block: Block, size: int) -> None:
        compiled, skip, append = self._compiled, self._skip, block.staged.append
        rows = skipped = 0
        for line, values in self._rows:
            rows += 1
            if values.__class__ is list:
                if skip is not None and skip(values):
                    skipped += 1
                else:
                    try:
                        append(compiled(values, line))
                    except RowError as error:
                        block.rejections.append(Rejection(line, error.field, error.reason))
            else:
                block.rejections.append(Rejection(line, None, str(values)))
            if rows == size:
                break
        else:
            block.ended = True
        if rows:
            self._line = line
        block.rows, block.skipped = rows, skipped

    def _count(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._bytes_read += len(piece)
            yield piece

    def _not_text(self) -> FileError:
        return FileError(f"The file is not UTF-8 text somewhere after line {self._line}; save it as CSV (UTF-8)")


def gunzip(pieces: Iterator[bytes], *, max_bytes: int) -> Iterator[bytes]:
    """Decompress gzip, member after member. Raises `FileError` for a damaged one and for a bomb."""
    member = zlib.decompressobj(31)
    compressed = plain = 0
    for piece in pieces:
        compressed += len(piece)
        rest = piece
        while True:
            try:
                block = member.decompress(rest, PIECE)
            except zlib.error as error:
                raise FileError("The compressed file is damaged; compress and send it again") from error
            plain += len(block)
            if plain > max_bytes or (plain > FREE_RATIO_BYTES and plain > compressed * MAX_RATIO):
                raise FileError("The file becomes too large when it is decompressed; split it")
            if block:
                yield block
            if member.eof:
                rest = member.unused_data.lstrip(b"\0")  # padding between members
                if rest:
                    member = zlib.decompressobj(31)
            else:
                rest = member.unconsumed_tail
            # A full block may mean that more waits inside, although nothing is left to feed.
            if not rest and (member.eof or len(block) < PIECE):
                break
    if not member.eof:
        raise FileError("The compressed file ends too early; send it again")


class _Raw(io.RawIOBase):
    """Pieces as a file, watching that no line is longer than memory should hold."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")
        self._open_line = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._watch(piece)
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def _watch(self, piece: bytes) -> None:
        # As TextIOWrapper splits, or a file of "\r" alone would be one line of any length.
        last, first = piece.rfind(_NEWLINE), piece.find(_NEWLINE)
        if self._open_line + (first if first >= 0 else len(piece)) > MAX_LINE:
            raise FileError(f"A line of the file is longer than {MAX_LINE} bytes")
        self._open_line = self._open_line + len(piece) if last < 0 else len(piece) - last - 1


def _csv_rows(lines: io.TextIOWrapper, plan: Plan) -> Iterator[tuple[int, Any]]:
    """Each row with the line on which it begins: its fields and an empty one, or what is wrong with it."""
    reader = csv.reader(lines, delimiter=plan.delimiter)
    width = len(plan.header)
    try:
        for row in reader:  # the header
            if row:
                break
    except csv.Error as error:
        raise FileError("The lines of the file must end in LF or CRLF; save it as CSV (UTF-8)") from error
    line = reader.line_num + 1
    while True:
        try:
            for values in reader:
                if len(values) == width:
                    values.append("")
                    yield line, values
                elif values:
                    yield line, f"the row has {len(values)} fields, the header {width}"
                line = reader.line_num + 1
            return
        except csv.Error:
            yield line, _unreadable(line, reader.line_num)
            line = reader.line_num + 1


def _unreadable(first: int, last: int) -> str:
    where = f"lines {first} to {last}" if last > first else "the row"
    return f"{where} cannot be read: a field longer than {MAX_FIELD} characters, or a quote that is not closed"


class _Late:
    """Keys that mean something and that the first lines of the file, which make its header, do not have."""

    def __init__(self, header: Sequence[str], known: Collection[str], further: re.Pattern[str] | None) -> None:
        self._header = frozenset(header)
        self._known = set(known).difference(header)
        self._further = further

    def among(self, found: Mapping[str, Any]) -> set[str]:
        late = self._known.intersection(found)
        if self._further is not None:
            late.update(filter(self._further.fullmatch, found.keys() - self._header))
        return late


def _json_rows(lines: io.TextIOWrapper, header: list[str], late: _Late) -> Iterator[tuple[int, Any]]:
    """Each object with its line: its fields as text in the header's order, or what is wrong with it.

    The header has the keys of the first lines. What would be read, but comes later for the first time, is refused.
    """
    for number, line in enumerate(lines, start=1):
        if line.isspace():
            continue
        try:
            found = json_object(line)
            if unread := late.among(found):
                raise RowError(None, f"no line at the beginning has {min(unread)!r}; give the first line the key, null")
            values = [_text(found.get(name), name) for name in header]
        except RowError as error:
            yield number, error.reason
        except ValueError:
            yield number, "the line is not a JSON object"
        else:
            values.append("")
            yield number, values


def _text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise RowError(None, f"{name[:60]!r} must be text or a number")
    if len(value) > MAX_FIELD:
        raise RowError(None, f"{name[:60]!r} is longer than {MAX_FIELD} characters")
    return value


def _skipper(skips: list[Skip]) -> Callable[[list[str]], bool] | None:
    """Whether a row is left out; None when none ever is."""
    if not skips:
        return None
    tests = [(skip.position, frozenset(skip.values), skip.prefixes) for skip in skips]

    def skip(values: list[str]) -> bool:
        for position, exact, prefixes in tests:
            value = values[position].strip()
            if value in exact or value.startswith(prefixes):
                return True
        return False

    return skip
