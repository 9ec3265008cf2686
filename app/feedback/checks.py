"""What must hold of surveys and feedback."""

from sqlalchemy import func, select

from app.core.checks import Check, announced
from app.customers.checks import belongs
from app.feedback.events import FeedbackReceived
from app.feedback.models import feedback, survey, survey_invitation, survey_response, survey_version
from app.feedback.staging import feedback_import_row
from app.imports.checks import waiting

_f, _r, _v = feedback.c, survey_response.c, survey_version.c
_in_force = (
    select(_v.number)
    .where(_v.survey_id == survey.c.id, _v.number == survey.c.published_version, _v.status == "published")
    .exists()
)
_asked = (
    select(_v.number)
    .where(_v.survey_id == _r.survey_id, _v.number == _r.survey_version, _v.status == "published")
    .exists()
)
_i = survey_invitation.c
_used = select(_r.id).where(_r.customer_id == _i.customer_id, _r.id == _i.response_id).exists()
_answered = select(_r.id).where(_r.customer_id == _f.customer_id, _r.id == _f.response_id).exists()

CHECKS = [
    belongs(feedback, "piece of feedback"),
    belongs(survey_response, "filled-in survey"),
    belongs(survey_invitation, "invitation to a survey"),
    announced("feedback.recorded", FeedbackReceived.name, "feedback_id", "piece of feedback recorded"),
    Check(
        "the version of a survey that is asked is a published one",
        examined=select(func.count()).select_from(survey).where(survey.c.published_version.is_not(None)),
        violations=select(survey.c.id, survey.c.published_version)
        .where(survey.c.published_version.is_not(None), ~_in_force)
        .order_by(survey.c.id),
    ),
    Check(
        "every filled-in survey answers a published version",
        examined=select(func.count()).select_from(survey_response),
        violations=select(_r.customer_id, _r.id, _r.survey_id, _r.survey_version)
        .where(~_asked)
        .order_by(_r.customer_id, _r.id),
    ),
    Check(
        "every answer to a survey is of a filled-in one",
        examined=select(func.count()).select_from(feedback).where(_f.response_id.is_not(None)),
        violations=select(_f.customer_id, _f.id, _f.response_id)
        .where(_f.response_id.is_not(None), ~_answered)
        .order_by(_f.customer_id, _f.id),
    ),
    Check(
        "every invitation that was answered leads to its answers",
        examined=select(func.count()).select_from(survey_invitation).where(_i.response_id.is_not(None)),
        violations=select(_i.customer_id, _i.id, _i.response_id)
        .where(_i.response_id.is_not(None), ~_used)
        .order_by(_i.customer_id, _i.id),
    ),
    Check(
        "no invitation that was withdrawn is answered",
        examined=select(func.count()).select_from(survey_invitation).where(_i.revoked_at.is_not(None)),
        violations=select(_i.customer_id, _i.id, _i.response_id)
        .where(_i.revoked_at.is_not(None), _i.response_id.is_not(None))
        .order_by(_i.customer_id, _i.id),
    ),
    waiting(feedback_import_row, "row of feedback"),
]
