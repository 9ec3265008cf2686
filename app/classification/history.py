"""What classes were: one customer's changes and everybody's, the whole base at an instant, who moved between two.

All of it is read from `class_change`: the last change up to an instant says what stood then.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Select,
    Subquery,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import distinct_on

from app.classification.definitions import BaseDocument
from app.classification.engine import Scheme
from app.classification.metrics import read_value
from app.classification.models import class_change, class_override, scheme_version
from app.classification.queries import READ, as_class, override_columns, with_shares
from app.classification.schemes import published, read_document
from app.core.db import ReadSession, Record
from app.core.http.paging import Page
from app.customers.document import visible_to
from app.customers.models import customer
from app.identity.actor import Actor, Scope
from app.purchases.queries import monetary_until

IMPORT = "import"

h = class_change.c


# ---- one customer ----------------------------------------------------------------------------------------------------


async def classes_at(session: ReadSession, customer_id: UUID, at: datetime) -> list[dict[str, Any]]:
    """A customer's classes at an instant: of each scheme the last change up to it, and the override of that time."""
    o = class_override.c
    overridden = and_(o.customer_id == h.customer_id, o.scheme == h.scheme, o.period.contains(_instant(at)))
    rows = await session.all(
        select(h.scheme, h.to_class, h.score, h.at.label("since"), h.as_of, h.version, *override_columns())
        .ext(distinct_on(h.scheme))
        .select_from(class_change.outerjoin(class_override, overridden))
        .where(h.customer_id == customer_id, h.at <= at)
        .order_by(h.scheme, h.at.desc(), h.id.desc())
    )
    evaluation = await published(session)
    return [
        as_class({**row, "class": row["to_class"], "pending_class": None}, evaluation)
        for row in rows
        if row["to_class"] is not None
    ]


async def history_of(session: ReadSession, customer_id: UUID, key: str, page: Page) -> dict[str, Any]:
    """A page of a customer's changes of class, the latest first."""
    return await _page_of_changes(
        session, select(class_change).where(h.customer_id == customer_id, h.scheme == key), page
    )


# ---- changes and why -------------------------------------------------------------------------------------------------


async def changes_in(
    session: ReadSession,
    actor: Actor,
    key: str,
    page: Page,
    *,
    cause: str | None,
    since: datetime | None,
    until: datetime | None,
) -> dict[str, Any]:
    """A page of a scheme's changes among the customers the actor may see, the latest first; `since` <= at < `until`."""
    statement = _visible(select(class_change).where(h.scheme == key), actor, h.customer_id)
    if cause == IMPORT:
        statement = statement.where(h.cause.startswith(f"{IMPORT}:"))
    elif cause is not None:
        statement = statement.where(h.cause == cause)
    if since is not None:
        statement = statement.where(h.at >= since)
    if until is not None:
        statement = statement.where(h.at < until)
    return await _page_of_changes(session, statement, page, [cause, since, until])


async def _page_of_changes(
    session: ReadSession, statement: Select[Any], page: Page, asked: Sequence[Any] = ()
) -> dict[str, Any]:
    scope = list(asked)
    statement = statement.order_by(h.at.desc(), h.id.desc()).limit(page.limit + 1)
    if (after := page.after(scope)) is not None:
        place = tuple_(literal(datetime.fromisoformat(after[0])), int(after[1]))
        statement = statement.where(tuple_(h.at, h.id) < place)
    rows = await session.all(statement)
    shown = rows[: page.limit]
    documents = await _documents(session, {(row["scheme"], row["version"]) for row in shown})
    last = [shown[-1]["at"], shown[-1]["id"]] if shown else []
    return {
        "items": [_change(row, documents[row["scheme"], row["version"]]) for row in shown],
        "next_cursor": page.next_cursor(rows, last, scope),
    }


async def _documents(
    session: ReadSession, versions: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], BaseDocument | None]:
    """The documents that decided, each read once; None for what is none any more."""
    v = scheme_version.c
    wanted = [and_(v.scheme == key, v.version == version) for key, version in sorted(versions)]
    if not wanted:
        return {}
    rows = await session.all(select(v.scheme, v.version, v.document).where(or_(*wanted)))
    found = {(row["scheme"], row["version"]): read_document(row["document"]) for row in rows}
    return {version: None if isinstance(document, str) else document for version, document in found.items()}


def _change(row: Record, document: BaseDocument | None) -> dict[str, Any]:
    """A change as people read it, by the document of the version that decided; without it no number has a name."""
    if document is None:
        return {**row, "score": None, "inputs": {}, "facts": []}
    # Who left a deleted scheme, was merged or parted again was not decided upon.
    inputs = zip(document.metrics, row["inputs"], strict=True) if row["inputs"] else ()
    facts = zip(document.facts, row["facts"] or (), strict=False)
    return {
        **row,
        "score": document.read_score(row["score"]),
        "inputs": {name: None if value is None else read_value(name, value) for name, value in inputs},
        "facts": [{"kind": fact.kind, "name": fact.name, "value": value} for fact, value in facts],
    }


# ---- everybody -------------------------------------------------------------------------------------------------------


def _instant(at: datetime) -> ColumnElement[datetime]:
    return literal(at, DateTime(timezone=True))


def _standing(key: str, at: datetime, name: str) -> Subquery:
    """Who was in a class of the scheme at an instant, and in which."""
    last = (
        select(h.customer_id, h.to_class)
        .ext(distinct_on(h.customer_id))
        .where(h.scheme == key, h.at <= at)
        .order_by(h.customer_id, h.at.desc(), h.id.desc())
        .subquery()
    )
    return select(last.c.customer_id, last.c.to_class.label("class")).where(last.c.to_class.is_not(None)).subquery(name)


