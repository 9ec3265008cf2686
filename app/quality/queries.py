"""The report: how many customers have which finding, in all and by source or owner, and who they are."""

from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Select, Text, cast, func, literal, literal_column, or_, select

from app.core import clock
from app.core.db import ReadSession, Record
from app.core.http.paging import Page
from app.core.settings import get_settings
from app.customers.document import documents, visible_to
from app.customers.models import customer
from app.identity.actor import Actor
from app.identity.scopes import scope_params
from app.quality.findings import Findings, findings
from app.quality.rules import Finding

READ = "customers:read"
NONE = "-"
By = Literal["source", "owner"]
_GROUPS: dict[By, ColumnElement[Any]] = {"source": customer.c.source, "owner": cast(customer.c.owner_id, Text)}


class Found(NamedTuple):
    """A page of customers as JSON text, and who is on it."""

    content: str
    customers: list[UUID]


def stale_before() -> datetime:
    """The instant since when something must have happened with a customer."""
    return clock.business_now() - timedelta(days=get_settings().stale_after_days)


async def report(session: ReadSession, actor: Actor) -> dict[str, Any]:
    """How many customers the actor sees, and how many of them have which finding."""
    found = findings(actor, stale_before())
    row = await session.first(_counts(_each(found).where(visible_to(actor)).subquery("each")))
    assert row is not None
    return _counted(row)


async def page_of_groups(session: ReadSession, actor: Actor, page: Page, by: By) -> dict[str, Any]:
    """A page of the report by source or by owner, in the order of their characters; those without come first."""
    found = findings(actor, stale_before())
    group = func.coalesce(_GROUPS[by], "").collate("C")
    where = [visible_to(actor)]
    if (after := page.after(by)) is not None:
        where.append(group > literal(after[0], Text))
    each = _each(found, group.label("group")).where(*where).subquery("each")
    statement = _counts(each).add_columns(each.c.group).group_by(each.c.group)
    rows = await session.all(statement.order_by(each.c.group).limit(page.limit + 1))
    on_it = rows[: page.limit]
    return {
        "items": [{"name": row["group"] or None, **_counted(row)} for row in on_it],
        "next_cursor": page.next_cursor(rows, [on_it[-1]["group"]] if on_it else [], by),
    }


def _each(found: Findings, *columns: ColumnElement[Any]) -> Select[Any]:
    """A row for each customer: of each finding, whether it has it.

    The offset keeps it a step of its own: each condition is looked at once, not once more for whether any holds.
    """
    held = (how.label(finding) for finding, how in found.conditions.items())
    return select(*columns, *held).select_from(found.source).offset(literal_column("0"))


def _counts(each: FromClause) -> Select[Any]:
    counts: list[ColumnElement[Any]] = [func.count().filter(each.c[finding]).label(finding) for finding in Finding]
    wrong = func.count().filter(or_(*(each.c[finding] for finding in Finding)))
    columns: list[ColumnElement[Any]] = [func.count().label("of"), wrong.label("wrong"), *counts]
    return select(*columns)


def _counted(row: Record) -> dict[str, Any]:
    return {
        "customers": row["of"],
        "with_findings": row["wrong"],
        "findings": [{"finding": each, "kind": each.kind, "customers": row[each]} for each in Finding],
    }


async def page_of_customers(
    session: ReadSession, actor: Actor, page: Page, finding: Finding, *, source: str | None, owner: UUID | str | None
) -> Found:
    """A page of the customers behind a count, as JSON text, by their ids; `-` is no source, or no owner."""
    found = findings(actor, stale_before())
    asked = [finding, source, owner]
    statement = documents(actor).select_from(found.source).where(found.conditions[finding], *_narrowed(source, owner))
    if (after := page.after(asked)) is not None:
        statement = statement.where(customer.c.id > UUID(after[0]))
    rows = await session.all(statement.order_by(customer.c.id).limit(page.limit + 1), scope_params(actor))
    on_it = rows[: page.limit]
    cursor = page.next_cursor(rows, [on_it[-1]["id"]] if on_it else [], asked)
    items = ",".join(row["document"] for row in on_it)
    said = "null" if cursor is None else f'"{cursor}"'
    return Found(f'{{"items":[{items}],"next_cursor":{said},"total":null}}', [row["id"] for row in on_it])


def _narrowed(source: str | None, owner: UUID | str | None) -> list[ColumnElement[bool]]:
    asked = ((customer.c.source, source), (customer.c.owner_id, owner))
    return [column.is_(None) if value == NONE else column == value for column, value in asked if value is not None]


def by_owner(actor: Actor) -> Select[Any]:
    """For each owner of customers who need attention: `owner_id`, how many they are, and of which finding how many."""
    found = findings(actor, stale_before())
    each = _each(found, customer.c.owner_id).where(customer.c.owner_id.is_not(None)).subquery("each")
    counts: list[Any] = []
    for finding in Finding:
        counts += [literal(finding.value, Text), func.nullif(func.count().filter(each.c[finding]), 0)]
    told = func.jsonb_strip_nulls(func.jsonb_build_object(*counts)).label("findings")
    wrong = or_(*(each.c[finding] for finding in Finding))
    return select(each.c.owner_id, func.count().label("customers"), told).where(wrong).group_by(each.c.owner_id)
