"""What becomes of feedback when its customer is merged into another."""

from app.customers.merging.places import Moves, Place
from app.feedback.models import feedback, survey_invitation, survey_response

PLACES: list[Place] = [
    Moves(survey_invitation),
    Moves(survey_response),
    Moves(feedback, clashes=lambda mine, theirs: mine.c.reference == theirs.c.reference, renames="reference"),
]
