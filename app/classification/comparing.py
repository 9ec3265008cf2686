"""The statement of a simulation: whom a version decides otherwise than what stands, or than another version.

It decides with the expressions of `statements`, settles with the rules of `movement` and writes neither classes nor
history: only who moves, and what the chunk came to.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Text,
    and_,
    bindparam,
    case,
    false,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy import Uuid as UuidType

from app.classification import edges, movement, statements
from app.classification.engine import Scheme
from app.classification.models import customer_metrics, simulation_count, simulation_move
from app.classification.refresh import AFTER, within
from app.core.db import Prepared
from app.customers.models import customer

SIMULATION_ID = bindparam("simulation_id", type_=UuidType)
NO_CLASS = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A version of a scheme against another one, or against the classes that stand."""

    version: Scheme
    against: Scheme | None

    def statement(self) -> Prepared:
        """For a range of customers; gives how many were measured.

        Parameters: the range, `simulation_id`, `version_breakpoints` and `against_breakpoints` (JSON, null when
        nothing was fitted), and those of an evaluation.
        """
        decided = _decided(self.version, "version")
        compared = self._with_what_stands(decided) if self.against is None else self._with_another(decided)
        count = select(func.count().label("measured")).select_from(compared)
        return Prepared(count.add_cte(_moved(compared), _counted(compared)))

    def _with_what_stands(self, decided: CTE) -> CTE:
        """What is not to be settled stands as it is decided."""
        each = self.version
        answers = statements.answers(each, decided).cte("answers")
        settled = movement.settled([(each.key, each.version, each.document)], answers, partial(within, ranged=True))
        d, s = decided.c, settled.c
        answer = d[f"{each.key}_class"]
        forced = s.forced.is_not(None)
        at_once = s.becomes.is_not_distinct_from(answer)
        return _compared(
            decided.outerjoin(settled, s.customer_id == d.customer_id),
            d.customer_id,
            before=case((s.customer_id.is_(None), answer), else_=s.before),
            after=answer,
            marks={"at_once": and_(~forced, at_once), "pending": and_(~forced, ~at_once), "overridden": forced},
        )

    def _with_another(self, decided: CTE) -> CTE:
        assert self.against is not None
        other = _decided(self.against, "against")
        marks: dict[str, ColumnElement[bool]] = dict.fromkeys(("at_once", "pending", "overridden"), false())
        return _compared(
            decided.join(other, other.c.customer_id == decided.c.customer_id),
            decided.c.customer_id,
            before=other.c[f"{self.against.key}_class"],
            after=decided.c[f"{self.version.key}_class"],
            marks=marks,
        )


def _decided(each: Scheme, side: str) -> CTE:
    limits = edges.given(each, f"{side}_breakpoints")
    return statements.decisions([[each]], None, limits, ranged=True, called=f"{side}_decisions")


def _compared(
    rows: Any,
    customer_id: ColumnElement[Any],
    *,
    before: ColumnElement[Any],
    after: ColumnElement[Any],
    marks: dict[str, ColumnElement[bool]],
) -> CTE:
    """One row a customer: both classes, whose it is, what it is worth."""
    c, m = customer.alias("whose"), customer_metrics.alias("worth")
    known = rows.join(m, and_(m.c.customer_id == customer_id, within(m.c.customer_id, ranged=True)))
    known = known.outerjoin(c, and_(c.c.id == customer_id, within(c.c.id, ranged=True)))
    return (
        select(
            customer_id,
            c.c.owner_id,
            c.c.unit_id,
            func.coalesce(before, literal(NO_CLASS, Text)).label("from_class"),
            func.coalesce(after, literal(NO_CLASS, Text)).label("to_class"),
            m.c.monetary,
            *(func.coalesce(mark, false()).label(name) for name, mark in marks.items()),
        )
        .select_from(known)
        .cte("compared")
    )


def _moved(compared: CTE) -> CTE:
    c, m = compared.c, simulation_move.c
    columns = [m.customer_id, m.simulation_id, m.from_class, m.to_class, m.monetary]
    rows = select(c.customer_id, SIMULATION_ID, c.from_class, c.to_class, c.monetary).where(c.from_class != c.to_class)
    return insert(simulation_move).from_select(columns, rows).returning(m.customer_id).cte("moved")


def _counted(compared: CTE) -> CTE:
    c = compared.c
    groups = [c.owner_id, c.unit_id, c.from_class, c.to_class]
    moves = c.from_class != c.to_class
    rows = select(
        SIMULATION_ID,
        AFTER,
        *groups,
        func.count(),
        func.sum(c.monetary),
        *(func.count().filter(moves, c[name]) for name in ("at_once", "pending", "overridden")),
    ).group_by(*groups)
    names = ["simulation_id", "position", *(each.name for each in groups), "customers", "monetary"]
    names += ["at_once", "pending", "overridden"]
    return insert(simulation_count).from_select(names, rows).returning(simulation_count.c.id).cte("counted")
