"""Where rows name a customer, and what becomes of them when that customer is merged into another.

Every package declares its places (`Feature.merging`); a table with a customer's id that nobody declared fails a test.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table

Clash = Callable[[FromClause, FromClause], ColumnElement[bool]]
"""Whether a row of the merged customer (first) and one of the survivor (second) cannot stand beside each other."""
Condition = Callable[[FromClause], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Moves:
    """Rows that become the survivor's, and go back one by one when the merge is undone.

    A row that clashes with one of the survivor's makes room: the column `renames` takes a name of its own, or, without
    one, the row waits aside. Rows for which `only` does not hold stay under the merged id, as history. Of rows that
    are alike in the columns of `primary` one at most has `is_primary`: the survivor's.
    """

    table: Table
    key: tuple[str, ...] = ("id",)
    column: str = "customer_id"
    clashes: Clash | None = None
    renames: str | None = None
    primary: tuple[str, ...] | None = None
    only: Condition | None = None
    also: Mapping[str, Any] = field(default_factory=dict)
    """What else changes in a row that moves, either way."""

    @property
    def name(self) -> str:
        return f"{self.table.name}.{self.column}"


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that belong to a row that moves, and are wherever that one is: also those that came after the merge."""

    table: Table
    of: Table
    by: str
    """The column that holds the whole's key."""
    column: str = "customer_id"

    @property
    def name(self) -> str:
        return f"{self.table.name}.{self.column}"


@dataclass(frozen=True, slots=True)
class SetAside:
    """Rows that say what was derived of the merged customer: they wait, and are put back as they stood.

    With a `key`, so are the survivor's own of that key: what was derived of both together is not taken for theirs.
    """

    table: Table
    key: tuple[str, ...] = ()
    column: str = "customer_id"

    @property
    def name(self) -> str:
        return f"{self.table.name}.{self.column}"


@dataclass(frozen=True, slots=True)
class Stays:
    """Rows that keep the merged customer's id: history that is added to and never changed."""

    table: Table
    column: str = "customer_id"

    @property
    def name(self) -> str:
        return f"{self.table.name}.{self.column}"


Place = Moves | Part | SetAside | Stays

_places: dict[str, Place] = {}


def declare(places: Iterable[Place]) -> None:
    """Make places known; declaring one twice changes nothing."""
    _places.update({place.name: place for place in places})


def declared() -> list[Place]:
    """All places, wholes before their parts."""
    return sorted(_places.values(), key=lambda place: isinstance(place, Part))
