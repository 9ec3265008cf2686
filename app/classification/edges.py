"""Breakpoints within a statement: one row that holds those of every scheme which it decides.

A row for each scheme would be joined to every customer's once for each scheme.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Numeric,
    Text,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import JSONB

from app.classification.models import breakpoints, scheme

if TYPE_CHECKING:
    from app.classification.engine import Scheme

NO_FIT = UUID(int=0)
"""Stands for the breakpoints that are given as a parameter: they have no id."""


@dataclass(frozen=True, slots=True)
class Edges:
    """The row. A scheme's breakpoints are typed columns of it, and `fit` is their id, NULL before the first fit."""

    row: CTE

    def of(self, each: "Scheme") -> Callable[[str], ColumnElement[Any]]:
        """The scheme's breakpoints by their names."""
        return lambda name: self.row.c[_column(each, name)]

    def fit(self, each: "Scheme") -> ColumnElement[Any]:
        return self.row.c[f"{each.key} fit"]

    def beside(self, rows: FromClause) -> FromClause:
        """The row beside every one of these; none of them when there is no row."""
        return rows.join(self.row, literal(True))


def in_force(schemes: Sequence["Scheme"]) -> Edges:
    """The breakpoints in force, read inside the statement: a class and its breakpoints are of one snapshot.

    No row unless the schemes' versions are in force: whoever has not heard yet of the next one decides nothing (see
    `schemes.decide`).
    """
    s, b = scheme.c, breakpoints.c
    these = or_(false(), *(and_(s.key == each.key, s.version == each.version) for each in schemes))
    fit = func.jsonb_build_object("id", b.id, "values", b["values"])
    fits = (
        select(func.jsonb_object_agg(s.key, fit, type_=JSONB).label("fits"))
        .select_from(scheme.outerjoin(breakpoints, b.id == s.breakpoints_id))
        .where(these)
        .having(func.count() == len(schemes))
        .subquery("in_force")
    )
    columns = [column for each in schemes for column in _columns(each, fits.c.fits, each.key, "values")]
    ids = [_text(fits.c.fits, each.key, "id") for each in schemes]
    fitted = [cast(id_, UuidType).label(f"{each.key} fit") for each, id_ in zip(schemes, ids, strict=True)]
    return Edges(select(*fitted, *columns).cte("edges").prefix_with("MATERIALIZED"))


def given(each: "Scheme", parameter: str, *more: tuple["Scheme", str]) -> Edges:
    """Breakpoints that this parameter gives for a scheme, each of `more` for another; null when it was never fitted."""
    columns: list[ColumnElement[Any]] = []
    for asked, name in ((each, parameter), *more):
        values = bindparam(name, type_=JSONB)
        fitted = case((values.is_not(None), literal(NO_FIT, UuidType)))
        columns += [fitted.label(f"{asked.key} fit"), *_columns(asked, values)]
    return Edges(select(*columns).cte(parameter).prefix_with("MATERIALIZED"))


def _columns(each: "Scheme", values: ColumnElement[Any], *within: str) -> list[ColumnElement[Any]]:
    return [
        cast(_text(values, *within, *path), Numeric(30, 10)).label(_column(each, name))
        for name, path in each.document.breakpoint_paths.items()
    ]


def _column(each: "Scheme", name: str) -> str:
    """By number: PostgreSQL cuts names off at 63 bytes, and key and name together may have more."""
    return f"{each.key}:{[*each.document.breakpoint_paths].index(name)}"


def _text(document: ColumnElement[Any], *path: str) -> ColumnElement[Any]:
    return func.jsonb_extract_path_text(document, *path, type_=Text)
