"""Segments: schemes that know only in or out, by a condition or by a list of members that people keep."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Integer, Select, any_, cast, delete, func, literal, null, select
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert

from app.classification import catalogue, publishing, schemes, versions
from app.classification.definitions import IN, PopulationQuantile, SegmentDocument, StaticDocument
from app.classification.definitions.references import check_against
from app.classification.engine import Evaluation, exclude_evaluation
from app.classification.failures import decide_again
from app.classification.metrics import MEDIAN_GAP, METRICS
from app.classification.models import customer_class, recalculation, scheme, scheme_version, segment_member
from app.core import audit, clock, work
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, FieldError, Invalid, NotFound
from app.core.http.paging import Page
from app.core.http.problems import message_of, pointer_of
from app.core.predicates import MetricIs, Node, leaves, located
from app.customers.document import check_visible, visible_to
from app.customers.models import customer
from app.customers.queries import hold_reached
from app.identity.actor import Actor, Scope

READ = "segments:read"
WRITE = "segments:write"
KINDS = ("segment", "static")
GROUPS = ("static",)
"""The kind whose members people keep: what `/v1/groups` shows."""


class NotStatic(Conflict):
    type = "not-static"
    title = "The members of this segment follow from its condition"


# ---- making ----------------------------------------------------------------------------------------------------------


async def create(
    session: WriteSession,
    actor: Actor,
    *,
    key: str,
    title: str,
    description: str | None = None,
    when: Node | None = None,
    note: str | None = None,
) -> None:
    """A segment, in force at once: a static one empty, one with a condition as soon as a recalculation has filled it.

    Raises `Invalid` below /body/when for a condition that cannot be asked.
    """
    catalogue.check_may_define(actor, WRITE)
    document = StaticDocument(kind="static") if when is None else _asking(when)
    await catalogue.create(
        session,
        actor,
        key=key,
        title=title,
        description=description,
        document=document,
        note=note,
        pointer="/body",
    )
    if when is None:
        await exclude_evaluation(session)
        await publishing.switch(session, key, 1, breakpoints_id=None, by=session.principal)
    else:
        await versions.ask_to_publish(session, actor, key, 1, refit=True)


async def check_condition(session: ReadSession, when: Node) -> None:
    """Raises `Invalid` below /body/when for a condition that a new segment could not have, or not be counted by."""
    document = _asking(when)
    others = await schemes.documents(session)
    check_against({**others, "": document}, "", "/body")
    is_counted = (await schemes.published(session)).counts_categories
    for at, leaf in located(when, "/body/when"):
        if isinstance(leaf, MetricIs) and leaf.metric == "distinct_categories" and not is_counted:
            raise Invalid.at(f"{at}/metric", "not counted yet: a published scheme or segment has to ask for it first")


def _asking(when: Node) -> SegmentDocument:
    asked = [leaf.metric for leaf in leaves(when) if isinstance(leaf, MetricIs)]
    needed = {name for metric in asked if metric in METRICS for name in METRICS[metric].population}
    population = {MEDIAN_GAP: _median()} if MEDIAN_GAP in needed else {}
    try:
        return SegmentDocument(kind="segment", when=when, population=population)
    except ValidationError as error:
        errors = [FieldError("/body" + pointer_of(each["loc"]), message_of(each)) for each in error.errors()]
        raise Invalid("Correct the fields named in errors", errors=errors) from error


def _median() -> PopulationQuantile:
    return PopulationQuantile.model_validate({"of": "gap_days", "quantile": "0.5", "otherwise": "30"})


# ---- members ---------------------------------------------------------------------------------------------------------


async def put_member(session: WriteSession, actor: Actor, key: str, customer_id: UUID) -> None:
    """Put a customer into a static segment; it stays there if it is. Raises `NotFound`, `NotStatic`."""
    await check_visible(session, actor, customer_id, WRITE)
    await change_members(session, actor, key, add=[customer_id], remove=[])


async def take_member(session: WriteSession, actor: Actor, key: str, customer_id: UUID) -> None:
    """Take a customer out of a static segment. Raises `NotFound`, `NotStatic`."""
    await check_visible(session, actor, customer_id, WRITE)
    await change_members(session, actor, key, add=[], remove=[customer_id])


async def change_members(
    session: WriteSession, actor: Actor, key: str, *, add: Sequence[UUID], remove: Sequence[UUID]
) -> dict[str, int]:
    """Put customers in and take others out; they are classified again in the same transaction.

    Raises `Invalid` for customers that the actor may not put anywhere, or that are to go in and out at once.
    """
    await _check_static(session, key)
    await hold_visible(session, actor, {"add": add, "remove": remove})
    return await move(session, actor, key, add=add, remove=remove)


async def move(
    session: WriteSession,
    actor: Actor,
    key: str,
    *,
    add: Sequence[UUID],
    remove: Sequence[UUID] = (),
    evaluation: Evaluation | None = None,
) -> dict[str, int]:
    """Put these customers, who are held, in and take others out; who moved is classified again, by what is in force."""
    m = segment_member
    added = await session.all(
        upsert(m)
        .from_select(
            ["customer_id", "scheme", "added_by"],
            select(func.unnest(_ids(add)), literal(key), literal(session.principal)),
        )
        .on_conflict_do_nothing()
        .returning(m.c.customer_id)
    )
    removed = await session.all(
        delete(m).where(m.c.scheme == key, m.c.customer_id == any_(_ids(remove))).returning(m.c.customer_id)
    )
    moved = sorted(row["customer_id"] for row in (*added, *removed))
    if moved:
        await decide_again(session, moved, as_of=clock.business_now(), cause="event", evaluation=evaluation)
        after = {"added": [row[0] for row in added], "removed": [row[0] for row in removed]}
        audit.record(session, actor, "segment.members_changed", "scheme", key, after=after)
    return {"added": len(added), "removed": len(removed)}


async def _check_static(session: WriteSession, key: str) -> None:
    """Nobody deletes the segment before this transaction ends."""
    kind = await session.scalar(kind_in_force(key).with_for_update(read=True, of=scheme))
    if kind not in KINDS:
        raise NotFound(f"There is no segment {key}")
    if kind != "static":
        raise NotStatic(f"{key} has a condition; whoever it holds for is in")


def kind_in_force(key: str) -> Select[Any]:
    """The kind of the scheme's document; null before the first is in force, no row when it was deleted."""
    kind = select(scheme_version.c.document["kind"].astext).where(
        scheme_version.c.scheme == scheme.c.key, scheme_version.c.version == scheme.c.version
    )
    return select(kind.scalar_subquery()).select_from(scheme).where(scheme.c.key == key, scheme.c.retired_at.is_(None))


