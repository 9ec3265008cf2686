"""How a file is to be read, decided from its header and what the caller asked: pure, no SQL, no HTTP."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.core.errors import FieldError, Invalid
from app.imports.kinds import ImportColumn, Layout, Options

MAX_MAPPING = 50
MAX_NAME = 200
MAX_SKIP_VALUES = 100
MAX_FACTORS = 4
_TIMES = re.compile(r"\s*[*×]\s*")


@dataclass(frozen=True, slots=True)
class Skip:
    """Rows left out: those whose field is one of these values or begins with one of these prefixes."""

    position: int
    values: tuple[str, ...]
    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything needed to read the file again, in any process; kept as JSON in the import's row."""

    format: str
    delimiter: str
    gzipped: bool
    header: list[str]
    positions: dict[str, list[int]]
    skip: list[Skip]
    options: Options

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Plan":
        return cls(
            **{
                **document,
                "skip": [Skip(s["position"], tuple(s["values"]), tuple(s["prefixes"])) for s in document["skip"]],
                "options": Options(**document["options"]),
            }
        )

    @property
    def layout(self) -> Layout:
        positions = {name: tuple(found) for name, found in self.positions.items()}
        return Layout(len(self.header), positions, self.header)


def names_of(header: Sequence[str], mapping: object) -> list[str]:
    """What the file calls its columns, and what the mapping calls ours."""
    return [*header, *(mapping if isinstance(mapping, Mapping) else ())]


def map_columns(columns: Sequence[ImportColumn], header: Sequence[str], mapping: object) -> dict[str, list[int]]:
    """Where each of our columns stands in the file.

    A column that the mapping leaves out stands under its own name, if the file has that; null leaves it out
    for good. Raises `Invalid` naming every entry that is wrong.
    """
    given = _mapping(mapping)
    known = {column.name: column for column in columns}
    places = {name: position for position, name in reversed(list(enumerate(header)))}
    errors = [
        FieldError(_below("mapping", name), f"There is no column {name!r}; the columns are {', '.join(known)}")
        for name in given
        if name not in known
    ]
    found: dict[str, list[int]] = {}
    for column in columns:
        source = given.get(column.name, column.name if column.name in places else None)
        pointer = _below("mapping", column.name)
        if source is not None:
            names = _factors(column, source, places)
            missing = [name for name in names if name not in places]
            double = [name for name in names if list(header).count(name) > 1]
            if missing:
                errors.append(FieldError(pointer, f"The file has no column {missing[0]!r}; it has {_listed(header)}"))
            elif double:
                errors.append(FieldError(pointer, f"The file has several columns {double[0]!r}; rename them"))
            elif len(names) > MAX_FACTORS:
                errors.append(FieldError(pointer, f"A product has {MAX_FACTORS} factors at most"))
            else:
                found[column.name] = [places[name] for name in names]
        elif column.required:
            errors.append(
                FieldError(pointer, f"Say which column of the file is {column.name}; it has {_listed(header)}")
            )
    if errors:
        raise Invalid("Correct the mapping", errors=errors)
    return found


def rows_to_skip(header: Sequence[str], skip_when: object) -> list[Skip]:
    """The rows to leave out; raises `Invalid` naming every entry that is wrong."""
    if skip_when is None:
        return []
    if not isinstance(skip_when, Mapping) or len(skip_when) > MAX_MAPPING:
        raise Invalid.at("/body/skip_when", 'Give a JSON object such as {"InvoiceNo": "C*"}')
    errors = []
    skips = []
    for name, wanted in skip_when.items():
        values = wanted if isinstance(wanted, list) else [wanted]
        if name not in header:
            errors.append(
                FieldError(_below("skip_when", name), f"The file has no column {name!r}; it has {_listed(header)}")
            )
        elif len(values) > MAX_SKIP_VALUES or not all(isinstance(v, str) and len(v) <= MAX_NAME for v in values):
            errors.append(FieldError(_below("skip_when", name), "Give a value, a prefix such as C*, or a list of them"))
        else:
            skips.append(
                Skip(
                    list(header).index(name),
                    tuple(value for value in values if not value.endswith("*")),
                    tuple(value[:-1] for value in values if value.endswith("*")),
                )
            )
    if errors:
        raise Invalid("Correct skip_when", errors=errors)
    return skips


def _mapping(mapping: object) -> dict[str, str | None]:
    if mapping is None:
        return {}
    if not isinstance(mapping, Mapping) or len(mapping) > MAX_MAPPING:
        raise Invalid.at(
            "/body/mapping", f"Give a JSON object of {MAX_MAPPING} entries at most: our column to the file's"
        )
    for name, source in mapping.items():
        if source is not None and not (isinstance(source, str) and 0 < len(source.strip()) <= MAX_NAME * MAX_FACTORS):
            raise Invalid.at(_below("mapping", name), "Give the name of a column of the file, or null to leave it out")
    return {name: source if source is None else source.strip() for name, source in mapping.items()}


def _factors(column: ImportColumn, source: str, places: Mapping[str, int]) -> list[str]:
    # A column whose own name has a star in it comes first.
    if source in places or not column.product:
        return [source]
    return _TIMES.split(source)


def _listed(header: Sequence[str]) -> str:
    names = ", ".join(name[:60] for name in header[:30])
    return names if len(header) <= 30 else f"{names}, …"


def _below(field: str, name: str) -> str:
    return f"/body/{field}/" + name[:MAX_NAME].replace("~", "~0").replace("/", "~1")
