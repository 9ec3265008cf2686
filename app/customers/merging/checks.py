"""What must hold of merges: who was merged is gone, and nothing that moves was left behind."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, Text, func, literal, select, union_all

from app.core.checks import Check
from app.customers.merging.places import Moves, Place, Stays
from app.customers.models import customer, customer_merge

_m = customer_merge.c
_standing = select(func.count()).select_from(customer_merge).where(_m.undone_at.is_(None))
_merged = select(_m.merged_id).where(_m.undone_at.is_(None))


def checks_of(places: Sequence[Place]) -> list[Check]:
    """The checks, over all places that the packages declare."""
    left = [_left_at(place) for place in places if not isinstance(place, Stays)]
    behind = union_all(*(each.where(each.selected_columns.customer_id.in_(_merged)) for each in left)).subquery("left")
    return [
        Check(
            "who was merged is not there",
            examined=_standing,
            violations=select(_m.id, _m.merged_id).where(
                _m.undone_at.is_(None), select(customer.c.id).where(customer.c.id == _m.merged_id).exists()
            ),
        ),
        Check(
            "a customer was merged into one other",
            examined=_standing,
            violations=select(_m.merged_id, func.count().label("merges"))
            .where(_m.undone_at.is_(None))
            .group_by(_m.merged_id)
            .having(func.count() > 1),
        ),
        Check("nothing is left of who was merged but history", examined=_standing, violations=select(behind)),
    ]


def _left_at(place: Place) -> Select[Any]:
    """Whoever a row names that would have moved."""
    named = select(literal(place.name, Text).label("place"), place.table.c[place.column].label("customer_id"))
    return named.where(place.only(place.table)) if isinstance(place, Moves) and place.only is not None else named
