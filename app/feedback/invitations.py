"""Invitations to a survey: made for many customers at once, opened and answered by whoever has the link."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, func, insert, literal, select, update
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY

from app.core import audit, clock
from app.core.db import ReadSession, Record, WriteSession
from app.core.errors import Conflict, FieldError, Invalid, NotFound, Problem, TooManyRequests
from app.core.http.paging import Page
from app.core.http.problems import pointer_of
from app.customers.document import visible_to
from app.customers.fact_batches import UNKNOWN_CUSTOMER
from app.customers.merging.queries import stands_for
from app.customers.models import customer
from app.customers.queries import hold, hold_reached
from app.feedback import responses, surveys
from app.feedback.facts import WRITE
from app.feedback.links import BadLink, Link, sealed
from app.feedback.models import survey, survey_invitation, survey_version
from app.feedback.queries import READ
from app.feedback.rules import Fault, faults
from app.feedback.schemas.surveys import SurveyDocument
from app.identity.actor import Actor

UNKNOWN = "There is no such invitation among those of customers you may write about"
NOT_INVITED = "There is no open survey to which you are invited under this id"
_i = survey_invitation.c


class AnsweredAlready(Conflict):
    type = "answered-already"
    title = "This survey has been answered with this link"


class SurveyClosed(Problem):
    status = 410
    type = "survey-closed"
    title = "This survey is closed"


class RevokedLink(Problem):
    status = 410
    type = "revoked-link"
    title = "This link has been withdrawn"


class TooManyAnswers(TooManyRequests):
    type = "too-many-answers"
    title = "Too many attempts to answer; wait a minute"


class Opened(NamedTuple):
    """What an invitation asks, and the language of its customer, if it is known."""

    invitation: Record
    document: SurveyDocument
    language: str | None


class Unfinished(Invalid):
    """Answers that do not fit, kept so that they can be shown again."""

    def __init__(
        self, opened: Opened, answers: Mapping[str, Any], found: Mapping[str, Fault], *, at: Sequence[str] = ("body",)
    ) -> None:
        super().__init__(
            "Correct the answers named in errors",
            errors=[FieldError(pointer_of((*at, key)), responses.SAID[fault]) for key, fault in found.items()],
        )
        self.opened = opened
        self.answers = answers
        self.found = found


class Guest(NamedTuple):
    """Whoever has the link."""

    id: UUID
    kind: str = "survey_link"
    on_behalf_of: UUID | None = None


# ---- inviting --------------------------------------------------------------------------------------------------------


async def invite(
    session: WriteSession,
    actor: Actor,
    survey_id: UUID,
    *,
    customer_ids: Sequence[UUID],
    channel: str,
    days: int,
    secret: str,
) -> list[dict[str, Any]]:
    """An invitation to each customer, with its `token`. Raises `NotFound`, `NothingAsked`, `Invalid`."""
    number, _ = await surveys.asked(session, survey_id)
    reached = await hold_reached(session, actor, WRITE, customer_ids)
    unknown = [
        FieldError(f"/body/customer_ids/{n}", UNKNOWN_CUSTOMER)
        for n, each in enumerate(customer_ids)
        if each not in reached
    ]
    if unknown:
        raise Invalid("Correct the customers named in errors", errors=unknown)
    whom = func.unnest(literal(list(customer_ids), ARRAY(UuidType))).alias("whom")
    expires_at = clock.now().replace(microsecond=0) + timedelta(days=days)
    about = {"survey_id": survey_id, "survey_version": number, "channel": channel}
    given = {**about, "expires_at": expires_at, "created_by": session.principal}
    rows = await session.all(
        insert(survey_invitation)
        .from_select(["customer_id", *given], select(whom.column, *(literal(v, _i[k].type) for k, v in given.items())))
        .returning(survey_invitation)
    )
    audit.record(
        session, actor, "survey.invited", "survey", survey_id, after={**about, "customer_ids": list(customer_ids)}
    )
    return [
        {**dict(row), "token": sealed(secret, Link(row["customer_id"], row["id"], row["expires_at"]))} for row in rows
    ]


async def page(session: ReadSession, actor: Actor, survey_id: UUID, page: Page) -> dict[str, Any]:
    """A page of a survey's invitations, of customers whose feedback the actor may read, the latest first."""
    statement = (
        select(survey_invitation)
        .join(customer, customer.c.id == _i.customer_id)
        .where(_i.survey_id == survey_id, visible_to(actor, READ))
    )
    return await page.latest_first(session, statement)


async def revoke(session: WriteSession, actor: Actor, survey_id: UUID, invitation_id: UUID) -> None:
    """The invitation's link no longer works; that there was one stays listed. Again, it changes nothing.

    Raises `NotFound` for one of a customer out of reach, and `AnsweredAlready`.
    """
    about = (_i.survey_id == survey_id, _i.id == invitation_id)
    customer_id = await session.scalar(select(_i.customer_id).where(*about))
    if customer_id is None or not await hold_reached(session, actor, WRITE, [customer_id]):
        raise NotFound(UNKNOWN)
    # Whoever answers with the link at this moment holds the customer, too: one of both comes first.
    this = (_i.customer_id == customer_id, *about)
    row = await session.first(select(_i.response_id, _i.revoked_at).where(*this))
    if row is None:
        raise NotFound(UNKNOWN)
    if row["response_id"] is not None:
        raise AnsweredAlready
    if row["revoked_at"] is None:
        await session.execute(update(survey_invitation).where(*this).values(revoked_at=clock.now()))
        after = {"survey_id": survey_id, "customer_id": customer_id}
        audit.record(session, actor, "survey_invitation.revoked", "survey_invitation", invitation_id, after=after)


