"""What a package must bring so that a file of its facts can be imported."""

import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from sqlalchemy import Table

from app.core import lockbox
from app.core.db import WriteSession
from app.identity.actor import Actor

BUCKETS = 1024

RowCompiler = Callable[[list[str], int], str]


class RowError(Exception):
    """A row that cannot be taken: which of our columns is wrong, and what is wrong with it."""

    def __init__(self, field: str | None, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Rejection:
    """A bad row as it is reported."""

    line: int
    field: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class ImportColumn:
    """One of our columns. `product` columns may be mapped to a product of the file's columns."""

    name: str
    required: bool = False
    product: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller asked beside the mapping."""

    create_customers: bool
    currency: str | None
    time_zone: str | None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where our columns stand in a row of the file: none, one, or the factors of a product.

    Every row carries one empty field more than the header (at `width`): where unmapped columns point.
    """

    width: int
    positions: dict[str, tuple[int, ...]]
    header: Sequence[str]

    def index(self, column: str) -> int:
        """The one field of a column; the empty field when it is not mapped."""
        positions = self.positions.get(column)
        return positions[0] if positions else self.width

    def mapped(self, column: str) -> bool:
        return column in self.positions


@dataclass(frozen=True, slots=True)
class Batch:
    """The staged rows that one transaction merges: those with first <= bucket < end."""

    import_id: UUID
    number: int
    first: int
    end: int
    layout: Layout
    options: Options
    actor: Actor
    dry_run: bool
    forgotten: frozenset[str]

    def remembered(self, references: set[str]) -> set[str]:
        """Those whose customers were not erased since the file was sent."""
        if not self.forgotten:
            return references
        return {each for each in references if mark_of(self.import_id, each) not in self.forgotten}


@dataclass(slots=True)
class Merged:
    """What became of a batch. In a dry run: what would."""

    accepted: int = 0
    customers_created: int = 0
    changed: int = 0
    rejections: list[Rejection] = field(default_factory=list)


class ImportKind(Protocol):
    """One kind of file."""

    @property
    def name(self) -> str: ...

    @property
    def columns(self) -> Sequence[ImportColumn]: ...

    @property
    def further(self) -> re.Pattern[str] | None:
        """Names of columns beside those, of which a file may have any."""
        ...

    @property
    def staging(self) -> Table:
        """An unlogged table with `import_number`, `bucket`, `line` and `customer_ref`, and the kind's own columns.

        An index on (import_number, bucket).
        """
        ...

    def check(self, options: Options) -> None:
        """Raise `Invalid` naming an option that this kind cannot follow."""
        ...

    def permissions(self, options: Options) -> Sequence[str]:
        """What the caller must be allowed beside `imports:write`."""
        ...

    def compile(self, layout: Layout, options: Options, number: int) -> RowCompiler:
        """A function from a row and its line to a line of COPY text; it raises `RowError` for a bad row.

        Called for every row: whatever can be decided once per file is decided here.
        """
        ...

    async def merge(self, session: WriteSession, batch: Batch) -> Merged:
        """Turn staged rows into facts and take them out of the staging table, within the transaction.

        A row that was merged before changes nothing. A dry run writes no fact.
        """
        ...


def columns_of(kind: ImportKind, names: Iterable[str]) -> list[ImportColumn]:
    """The kind's own columns, and those of the names that are further ones."""
    further = kind.further
    found = [name for name in dict.fromkeys(names) if further is not None and further.fullmatch(name)]
    return [*kind.columns, *map(ImportColumn, found)]


_kinds: dict[str, ImportKind] = {}


def register(kind: ImportKind) -> None:
    """Make a kind known; called by `app.features`."""
    _kinds[kind.name] = kind


def known() -> list[str]:
    """The names of all kinds."""
    return sorted(_kinds)


def find(name: str) -> ImportKind | None:
    """The kind of this name."""
    return _kinds.get(name)


def mark_of(import_id: UUID, reference: str) -> str:
    """What an import keeps of a reference that it is not to merge any more."""
    return lockbox.mark(reference, purpose=f"import {import_id}")


def bucket_of(key: str) -> int:
    """The bucket of a row: the same for all rows with one key, in every process."""
    return zlib.crc32(key.encode()) % BUCKETS
