"""Possible duplicates as one may see them: both customers must be visible, and contact data readable to count."""

import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, any_, case, false, literal, or_, select, true, tuple_
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.db import ReadSession, Record
from app.core.errors import NotFound
from app.core.http.paging import Page
from app.customers.document import READ_CONTACT, check_visible, documents, visible_to
from app.customers.duplicates.models import customer_duplicate, duplicate_dismissal
from app.customers.duplicates.rules import LISTED, Reason, compare, keys_of, plain, score, without_addresses
from app.customers.duplicates.schemas import DuplicateSearchIn
from app.customers.duplicates.traits import blocks, traits_from, traits_of
from app.customers.models import customer
from app.customers.service import normal_identities
from app.identity.actor import Actor
from app.identity.scopes import scope_params, within_scope

READ = "customers:read"
READ_ADDRESSES = "addresses:read"
MOST = 20
_d, _c = customer_duplicate.c, customer.c
_other = customer.alias("other")
_one, _two = duplicate_dismissal.c.customer_id, duplicate_dismissal.c.other_id
# After a merge the same may stand in both directions.
_dismissal = (
    select(duplicate_dismissal)
    .where(or_(and_(_one == _d.customer_id, _two == _d.other_id), and_(_one == _d.other_id, _two == _d.customer_id)))
    .limit(1)
    .lateral("dismissal")
)
_x = _dismissal.c


class Found(NamedTuple):
    """An answer as JSON text, and which customers it shows."""

    content: str
    customers: list[UUID]


async def page_of(
    session: ReadSession,
    actor: Actor,
    page: Page,
    *,
    customer_id: UUID | None = None,
    at_least: int = LISTED,
    dismissed: bool = False,
) -> Found:
    """A page of pairs as JSON text, the likeliest first; of one customer, if it is named. Raises `NotFound`."""
    statement = _pairs(actor)
    shown = statement.selected_columns["shown"]
    asked = [str(customer_id), at_least, dismissed]
    statement = statement.where(
        shown >= at_least, _x.customer_id.is_not(None) if dismissed else _x.customer_id.is_(None)
    )
    if customer_id is not None:
        await check_visible(session, actor, customer_id)
        statement = statement.where(or_(_d.customer_id == customer_id, _d.other_id == customer_id))
    if (after := page.after(asked)) is not None:
        behind = tuple_(_d.customer_id, _d.other_id) > tuple_(UUID(after[1]), UUID(after[2]))
        statement = statement.where(shown <= after[0], or_(shown < after[0], behind))
    rows = await session.all(statement.order_by(shown.desc(), _d.customer_id, _d.other_id).limit(page.limit + 1))
    on_it = rows[: page.limit]
    last = [on_it[-1][name] for name in ("shown", "customer_id", "other_id")] if on_it else []
    cursor = page.next_cursor(rows, last, asked)
    items, customers = await _written(session, actor, on_it)
    said = "null" if cursor is None else f'"{cursor}"'
    return Found(f'{{"items":[{",".join(items)}],"next_cursor":{said}}}', customers)


async def one(session: ReadSession, actor: Actor, duplicate_id: UUID, permission: str = READ) -> Found:
    """One pair as JSON text. Raises `NotFound`."""
    row = await pair(session, actor, duplicate_id, permission)
    items, customers = await _written(session, actor, [row], permission)
    if not items:
        raise NotFound("There is no such pair among the customers you may see")
    return Found(items[0], customers)


async def pair(session: ReadSession, actor: Actor, duplicate_id: UUID, permission: str = READ) -> Record:
    """One pair, listed for this actor or dismissed. Raises `NotFound`."""
    statement = _pairs(actor, permission)
    listed = statement.selected_columns["shown"] >= LISTED
    row = await session.first(statement.where(_d.id == duplicate_id, listed))
    if row is None:
        raise NotFound("There is no such pair among the customers you may see")
    return row