# ---- one's own -------------------------------------------------------------------------------------------------------


async def page_of_open(session: ReadSession, customer_id: UUID, page: Page, *, secret: str) -> dict[str, Any]:
    """A page of the surveys that wait for this customer's answers, the latest first, with their `token`."""
    return await page.latest_first(session, _open_ones(customer_id), lambda row: _asked(row, secret))


async def one_open(session: ReadSession, customer_id: UUID, invitation_id: UUID, *, secret: str) -> dict[str, Any]:
    """One of them. Raises `NotFound`."""
    row = await session.first(_open_ones(customer_id).where(_i.id == invitation_id))
    if row is None:
        raise NotFound(NOT_INVITED)
    return _asked(row, secret)


def _open_ones(customer_id: UUID) -> Select[Any]:
    return (
        select(survey_invitation, survey_version.c.document)
        .join(survey, survey.c.id == _i.survey_id)
        .join(
            survey_version,
            (survey_version.c.survey_id == _i.survey_id) & (survey_version.c.number == _i.survey_version),
        )
        .where(
            _i.customer_id == customer_id,
            _i.response_id.is_(None),
            _i.revoked_at.is_(None),
            _i.expires_at > clock.now(),
            survey.c.status == "open",
        )
    )


def _asked(row: Record, secret: str) -> dict[str, Any]:
    document = SurveyDocument.model_validate(row["document"])
    token = sealed(secret, Link(row["customer_id"], row["id"], row["expires_at"]))
    return {**row, "document": document, "title": document.title, "token": token}


# ---- answering -------------------------------------------------------------------------------------------------------


async def opened(session: ReadSession, link: Link) -> Opened:
    """What the link asks.

    Raises `BadLink` of a customer who is gone, `AnsweredAlready`, `RevokedLink`, `SurveyClosed`.
    """
    link = await _followed(session, link)
    row = await session.first(
        select(survey_invitation, survey.c.status, survey_version.c.document, customer.c.language)
        .join(customer, customer.c.id == _i.customer_id)
        .join(survey, survey.c.id == _i.survey_id)
        .join(
            survey_version,
            (survey_version.c.survey_id == _i.survey_id) & (survey_version.c.number == _i.survey_version),
        )
        .where(_i.customer_id == link.customer_id, _i.id == link.invitation_id)
    )
    if row is None:
        raise BadLink
    if row["response_id"] is not None:
        raise AnsweredAlready
    if row["revoked_at"] is not None:
        raise RevokedLink
    if row["status"] != "open":
        raise SurveyClosed
    return Opened(row, SurveyDocument.model_validate(row["document"]), row["language"])


async def answer(session: WriteSession, link: Link, given: Mapping[str, Sequence[str]]) -> Opened:
    """Keep the answers of a form, once. Raises as `opened` does, and `Unfinished`."""
    link = await _followed(session, link)
    found = await _held(session, link)
    await _keep(session, Guest(link.invitation_id), found, responses.read_form(found.document, given))
    return found


async def answer_as(
    session: WriteSession, actor: Actor, customer_id: UUID, invitation_id: UUID, answers: Mapping[str, Any]
) -> dict[str, Any]:
    """Keep the answers of the customer, who is logged in, once. Raises as `answer` does, and `NotFound`."""
    waiting = _open_ones(customer_id).where(_i.id == invitation_id)
    row = await session.first(waiting.with_only_columns(_i.expires_at, maintain_column_froms=True))
    if row is None:
        raise NotFound(NOT_INVITED)
    found = await _held(session, Link(customer_id, invitation_id, row["expires_at"]))
    return await _keep(session, actor, found, answers, at=("body", "answers"))


async def _held(session: WriteSession, link: Link) -> Opened:
    if not await hold(session, [link.customer_id]):  # merged just now, or gone
        link = await _followed(session, link)
        if not await hold(session, [link.customer_id]):
            raise BadLink
    # Whoever answers with the same link at the same time waits here.
    await session.all(
        select(_i.id).where(_i.customer_id == link.customer_id, _i.id == link.invitation_id).with_for_update()
    )
    return await opened(session, link)


async def _keep(
    session: WriteSession, who: audit.Who, found: Opened, answers: Mapping[str, Any], *, at: Sequence[str] = ("body",)
) -> dict[str, Any]:
    if wrong := dict(faults(found.document.questions, answers)):
        raise Unfinished(found, answers, wrong, at=at)
    asked = found.invitation
    made = await responses.keep(
        session,
        customer_id=asked["customer_id"],
        survey_id=asked["survey_id"],
        number=asked["survey_version"],
        document=found.document,
        answers=answers,
        channel=asked["channel"],
        answered_at=clock.business_now(),
    )
    await session.execute(
        update(survey_invitation)
        .where(_i.customer_id == asked["customer_id"], _i.id == asked["id"])
        .values(response_id=made["id"])
    )
    after = {name: made[name] for name in ("customer_id", "survey_id", "survey_version")}
    audit.record(session, who, "survey.answered", "survey_response", made["id"], after=after)
    return made


async def _followed(session: ReadSession, link: Link) -> Link:
    """The link of a customer who was merged since leads to the survivor."""
    return link._replace(customer_id=await stands_for(session, link.customer_id))