def _visible(statement: Select[Any], actor: Actor, customer_id: ColumnElement[Any]) -> Select[Any]:
    if actor.scope(READ) is Scope.ALL:
        return statement
    return statement.join(customer, customer.c.id == customer_id).where(visible_to(actor, READ))


async def classes_summary_at(session: ReadSession, actor: Actor, key: str, at: datetime) -> list[dict[str, Any]]:
    """Customers and revenue of each class as they were at an instant, among the customers the actor may see."""
    standing, spent = _standing(key, at, "standing"), monetary_until(_instant(at)).subquery("spent")
    s = standing.c
    monetary = func.coalesce(func.sum(spent.c.monetary), 0).label("monetary")
    statement = (
        select(s["class"], func.count().label("customers"), monetary)
        .select_from(standing)
        .outerjoin(spent, spent.c.customer_id == s.customer_id)
        .group_by(s["class"])
    )
    return with_shares(await session.all(_visible(statement, actor, s.customer_id)))


def _moves(key: str, begin: datetime, end: datetime) -> Subquery:
    """Who was in a class at one of two instants: the class at each, null where there was none."""
    before, after = _standing(key, begin, "before"), _standing(key, end, "after")
    return (
        select(
            func.coalesce(before.c.customer_id, after.c.customer_id).label("customer_id"),
            before.c["class"].label("from_class"),
            after.c["class"].label("to_class"),
        )
        .select_from(before.outerjoin(after, after.c.customer_id == before.c.customer_id, full=True))
        .subquery("moves")
    )


async def movement(
    session: ReadSession, actor: Actor, each: Scheme, *, begin: datetime, end: datetime
) -> dict[str, Any]:
    """How many customers, worth how much at the end, went from which class to which."""
    moves, spent = _moves(each.key, begin, end), monetary_until(_instant(end)).subquery("spent")
    m = moves.c
    statement = (
        select(
            m.from_class.label("from"),
            m.to_class.label("to"),
            func.count().label("customers"),
            func.coalesce(func.sum(spent.c.monetary), 0).label("monetary"),
        )
        .select_from(moves)
        .outerjoin(spent, spent.c.customer_id == m.customer_id)
        .group_by(m.from_class, m.to_class)
    )
    rows = [dict(row) for row in await session.all(_visible(statement, actor, m.customer_id))]
    order = {name: rank for rank, name in enumerate(each.document.ranked)}
    rows.sort(key=lambda row: (_rank(order, row["from"]), _rank(order, row["to"])))
    return {"from": begin, "to": end, "items": rows, "totals": _totals(rows, order)}


def _rank(order: dict[str, int], name: str | None) -> tuple[int, str]:
    """Best first; then classes of earlier versions by name; none last."""
    return (len(order) + 1, "") if name is None else (order.get(name, len(order)), name)


def _totals(rows: Sequence[Record], order: dict[str, int]) -> dict[str, dict[str, Any]]:
    names = ("entered", "left", "stayed", "upgraded", "downgraded", "otherwise")
    totals: dict[str, dict[str, Any]] = {name: {"customers": 0, "monetary": Decimal(0)} for name in names}
    for row in rows:
        total = totals[_kind(row["from"], row["to"], order)]
        total["customers"] += row["customers"]
        total["monetary"] += row["monetary"]
    return totals


def _kind(before: str | None, after: str | None, order: dict[str, int]) -> str:
    if before is None:
        return "entered"
    if after is None:
        return "left"
    if before == after:
        return "stayed"
    if before not in order or after not in order:
        return "otherwise"
    return "upgraded" if order[after] < order[before] else "downgraded"


async def movers(
    session: ReadSession,
    actor: Actor,
    key: str,
    page: Page,
    *,
    begin: datetime,
    end: datetime,
    from_class: str | None,
    to_class: str | None,
    kind: str | None,
) -> dict[str, Any]:
    """A page of the customers behind the matrix; names only of those whom the actor may read."""
    moves, asked = _moves(key, begin, end), [begin, end, from_class, to_class, kind]
    m = moves.c
    found = _visible(select(m.customer_id, m.from_class, m.to_class), actor, m.customer_id).order_by(m.customer_id)
    if from_class is not None:
        found = found.where(m.from_class == from_class)
    if to_class is not None:
        found = found.where(m.to_class == to_class)
    if kind is not None:
        found = found.where(_of_kind(moves, kind))
    if (after := page.after(asked)) is not None:
        found = found.where(m.customer_id > UUID(after[0]))
    who = found.limit(page.limit + 1).cte("who").prefix_with("MATERIALIZED")
    spent = monetary_until(_instant(end), lambda each: each.in_(select(who.c.customer_id))).subquery("spent")
    rows = await session.all(
        select(
            who,
            case((visible_to(actor), customer.c.name)).label("name"),
            func.coalesce(spent.c.monetary, 0).label("monetary"),
        )
        .select_from(who.outerjoin(customer, customer.c.id == who.c.customer_id))  # who was merged has only a history
        .outerjoin(spent, spent.c.customer_id == who.c.customer_id)
        .order_by(who.c.customer_id)
    )
    shown = [dict(row) for row in rows[: page.limit]]
    last = [shown[-1]["customer_id"]] if shown else []
    return {"items": shown, "next_cursor": page.next_cursor(rows, last, asked)}


def _of_kind(moves: Subquery, kind: str) -> ColumnElement[bool]:
    before, after = moves.c.from_class, moves.c.to_class
    match kind:
        case "entered":
            return before.is_(None)
        case "left":
            return after.is_(None)
        case "stayed":
            return before == after
        case _:
            return before != after
