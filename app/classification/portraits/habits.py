"""Medians, what they buy and when: of all, or of a sample where there are many, so that many cost no more than some."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, DateTime, Numeric, any_, cast, func, literal, select, true
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.classification.measurements import source_of
from app.classification.metrics import METRICS
from app.classification.models import customer_metrics
from app.classification.portraits.basics import AVERAGED, TOP
from app.classification.portraits.groups import Group
from app.classification.portraits.shares import lift, ratio
from app.core import clock
from app.core.db import ReadSession, Record
from app.purchases import habits
from app.purchases.habits import TIMES, Who

SAMPLE = 5_000
"""Customers at most whose purchases are read for one portrait; as many again for everybody."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Customers drawn, and those of them whose purchases one may read."""

    ids: Sequence[UUID]
    read: Sequence[UUID]

    @property
    def bought(self) -> Who:
        """Whose purchases count."""
        return _one_of(self.read)


async def draw(session: ReadSession, group: Group, *, inside: bool) -> Sample:
    """All of them or, of many, those with the smallest hashes: the same ones whenever it is asked."""
    seen = group.seen.c
    drawn = func.uuid_hash_extended(seen.id, literal(0, BigInteger))
    statement = select(seen.id, seen.is_read).where(seen.is_inside if inside else true())
    rows = await session.all(statement.order_by(drawn, seen.id).limit(SAMPLE))
    return Sample([row["id"] for row in rows], [row["id"] for row in rows if row["is_read"]])


async def medians(session: ReadSession, sample: Sample) -> Record:
    """The median of each of `AVERAGED`; of an even number the mean of the two in the middle, to the last digit."""
    m = customer_metrics.alias("m")
    source = source_of(m, clock.business_day(clock.business_now()))
    columns = []
    for name in AVERAGED:
        value = cast(METRICS[name].expression(source), Numeric)
        # percentile_cont would make floats of them.
        both = [func.percentile_disc(0.5).within_group(each) for each in (value.asc(), value.desc())]
        columns.append(func.round((both[0] + both[1]) / 2, literal(4)).label(name))
    found = await session.first(select(*columns).where(_one_of(sample.ids)(m.c.customer_id)))
    assert found is not None
    return found


async def bought(session: ReadSession, inside: Sample, everybody: Sample, as_of: datetime) -> dict[str, Any]:
    """`categories`, the times of the `rhythm`, and what was `measured` for them."""
    instant, zone = literal(as_of, DateTime(timezone=True)), clock.business_zone().key
    theirs = _Times.of(await session.all(habits.purchases_by_time(instant, zone, inside.bought)))
    usual = _Times.of(await session.all(habits.purchases_by_time(instant, zone, everybody.bought)))
    top = await session.all(habits.most_bought(instant, inside.bought, TOP))
    names = [row["category"] for row in top]
    others = {row["category"]: row for row in await session.all(habits.bought_of(instant, everybody.bought, names))}
    return {
        "categories": [_category(row, others.get(row["category"]), theirs, usual) for row in top],
        "rhythm": {f"{time}s": _falls(time, theirs, usual) for time in TIMES},
        "measured": {
            "customers": len(inside.ids),
            "customers_of_everybody": len(everybody.ids),
            "purchases": theirs.purchases,
            "purchases_of_everybody": usual.purchases,
            "amount": theirs.amount,
            "amount_of_everybody": usual.amount,
        },
    }


@dataclass(frozen=True, slots=True)
class _Times:
    """Purchases by weekday, month and hour, all of them, and their sum."""

    at: Mapping[tuple[str, int], int]
    purchases: int
    amount: Any

    @classmethod
    def of(cls, rows: Sequence[Record]) -> "_Times":
        at = {(time, row[time]): row["purchases"] for row in rows for time in TIMES if row[time] is not None}
        days = [row for row in rows if row["weekday"] is not None]
        return cls(at, sum(row["purchases"] for row in days), sum(row["amount"] for row in days))


def _falls(time: str, theirs: _Times, usual: _Times) -> list[dict[str, Any]]:
    return [
        {"value": value, **_share(theirs.at.get((time, value), 0), theirs, usual.at.get((time, value), 0), usual)}
        for value in TIMES[time]
    ]


def _share(purchases: int, theirs: _Times, usually: int, usual: _Times) -> dict[str, Any]:
    return {
        "purchases": purchases,
        "share": ratio(purchases, theirs.purchases),
        "share_of_everybody": ratio(usually, usual.purchases),
        "lift": lift(purchases, theirs.purchases, usually, usual.purchases),
    }


def _category(row: Record, other: Record | None, theirs: _Times, usual: _Times) -> dict[str, Any]:
    purchases, amount = (0, 0) if other is None else (other["purchases"], other["amount"])
    return {
        "value": row["category"],
        **_share(row["purchases"], theirs, purchases, usual),
        "amount": round(row["amount"], 4),
        "amount_share": ratio(row["amount"], theirs.amount),
        "amount_share_of_everybody": ratio(amount, usual.amount),
        "amount_lift": lift(row["amount"], theirs.amount, amount, usual.amount),
    }


def _one_of(ids: Sequence[UUID]) -> Who:
    given = literal(list(ids), ARRAY(UuidType))

    def is_one(customer_id: ColumnElement[Any]) -> ColumnElement[bool]:
        condition: ColumnElement[bool] = customer_id == any_(given)
        return condition

    return is_one
