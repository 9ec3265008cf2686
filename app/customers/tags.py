"""Tags: put on one customer and taken off, and renamed, merged or deleted for everybody who carries them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, any_, func, literal, select, update
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.core import audit, jobs
from app.core.db import ReadSession, WriteSession
from app.core.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from app.core.events import keep, publish
from app.core.http.paging import Page
from app.core.jobs import Interrupted, JobContext
from app.customers.document import visible_to
from app.customers.events import CustomerChanged, CustomersChanged, TagReplaced
from app.customers.models import customer
from app.customers.schemas import MAX_TAGS
from app.customers.service import WRITE, apply, locked, note_shown
from app.identity.actor import Actor, Scope

WRITE_ALL = "tags:write"
JOB = "tags.replace"
CHUNK = 5_000


class TagTaken(Conflict):
    type = "tag-taken"
    title = "Customers carry this tag already"


# ---- of one customer -------------------------------------------------------------------------------------------------


async def put(session: WriteSession, actor: Actor, customer_id: UUID, tag: str) -> None:
    """Put the tag on the customer; nothing changes if it is there. Raises `NotFound`, `Invalid` for one too many."""
    before = await locked(session, actor, customer_id, WRITE)
    tags = sorted({*before["tags"], tag})
    if len(tags) > MAX_TAGS:
        raise Invalid.at("/path/tag", f"a customer carries {MAX_TAGS} tags at most; take one off first")
    if not await apply(session, actor, before, {"tags": tags}):
        note_shown(session, actor, customer_id)


async def take(session: WriteSession, actor: Actor, customer_id: UUID, tag: str) -> None:
    """Take the tag off the customer. Raises `NotFound`."""
    before = await locked(session, actor, customer_id, WRITE)
    if tag not in before["tags"]:
        raise NotFound("The customer does not carry this tag")
    await apply(session, actor, before, {"tags": [each for each in before["tags"] if each != tag]})


# ---- of everybody ----------------------------------------------------------------------------------------------------


async def page(session: ReadSession, actor: Actor, page: Page) -> dict[str, Any]:
    """Tags in the order of their characters, each with how many of the customers that the actor may see carry it."""
    each = func.unnest(customer.c.tags).column_valued("tag")
    tag: ColumnElement[Any] = each.collate("C")
    statement = select(each.label("tag"), func.count().label("customers")).select_from(customer)
    statement = statement.where(visible_to(actor)).group_by(each).order_by(tag).limit(page.limit + 1)
    if (after := page.after()) is not None:
        statement = statement.where(tag > literal(after[0], Text))
    rows = await session.all(statement)
    shown = [dict(row) for row in rows[: page.limit]]
    return {"items": shown, "next_cursor": page.next_cursor(rows, [shown[-1]["tag"]] if shown else [])}


async def rename(session: WriteSession, actor: Actor, tag: str, to: str) -> dict[str, int]:
    """Call the tag something that nothing is called yet. Raises `NotFound`, `TagTaken`."""
    _check_everybodys(actor)
    if not (carrying := await _carrying(session, [tag])):
        raise NotFound("Nobody carries this tag")
    if tag == to:
        return {"customers": carrying, "remaining": 0}
    if await _carrying(session, [to], at_most_one=True):
        raise TagTaken.at("/body/tag", f"customers carry {to} already; to make both one, merge them")
    return await _replace(session, actor, [tag], to, carrying)


async def merge(session: WriteSession, actor: Actor, tags: Sequence[str], into: str) -> dict[str, int]:
    """Whoever carries one of the tags carries `into` instead. Raises `Invalid` for a tag that nobody carries."""
    _check_everybodys(actor)
    errors = [
        FieldError(f"/body/tags/{n}", why) for n, tag in enumerate(tags) if (why := await _refusal(session, tag, into))
    ]
    if errors:
        raise Invalid("Correct the fields named in errors", errors=errors)
    return await _replace(session, actor, sorted(set(tags)), into, await _carrying(session, tags))


async def _refusal(session: ReadSession, tag: str, into: str) -> str | None:
    if tag == into:
        return "this is the tag that stays"
    return None if await _carrying(session, [tag], at_most_one=True) else "nobody carries this tag"


async def remove(session: WriteSession, actor: Actor, tag: str) -> dict[str, int]:
    """Take the tag off everybody. Raises `NotFound`."""
    _check_everybodys(actor)
    return await _replace(session, actor, [tag], None, await _carrying(session, [tag]))


def _check_everybodys(actor: Actor) -> None:
    if actor.scope(WRITE_ALL) is not Scope.ALL:
        raise Forbidden(
            f"A tag belongs to the whole company: changing it for everybody needs {WRITE_ALL} with scope all"
        )


async def _carrying(session: ReadSession, tags: Sequence[str], *, at_most_one: bool = False) -> int:
    found = select(customer.c.id).where(_carries_one_of(tags))
    if at_most_one:
        found = found.limit(1)
    return int(await session.scalar(select(func.count()).select_from(found.subquery())))


def _carries_one_of(tags: Sequence[str]) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = customer.c.tags.overlap(literal(list(tags), ARRAY(Text)))
    return condition


async def _replace(
    session: WriteSession, actor: Actor, tags: Sequence[str], into: str | None, carrying: int
) -> dict[str, int]:
    """The first customers in this transaction, the others by a job: nobody's purchase waits for a million updates."""
    if not carrying:
        raise NotFound("Nobody carries this tag")
    for tag in tags:
        audit.record(session, actor, "tag.replaced", "tag", tag, after={"into": into, "customers": carrying})
        await publish(session, TagReplaced(tag, into))
    changed = await replace_some(session, tags, into)
    if changed == CHUNK:
        await jobs.enqueue(session, JOB, {"tags": list(tags), "into": into})
    return {"customers": carrying, "remaining": max(carrying - changed, 0)}


async def run_replacing(context: JobContext) -> None:
    """The job: the customers who still carry the tags, a chunk at a time. Begun again, it finds whoever is left."""
    tags, into = context.payload["tags"], context.payload["into"]
    left = True
    while left:
        async with context.database.transaction(correlation_id=context.correlation_id) as session:
            left = await replace_some(session, tags, into) == CHUNK
        if left and context.stopping.is_set():
            raise Interrupted


async def replace_some(session: WriteSession, tags: Sequence[str], into: str | None) -> int:
    """Up to `CHUNK` customers, held in key order; announces who they were, and says how many."""
    some = select(customer.c.id).where(_carries_one_of(tags)).order_by(customer.c.id).limit(CHUNK)
    rows = await session.all(some.with_for_update(key_share=True))
    ids = [row["id"] for row in rows]
    if ids:
        changed = await session.all(
            update(customer)
            .where(customer.c.id == any_(literal(ids, ARRAY(UuidType))))
            .values(
                tags=func.array(_replaced(tags, into).scalar_subquery()),
                version=customer.c.version + 1,
                updated_at=func.now(),
            )
            .returning(customer.c.id, customer.c.version)
        )
        for row in changed:
            keep(session, CustomerChanged(row["id"], row["version"], ["tags"]))
        await publish(session, CustomersChanged(ids, ["tags"]))
    return len(ids)


def _replaced(tags: Sequence[str], into: str | None) -> Select[Any]:
    """The customer's tags as they will be: each once, in the order of their characters."""
    carried: ColumnElement[Any] = customer.c.tags
    if into is not None:
        carried = func.array_append(carried, literal(into, Text))
    each = func.unnest(carried).column_valued("carried")
    gone = each == any_(literal(list(tags), ARRAY(Text)))
    return select(each).where(~gone).group_by(each).order_by(each.collate("C")).correlate(customer)
