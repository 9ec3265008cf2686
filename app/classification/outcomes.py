"""What a simulation came to: from the counts of its chunks to what people read. Money is in the base currency."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, func, select

from app.classification.comparing import NO_CLASS
from app.classification.definitions import Document
from app.classification.models import simulation_count
from app.core.bounds import plain_decimal
from app.core.db import ReadSession, Record

OWNERS = 200
"""Owners whose workload is listed; the others are one row."""

_c = simulation_count.c
_MARKS = ("at_once", "pending", "overridden")


async def outcome(
    session: ReadSession, simulation_id: UUID, version: Document, against: Document | None
) -> dict[str, Any]:
    """The whole base now and then, from what the chunks counted. `now` is `against`, or what stands."""
    matrix = await session.all(_matrix(simulation_id))
    order = list(dict.fromkeys([*version.ranked, *(against.ranked if against else [])]))
    ranks = {name: rank for rank, name in enumerate(version.ranked)}
    return {
        "customers": sum(row["customers"] for row in matrix),
        "monetary": _money(matrix),
        "classes": _classes(matrix, order),
        "matrix": [_entry(row) for row in _sorted(matrix, order)],
        "moved": _moved(matrix, ranks, settled=against is None),
        "workload": await _workload(session, simulation_id, matrix, ranks),
    }


# ---- counting --------------------------------------------------------------------------------------------------------


def _sums(*groups: ColumnElement[Any]) -> Any:
    sums = [func.sum(_c[name]) for name in ("customers", "monetary", *_MARKS)]
    names = ("customers", "monetary", *_MARKS)
    labelled = [each.cast(_c[name].type).label(name) for each, name in zip(sums, names, strict=True)]
    return select(*groups, *labelled).group_by(*groups)


def _matrix(simulation_id: UUID) -> Any:
    return _sums(_c.from_class, _c.to_class).where(_c.simulation_id == simulation_id)


def _by_owner(simulation_id: UUID) -> tuple[CTE, CTE]:
    """Counts by owner and classes, and each owner's place by how many of theirs move."""
    counts = _sums(_c.owner_id, _c.unit_id, _c.from_class, _c.to_class).where(_c.simulation_id == simulation_id)
    each = counts.cte("each")
    moves = func.sum(each.c.customers).filter(each.c.from_class != each.c.to_class)
    owners = select(each.c.owner_id, each.c.unit_id, func.coalesce(moves, 0).label("moved"))
    owners = owners.group_by(each.c.owner_id, each.c.unit_id)
    found = owners.subquery("owners")
    f = found.c
    place = func.row_number().over(order_by=(f.moved.desc(), f.owner_id, f.unit_id)).label("place")
    return each, select(found, place, func.count().over().label("owners")).cte("placed")


async def _workload(
    session: ReadSession, simulation_id: UUID, matrix: Sequence[Record], ranks: Mapping[str, int]
) -> dict[str, Any]:
    each, placed = _by_owner(simulation_id)
    e, p = each.c, placed.c
    same = e.owner_id.is_not_distinct_from(p.owner_id) & e.unit_id.is_not_distinct_from(p.unit_id)
    rows = await session.all(select(each, p.place, p.owners).join(placed, same).where(p.place <= OWNERS))
    by_place: dict[int, list[Record]] = defaultdict(list)
    for row in rows:
        by_place[row["place"]].append(row)
    items = [
        {"owner_id": found[0]["owner_id"], "unit_id": found[0]["unit_id"], **_load(found, ranks)}
        for _, found in sorted(by_place.items())
    ]
    owners = rows[0]["owners"] if rows else 0
    rest = {"owners": owners - len(items), **_load(_without(matrix, rows), ranks)} if owners > len(items) else None
    return {"items": items, "rest": rest}


def _without(matrix: Iterable[Record], rows: Iterable[Record]) -> list[dict[str, Any]]:
    """The matrix less these rows."""
    left = {(row["from_class"], row["to_class"]): row["customers"] for row in matrix}
    for row in rows:
        left[row["from_class"], row["to_class"]] -= row["customers"]
    return [{"from_class": was, "to_class": is_, "customers": n} for (was, is_), n in left.items() if n]


# ---- reading ---------------------------------------------------------------------------------------------------------


def _money(rows: Iterable[Any]) -> str:
    return plain_decimal(sum((row["monetary"] for row in rows), Decimal(0)))


def _name(stored: str) -> str | None:
    return None if stored == NO_CLASS else stored


