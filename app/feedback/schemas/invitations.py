"""Requests and answers of invitations to a survey."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field

from app.core.bounds import In, Key, Out


class SurveyInvitationsIn(In):
    """Whom to invite. Each link works once, for `days` days."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"customer_ids": ["01920000-0000-7000-8000-000000000001"], "channel": "email", "days": 14},
            ]
        }
    )

    customer_ids: Annotated[
        list[UUID], Field(min_length=1, max_length=1000), AfterValidator(lambda ids: list(dict.fromkeys(ids)))
    ]
    channel: Key = Field(description="how the links will be sent; the answers have it as their channel")
    days: Annotated[int, Field(strict=True, ge=1, le=365)] = 30


class SurveyInvitationOut(Out):
    """An invitation; `response_id` leads to its answers once they are given. With `revoked_at`, its link is dead."""

    id: UUID
    customer_id: UUID
    survey_id: UUID
    survey_version: int
    channel: str
    expires_at: datetime
    created_at: datetime
    created_by: str
    response_id: UUID | None
    revoked_at: datetime | None


class SurveyLinkOut(SurveyInvitationOut):
    """An invitation with its link, which only this answer shows."""

    url: str


class SurveyLinksOut(Out):
    """The invitations, one for each customer."""

    items: list[SurveyLinkOut]


class SurveyInvitationPage(Out):
    """A page of invitations, the latest first."""

    items: list[SurveyInvitationOut]
    next_cursor: str | None
