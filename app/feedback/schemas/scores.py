"""Answers about scores."""

from datetime import date
from typing import Literal

from pydantic import Field

from app.core.bounds import Count, DecimalText, Out
from app.feedback.schemas.facts import Measure

ScoresBy = Literal["customer", "unit", "class", "topic", "channel"]
Period = Literal["week", "month", "quarter", "year"]


class ScoreOut(Out):
    """What a group's answers to one measure come to, in a period."""

    group: str | None = Field(
        description="customer id, unit id, class, topic or channel; null when all are one, or of those in none"
    )
    period: date | None = Field(description="the period's first day; null when all time is one")
    measure: Measure
    answers: Count
    score: DecimalText = Field(
        description="nps: % promoters minus % detractors; csat: % of 4 and 5; ces: mean of 1-7. Rounded to 4 places"
    )
    mean: DecimalText = Field(description="the mean of the scores, rounded to 4 places")
    best: Count | None = Field(description="promoters (9-10), satisfied (4-5)")
    worst: Count | None = Field(description="detractors (0-6), dissatisfied (1-2)")


class ScorePage(Out):
    """A page of scores, by group, period and measure."""

    items: list[ScoreOut]
    next_cursor: str | None
