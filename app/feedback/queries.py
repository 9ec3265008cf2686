"""SELECTs over feedback and filled-in surveys. What a person can ask starts from what that one may see."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, and_, cast, func, literal, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from app.core.db import ReadSession
from app.core.errors import NotFound
from app.core.http.paging import Page
from app.customers.document import visible_to
from app.customers.models import customer
from app.customers.seen import looked_up_first
from app.customers.timeline import TimelinePart
from app.feedback.models import feedback, survey_response
from app.feedback.rules import LOW, LOW_STARS
from app.identity.actor import Actor

READ = "feedback:read"
_f, _r = feedback.c, survey_response.c
_answer = func.coalesce(func.to_jsonb(_f.score), func.to_jsonb(_f.text), func.to_jsonb(_f.choices))


def visible_feedback(actor: Actor) -> Select[Any]:
    """Feedback of the customers whose feedback this actor may read."""
    return select(feedback).join(customer, customer.c.id == _f.customer_id).where(visible_to(actor, READ))


async def one(session: ReadSession, actor: Actor, customer_id: UUID, feedback_id: UUID) -> dict[str, Any]:
    """What a customer once said. Raises `NotFound` out of the actor's reach."""
    row = await session.first(visible_feedback(actor).where(_f.customer_id == customer_id, _f.id == feedback_id))
    if row is None:
        raise NotFound("There is no such feedback among what you may see")
    return dict(row)


async def page_of_feedback(
    session: ReadSession, actor: Actor, page: Page, *, filters: Mapping[str, Any], customer_id: UUID | None = None
) -> dict[str, Any]:
    """A page, the latest first."""
    statement = visible_feedback(actor).where(*conditions(filters))
    if customer_id is None:
        statement = statement.where(*await looked_up_first(session, actor, READ, _f.customer_id))
    else:
        statement = statement.where(_f.customer_id == customer_id)
    return await page.latest_facts(session, statement, feedback, filters)


def conditions(filters: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """What is asked of feedback: `kind`, `measure`, `channel`, `topic`, `since` and `until` (half-open)."""
    made = {
        "kind": lambda value: _f.kind == value,
        "measure": lambda value: _f.measure == value,
        "channel": lambda value: _f.channel == value,
        "topic": lambda value: _f.topic == value,
        "since": lambda value: _f.occurred_at >= value,
        "until": lambda value: _f.occurred_at < value,
    }
    return [made[name](value) for name, value in filters.items()]


async def page_of_responses(session: ReadSession, actor: Actor, survey_id: UUID, page: Page) -> dict[str, Any]:
    """A page of a survey's filled-in ones, of the customers whose feedback the actor may read, the latest first."""
    answers = (
        select(func.jsonb_object_agg(_f.question, _answer))
        .where(_f.customer_id == _r.customer_id, _f.response_id == _r.id)
        .correlate(survey_response)
        .scalar_subquery()
    )
    statement = (
        select(survey_response, func.coalesce(answers, literal({}, JSONB)).label("answers"))
        .join(customer, customer.c.id == _r.customer_id)
        .where(_r.survey_id == survey_id, visible_to(actor, READ))
    )
    return await page.latest_first(session, statement)


def scored_low(row: ReadOnlyColumnCollection[str, Any]) -> ColumnElement[bool]:
    """Whether a row of feedback has a score that somebody should hear of: `rules.is_low` as SQL."""
    on_scales = (and_(row.measure == measure, row.score <= lowest) for measure, lowest in LOW.items())
    return or_(*on_scales, and_(row.kind == "review", row.score <= LOW_STARS))


def _timeline() -> Select[Any]:
    details = func.jsonb_build_object(
        *(
            part
            for name in ("kind", "measure", "score", "channel", "topic")
            for part in (literal(name, Text), cast(_f[name], Text) if name == "score" else _f[name])
        )
    )
    return select(_f.customer_id, _f.occurred_at.label("at"), cast(_f.id, Text).label("id"), details.label("details"))


TIMELINE = TimelinePart(READ, _timeline())
"""What a customer said, on its timeline."""
