"""The statements that record purchases with their lines: one, whose customer they hold, or many of customers held."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    FromClause,
    Insert,
    Integer,
    Numeric,
    Text,
    bindparam,
    column,
    func,
    insert,
    select,
)
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as insert_or_nothing
from sqlalchemy.types import TypeEngine

from app.core.db import Prepared
from app.core.ids import counting_on
from app.customers.queries import held
from app.identity.actor import Actor
from app.purchases.models import purchase, purchase_line
from app.purchases.money import content_hash
from app.purchases.schemas import LineIn, PurchaseIn

_Types = Mapping[str, TypeEngine[Any]]
_PURCHASE: _Types = {
    "order_ref": Text(),
    "kind": Text(),
    "occurred_at": DateTime(timezone=True),
    "occurred_on": Date(),
    "amount": Numeric(),
    "currency": Text(),
    "base_amount": Numeric(),
}
_LINE: _Types = {
    "content_hash": BigInteger(),
    "occurrence": Integer(),
    "position": Integer(),
    "product_ref": Text(),
    "product_name": Text(),
    "category": Text(),
    "quantity": Numeric(),
    "amount": Numeric(),
}
_PLACE: _Types = {"place": Integer()}
_ONE_OF_MANY: _Types = {**_PLACE, "customer_id": UuidType(), **_PURCHASE}


def lines_of(body: PurchaseIn) -> Sequence[LineIn]:
    """Its lines; a purchase without any is one line."""
    return body.lines or [LineIn(amount=body.amount)]


# ---- one -------------------------------------------------------------------------------------------------------------


def insert_one(actor: Actor, permission: str) -> Prepared:
    """Hold the customer, insert the purchase and its lines; no row out of the permission's reach.

    Run it with `customer_id`, the purchase's columns, `line_params` and `scope_params(actor)`.
    """
    customer = held(actor, permission).cte("held")
    types = {each.name: each.type for each in purchase.columns}
    recorded = (
        insert(purchase)
        .from_select(
            ["customer_id", *_PURCHASE],
            select(customer.c.id, *(bindparam(name, type_=types[name]) for name in _PURCHASE)),
        )
        .returning(*purchase.columns)
        .cte("recorded")
    )
    lines = _given("line", _LINE)
    written = _lines_inserted(recorded.c.customer_id, recorded.c.id, lines, recorded)
    return Prepared(select(recorded).add_cte(written.cte("written")))


def line_params(body: PurchaseIn) -> dict[str, list[Any]]:
    """The lines as parameters, a column each: one statement inserts the purchase with however many lines."""
    return _columns("line", _LINE, _line_rows(body))


# ---- many ------------------------------------------------------------------------------------------------------------


@cache
def insert_many() -> Prepared:
    """Insert purchases of customers who are held, and their lines: of each, its `place` and its new id.

    Of several with one order_ref the first counts; what was recorded before is left out. Run it with `many_params`.
    """
    rows, lines = _given("purchase", _ONE_OF_MANY), _given("line", {**_PLACE, **_LINE})
    given = select(counting_on(rows.c.place).label("id"), *rows.c).order_by(rows.c.place).cte("given")
    names = ["id", "customer_id", *_PURCHASE]
    recorded = (
        insert_or_nothing(purchase)
        .from_select(names, select(*(given.c[name] for name in names)).order_by(given.c.place))
        .on_conflict_do_nothing()
        .returning(purchase.c.customer_id, purchase.c.id)
        .cte("recorded")
    )
    found = recorded.join(given, given.c.id == recorded.c.id)
    whose = select(recorded.c.customer_id, recorded.c.id, given.c.place).select_from(found).cte("whose")
    of_these = whose.join(lines, lines.c.place == whose.c.place)
    written = _lines_inserted(whose.c.customer_id, whose.c.id, lines, of_these)
    return Prepared(select(whose.c.place, whose.c.id).add_cte(written.cte("written")))


def many_params(rows: Mapping[int, tuple[Mapping[str, Any], PurchaseIn]]) -> dict[str, list[Any]]:
    """The purchases as parameters, by their places: the customer with the purchase's columns, and what was said."""
    given = ([{"place": place, **values}[name] for name in _ONE_OF_MANY] for place, (values, _) in rows.items())
    lines = ((place, *line) for place, (_, body) in rows.items() for line in _line_rows(body))
    return _columns("purchase", _ONE_OF_MANY, given) | _columns("line", {**_PLACE, **_LINE}, lines)


# ---- their lines -----------------------------------------------------------------------------------------------------


def _line_rows(body: PurchaseIn) -> Iterator[tuple[Any, ...]]:
    """The lines, in the order of `_LINE`: what it says, and the how manieth that says just this."""
    seen = Counter[int]()
    for position, line in enumerate(lines_of(body), start=1):
        said = (line.product_ref, line.product_name, line.category, line.quantity, line.amount)
        digest = content_hash(*said, body.occurred_at)
        seen[digest] += 1
        yield digest, seen[digest], position, *said


def _lines_inserted(
    customer_id: ColumnElement[Any], purchase_id: ColumnElement[Any], lines: FromClause, source: FromClause
) -> Insert:
    rows = select(customer_id, purchase_id, *(lines.c[name] for name in _LINE)).select_from(source)
    return insert(purchase_line).from_select(["customer_id", "purchase_id", *_LINE], rows)


def _given(noun: str, types: _Types) -> FromClause:
    """Rows that are given as parameters, an array a column."""
    arrays = (bindparam(f"{noun}_{name}", type_=ARRAY(kind)) for name, kind in types.items())
    columns = (column(name, kind) for name, kind in types.items())
    return func.unnest(*arrays).table_valued(*columns).render_derived(name=f"{noun}s")


def _columns(noun: str, types: _Types, rows: Iterable[Sequence[Any]]) -> dict[str, list[Any]]:
    columns = [list(values) for values in zip(*rows, strict=True)] or [[] for _ in types]
    return {f"{noun}_{name}": values for name, values in zip(types, columns, strict=True)}