def _share(part: int | Decimal, whole: int | Decimal) -> float:
    return float(round(Decimal(part) / Decimal(whole), 6)) if whole else 0.0


def _sorted(matrix: Sequence[Record], order: Sequence[str]) -> list[Record]:
    """By both classes, the best first; a class that is no longer in the document after those, none at the end."""
    place = {name: n for n, name in enumerate(order)} | {NO_CLASS: len(order) + 1}

    def key(row: Record) -> tuple[int, str, int, str]:
        was, is_ = row["from_class"], row["to_class"]
        return place.get(was, len(order)), was, place.get(is_, len(order)), is_

    return sorted(matrix, key=key)


def _classes(matrix: Sequence[Record], order: Sequence[str]) -> list[dict[str, Any]]:
    sides = {"now": "from_class", "then": "to_class"}
    found: dict[str, dict[str, Any]] = {
        name: {"now": 0, "then": 0, "monetary_now": Decimal(0), "monetary_then": Decimal(0)}
        for name in [*order, *(row[side] for row in _sorted(matrix, order) for side in sides.values())]
    }
    for row in matrix:
        for time, side in sides.items():
            found[row[side]][time] += row["customers"]
            found[row[side]][f"monetary_{time}"] += row["monetary"]
    everybody = sum(row["customers"] for row in matrix)
    names = sorted(found, key=lambda name: name == NO_CLASS)
    return [
        {
            "class": _name(name),
            "now": found[name]["now"],
            "then": found[name]["then"],
            "share_now": _share(found[name]["now"], everybody),
            "share_then": _share(found[name]["then"], everybody),
            "monetary_now": plain_decimal(found[name]["monetary_now"]),
            "monetary_then": plain_decimal(found[name]["monetary_then"]),
        }
        for name in names
    ]


def _entry(row: Record) -> dict[str, Any]:
    return {
        "from": _name(row["from_class"]),
        "to": _name(row["to_class"]),
        "customers": row["customers"],
        "monetary": plain_decimal(row["monetary"]),
    }


def _direction(row: Any, ranks: Mapping[str, int]) -> str:
    """How a move goes by the ranks of the simulated version; `other` when a class is none of its own."""
    was, is_ = row["from_class"], row["to_class"]
    if was == NO_CLASS:
        return "entered"
    if is_ == NO_CLASS:
        return "left"
    if was not in ranks or is_ not in ranks:
        return "other"
    return "up" if ranks[is_] < ranks[was] else "down"


def _moves(rows: Iterable[Any]) -> list[Any]:
    return [row for row in rows if row["from_class"] != row["to_class"]]


def _moved(matrix: Sequence[Record], ranks: Mapping[str, int], *, settled: bool) -> dict[str, Any]:
    moves = _moves(matrix)
    customers = sum(row["customers"] for row in moves)
    monetary = sum((row["monetary"] for row in moves), Decimal(0))
    directions = {}
    for name in ("up", "down", "entered", "left", "other"):
        rows = [row for row in moves if _direction(row, ranks) == name]
        directions[name] = {"customers": sum(row["customers"] for row in rows), "monetary": _money(rows)}
    everybody = sum(row["customers"] for row in matrix)
    worth = sum((row["monetary"] for row in matrix), Decimal(0))
    return {
        "customers": customers,
        "share": _share(customers, everybody),
        "monetary": plain_decimal(monetary),
        "monetary_share": _share(monetary, worth),
        **directions,
        **{mark: sum(row[mark] for row in moves) if settled else None for mark in _MARKS},
    }


def _load(rows: Sequence[Any], ranks: Mapping[str, int]) -> dict[str, Any]:
    """The customers of an owner by class, now and then; who rises or enters, who falls or leaves."""
    now: dict[str, int] = defaultdict(int)
    then: dict[str, int] = defaultdict(int)
    for row in rows:
        now[row["from_class"]] += row["customers"]
        then[row["to_class"]] += row["customers"]
    directions: dict[str, int] = defaultdict(int)
    for row in _moves(rows):
        directions[_direction(row, ranks)] += row["customers"]
    return {
        "customers": sum(now.values()),
        "moved": sum(directions.values()),
        "gains": directions["up"] + directions["entered"],
        "losses": directions["down"] + directions["left"],
        "now": {name: n for name, n in now.items() if name != NO_CLASS},
        "then": {name: n for name, n in then.items() if name != NO_CLASS},
    }
