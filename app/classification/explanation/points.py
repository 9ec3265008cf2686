"""The points of a score, part by part, and how one part alone could give those that are missing."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

from sqlalchemy import true

from app.classification.definitions import ScoreDocument, ScorePart
from app.classification.explanation.asking import Asked
from app.classification.explanation.judged import Judged, Need, need
from app.core.bounds import plain_decimal


def parts(
    document: ScoreDocument, values: Mapping[str, str | None], points: Sequence[Decimal | None]
) -> list[dict[str, Any]]:
    """Each part with its value, its points and the most it can give."""
    return [
        {
            "metric": part.metric,
            "value": values[part.metric],
            "points": None if given is None else plain_decimal(round(given, 4)),
            "at_most": plain_decimal(part.weight),
            "by": "linear" if part.linear is not None else "edges" if part.edges is not None else "bins",
        }
        for part, given in zip(document.parts, points, strict=True)
    ]


def alternatives(
    document: ScoreDocument,
    points: Sequence[Decimal | None],
    values: Mapping[str, str | None],
    judged: Sequence[Judged],
    at_least: int,
) -> list[Need]:
    """Changes of one metric that would each bring the score to `at_least`."""
    exact = [Fraction(given) for given in points if given is not None]
    lacking = at_least - sum(exact, Fraction(0))
    if lacking <= 0 or len(exact) != len(document.parts):
        return []
    found = [
        _linear_way(part, values[part.metric], Fraction(given or 0) + lacking)
        if part.linear is not None
        else _way(part, Fraction(given or 0) + lacking, [each for each in judged if _is_edge(each, group)])
        for group, (part, given) in enumerate(zip(document.parts, points, strict=True))
    ]
    return [each for each in found if each is not None]


def _is_edge(each: Judged, group: int) -> bool:
    return each.asked.group == group and each.asked.subject == "metric" and not each.asked.pointer


def _span(part: ScorePart, points: Fraction) -> Fraction | None:
    """How far from no points the part gives so many; None when it never does."""
    # Points are rounded where a weight is not divided evenly: a little too few are enough.
    wanted = (points - Fraction(1, 10**6)) * Fraction(part.span) / Fraction(part.weight)
    return wanted if wanted <= Fraction(part.span) else None


def _way(part: ScorePart, points: Fraction, edges: Sequence[Judged]) -> Need | None:
    if (wanted := _span(part, points)) is None:
        return None
    edge = edges[ceil(wanted) - 1] if part.higher_is_better else edges[len(edges) - ceil(wanted)]
    return None if edge.met or edge.threshold is None else need(edge, met=True)


def _linear_way(part: ScorePart, current: str | None, points: Fraction) -> Need | None:
    wanted = _span(part, points)
    if wanted is None or part.linear is None:
        return None
    rises = part.linear.start < part.linear.to
    units = (Fraction(part.linear.start) + (wanted if rises else -wanted)) * 10_000
    # Four digits after the point, to the side on which there are enough points.
    limit = plain_decimal(Decimal(ceil(units) if rises else floor(units)) / 10_000)
    asked = Asked(part.metric, 0, "metric", part.metric, "gte" if rises else "lte", limit, None, true())
    return Need(Judged(asked, current, limit, met=False, freshness=[], turns_on=None), asked.op, limit)