async def search(session: ReadSession, actor: Actor, body: DuplicateSearchIn) -> Found:
    """Who may be the customer described, among those the actor sees, as JSON text; nothing is kept."""
    given = [*normal_identities(body.identities, "/body")]
    traits = traits_from(
        body.model_dump(include={"kind", "name", "region", "company_id", "birthday"}), body.phone, body.email, given
    )
    alike = {each for holders in await blocks(session, keys_of(traits), least=1) for each in holders}
    clear = {row["id"]: row["clear"] for row in await session.all(_seen(actor, alike))}
    matches = []
    for customer_id, each in (await traits_of(session, clear)).items():
        reasons = compare(traits, each).reasons
        reasons = reasons if clear[customer_id] else plain(reasons)
        if (found := score(reasons)) >= LISTED:
            matches.append((found, customer_id, reasons))
    matches = sorted(matches, key=lambda match: (-match[0], match[1]))[:MOST]
    shown = await _documents(session, actor, {customer_id for _, customer_id, _ in matches})
    items = [
        f'{{"score":{found},"reasons":{_reasons(reasons)},"customer":{shown[customer_id]}}}'
        for found, customer_id, reasons in matches
        if customer_id in shown
    ]
    return Found(f'{{"matches":[{",".join(items)}]}}', list(shown))


def _seen(actor: Actor, customer_ids: Collection[UUID]) -> Select[Any]:
    those = literal(list(customer_ids), ARRAY(UuidType))
    clear = visible_to(actor, READ_CONTACT).label("clear")
    return select(_c.id, clear).where(_c.id == any_(those), visible_to(actor))


def _pairs(actor: Actor, permission: str = READ) -> Select[Any]:
    """The pairs of whom the actor sees both; `shown` is the score that it may know."""
    seen = _both(actor, permission)
    clear, placed = _both(actor, READ_CONTACT), _both(actor, READ_ADDRESSES)
    dismissal = (_x.why, _x.dismissed_by, _x.dismissed_at)
    return (
        select(*customer_duplicate.columns, clear.label("clear"), placed.label("placed"))
        .add_columns(_chosen(clear, _chosen(placed, _d.score, _d.contact_score), _d.plain_score).label("shown"))
        .add_columns(*dismissal)
        .select_from(customer_duplicate)
        .join(customer, _c.id == _d.customer_id)
        .join(_other, _other.c.id == _d.other_id)
        .outerjoin(_dismissal, true())
        .where(seen)
    )


def _both(actor: Actor, permission: str) -> ColumnElement[bool]:
    other = within_scope(actor, permission, owner=_other.c.owner_id, unit=_other.c.unit_id)
    return and_(visible_to(actor, permission), other)


def _chosen(told: ColumnElement[bool], score: ColumnElement[int], otherwise: ColumnElement[int]) -> ColumnElement[int]:
    """Of whoever may be told everything, or nothing, the column itself: the index is in its order."""
    if told.compare(true()):
        return score
    if told.compare(false()):
        return otherwise
    return case((told, score), else_=otherwise)


async def _written(
    session: ReadSession, actor: Actor, rows: Collection[Record], permission: str = READ
) -> tuple[list[str], list[UUID]]:
    shown = await _documents(
        session, actor, {row[name] for row in rows for name in ("customer_id", "other_id")}, permission
    )
    items = [
        f'{{{_about(row)},"customer":{shown[row["customer_id"]]},"other":{shown[row["other_id"]]}}}'
        for row in rows
        if row["customer_id"] in shown and row["other_id"] in shown
    ]
    return items, list(shown)


def _about(row: Record) -> str:
    reasons = {Reason(name): weight for name, weight in row["reasons"].items()}
    dismissal = None
    if row["dismissed_at"] is not None:
        dismissal = {name: row[name] for name in ("why", "dismissed_by")}
        dismissal["dismissed_at"] = row["dismissed_at"].isoformat()
    said = {"id": str(row["id"]), "score": row["shown"], "found_at": row["found_at"].isoformat()}
    told = json.dumps({**said, "dismissal": dismissal})[1:-1]
    if not row["clear"]:
        reasons = plain(reasons)
    elif not row["placed"]:
        reasons = without_addresses(reasons)
    return f'{told},"reasons":{_reasons(reasons)}'


def _reasons(reasons: Mapping[Reason, int]) -> str:
    strongest_first = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
    return json.dumps([{"reason": reason, "weight": weight} for reason, weight in strongest_first])


async def _documents(
    session: ReadSession, actor: Actor, customer_ids: Collection[UUID], permission: str = READ
) -> dict[UUID, str]:
    those = literal(list(customer_ids), ARRAY(UuidType))
    rows = await session.all(documents(actor, permission).where(_c.id == any_(those)), scope_params(actor))
    return {row["id"]: row["document"] for row in rows}
