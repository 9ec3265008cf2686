"""Changes of class on a customer's timeline."""

from sqlalchemy import Text, cast, func, literal, select

from app.classification.models import class_change
from app.classification.queries import READ
from app.customers.timeline import TimelinePart

_h = class_change.c

TIMELINE = TimelinePart(
    READ,
    select(
        _h.customer_id,
        _h.at,
        cast(_h.id, Text).label("id"),
        func.jsonb_build_object(
            literal("scheme", Text),
            _h.scheme,
            literal("from", Text),
            _h.from_class,
            literal("to", Text),
            _h.to_class,
            literal("cause", Text),
            _h.cause,
        ).label("details"),
    ),
)