async def hold_visible(session: WriteSession, actor: Actor, asked: Mapping[str, Sequence[UUID]]) -> None:
    """Hold these customers, by the body's fields that name them. Raises `Invalid` as `change_members` does."""
    seen = await hold_reached(session, actor, WRITE, sorted({each for ids in asked.values() for each in ids}))
    added = set(asked.get("add", ()))
    errors = [
        FieldError(f"/body/{name}/{n}", why)
        for name, ids in asked.items()
        for n, each in enumerate(ids)
        if (why := _refusal(each, seen, both=name == "remove" and each in added)) is not None
    ]
    if errors:
        raise Invalid("Correct the fields named in errors", errors=errors)


def _refusal(customer_id: UUID, seen: set[UUID], *, both: bool) -> str | None:
    if customer_id not in seen:
        return "there is no such customer among those you may put into segments"
    return "this customer is to be added, too" if both else None


def _ids(ids: Sequence[UUID]) -> ColumnElement[Any]:
    return literal(list(ids), ARRAY(UuidType))


# ---- reading ---------------------------------------------------------------------------------------------------------


async def read(session: ReadSession, actor: Actor, key: str, permission: str = READ) -> dict[str, Any]:
    """One segment and how many of the customers that the actor may see are in it. Raises `NotFound`."""
    return await one_of(session, shown_segments(actor, permission), key)


async def one_of(session: ReadSession, statement: Select[Any], key: str, noun: str = "segment") -> dict[str, Any]:
    """The one of these segments that has the key. Raises `NotFound`."""
    row = await session.first(statement.where(scheme.c.key == key))
    if row is None:
        raise NotFound(f"There is no {noun} {key}")
    return _shown(row)


async def check_exists(session: ReadSession, key: str, kinds: Sequence[str] = KINDS) -> None:
    """Raises `NotFound` unless this is a segment of these kinds in force, and what `schemes.get` raises."""
    if (await schemes.get(session, key)).document.kind not in kinds:
        raise NotFound(f"{key} is no {'segment' if kinds == KINDS else 'group'}")


async def page(session: ReadSession, actor: Actor, page: Page) -> dict[str, Any]:
    """A page of segments, by key."""
    return await page_of(session, page, shown_segments(actor, READ))


async def page_of(session: ReadSession, page: Page, statement: Select[Any]) -> dict[str, Any]:
    """A page of these segments, by key."""
    statement = statement.order_by(scheme.c.key).limit(page.limit + 1)
    if (after := page.after()) is not None:
        statement = statement.where(scheme.c.key > after[0])
    rows = await session.all(statement)
    shown = [_shown(row) for row in rows[: page.limit]]
    return {"items": shown, "next_cursor": page.next_cursor(rows, [shown[-1]["key"]] if shown else [])}


def shown_segments(actor: Actor, permission: str, kinds: Sequence[str] = KINDS, *, counted: bool = True) -> Select[Any]:
    """Segments of these kinds; `counted`, with how many of the customers whom the permission reaches are in each."""
    v, latest, k, r = scheme_version.alias("v"), scheme_version.alias("latest"), customer_class.c, recalculation.c
    newest = select(func.max(latest.c.version)).where(latest.c.scheme == scheme.c.key).correlate(scheme)
    shown = func.coalesce(func.nullif(scheme.c.version, 0), newest.scalar_subquery())
    members = select(func.count()).where(k.scheme == scheme.c.key, k.class_ == IN)
    if actor.scope(permission) is not Scope.ALL:
        members = members.join_from(customer_class, customer, customer.c.id == k.customer_id)
        members = members.where(visible_to(actor, permission))
    filling = (
        select(r.id)
        .where(r.publishes.is_not(None), scheme.c.key == any_(r.schemes), work.under_way(recalculation))
        .order_by(r.id.desc())
        .limit(1)
    )
    return (
        select(
            scheme,
            v.c.document,
            v.c.note,
            (members.correlate(scheme).scalar_subquery() if counted else cast(null(), Integer)).label("customers"),
            filling.correlate(scheme).scalar_subquery().label("recalculation_id"),
        )
        .select_from(scheme.join(v, (v.c.scheme == scheme.c.key) & (v.c.version == shown)))
        .where(v.c.document["kind"].astext.in_(kinds), scheme.c.retired_at.is_(None))
    )


def _shown(row: Record) -> dict[str, Any]:
    document = schemes.read_document(row["document"])
    return {
        **row,
        "kind": row["document"]["kind"],
        "when": getattr(document, "when", None),
        "error": row["error"] or (document if isinstance(document, str) else None),
    }
