"""Ids that one statement makes for many rows."""

from itertools import pairwise
from uuid import RFC_4122, UUID

from sqlalchemy import func, select

from app.core.db import Database
from app.core.ids import counting_on


async def test_the_ids_of_a_statement_differ_and_follow_their_numbers(database: Database) -> None:
    numbers = func.generate_series(0, 999).table_valued("n").render_derived()
    statement = select(counting_on(numbers.c.n).label("id"), func.uuidv7().label("other")).order_by(numbers.c.n)
    first, second = [await database.reading().all(statement) for _ in range(2)]
    for one, other in pairwise([row["id"] for row in first]):
        assert UUID(str(other)).int == UUID(str(one)).int + 1
    assert not {row["id"] for row in first} & {row["id"] for row in second}
    made = UUID(str(first[0]["id"]))
    assert (made.version, made.variant) == (7, RFC_4122)
    # Of their time: among the ids that were made before and after.
    assert str(first[-1]["id"]) < str(second[0]["id"])
