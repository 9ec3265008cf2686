"""A weighted score from 0 to 100: points for several metrics, and classes from so many points on."""

from collections.abc import Iterator
from decimal import Decimal
from math import ceil, floor
from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.classification.definitions.conditions import AskingDocument, metrics_of
from app.classification.definitions.document import MetricName, Part, increasing, refuse
from app.classification.definitions.reach import unreachable
from app.classification.metrics import METRICS, Age
from app.core.bounds import Code, DecimalText, Flag
from app.core.predicates import Node, Predicate

MAX_DAYS = 1_100
"""A linear part over an age gives other points every day: each is a day on which the customer is looked at again."""


class Linear(Part):
    """No points up to `from`, all points at `to` and beyond, in proportion between; `from` may be the larger one."""

    start: DecimalText = Field(alias="from")
    to: DecimalText


class ScorePart(Part):
    """The points for one metric, up to `weight`; none for an unknown value. One of bins, edges and linear.

    `bins`: so many, by the quantiles of those who have bought; `edges`: fixed ones. Of n bins the lowest gives no
    points, the highest all of them, each one between weight / (n - 1) more. A value on an edge belongs to the bin
    below it.
    """

    metric: MetricName
    weight: Annotated[DecimalText, Field(gt=0, le=100)]
    bins: Annotated[int, Field(ge=2, le=20)] | None = None
    edges: Annotated[list[DecimalText], Field(min_length=1, max_length=19)] | None = None
    linear: Linear | None = None
    higher_is_better: Flag = True

    @property
    def breakpoints(self) -> list[str]:
        """The names of the edges that the population decides."""
        return [f"{self.metric}_{edge}" for edge in range((self.bins or 1) - 1)]

    @property
    def span(self) -> Decimal:
        """How far it is from no points to all: in bins, or in the metric's unit."""
        if self.linear is not None:
            return abs(self.linear.to - self.linear.start)
        return Decimal(len(self.edges or self.breakpoints))

    @property
    def days(self) -> range:
        """The whole days on which a linear part over an age gives other points than the day before."""
        if self.linear is None or not isinstance(METRICS[self.metric].turns, Age):
            return range(0)
        low, high = sorted((self.linear.start, self.linear.to))
        return range(floor(low) + 1, ceil(high) + 1)

    def wrong(self) -> Iterator[tuple[str, str]]:
        """What is wrong with it, by JSON pointer."""
        if sum(way is not None for way in (self.bins, self.edges, self.linear)) != 1:
            yield "", "give one of bins, edges and linear"
        if self.edges and not increasing(self.edges):
            yield "/edges", "edges must increase"
        if self.linear is not None:
            if self.linear.start == self.linear.to:
                yield "/linear", "from and to must differ"
            if not self.higher_is_better:
                yield "/higher_is_better", "goes with bins and edges; swap from and to instead"
            if len(self.days) > MAX_DAYS:
                yield "/linear", f"from and to may lie {MAX_DAYS} days apart at most"


class ScoreThreshold(Part):
    """This class from so many points on, for whoever also meets the condition."""

    name: Code = Field(alias="class")
    at_least: Annotated[int, Field(ge=0, le=100)]
    when: Predicate | None = None


class ScoreDocument(AskingDocument):
    """Weighted points from 0 to 100, rounded down; the first threshold that is reached decides, else the default."""

    kind: Literal["score"]
    parts: Annotated[list[ScorePart], Field(min_length=1, max_length=10)]
    thresholds: Annotated[list[ScoreThreshold], Field(min_length=1, max_length=20)]
    default: Code

    @model_validator(mode="after")
    def _sensible(self) -> "ScoreDocument":
        refuse([*self._wrong_parts(), *self._wrong_thresholds()])
        return self

    def _wrong_parts(self) -> Iterator[tuple[str, str]]:
        total = sum(part.weight for part in self.parts)
        if total != 100:
            yield "/parts", f"weights must add up to 100, not {total}"
        seen: set[str] = set()
        for n, part in enumerate(self.parts):
            yield from ((f"/parts/{n}{at}", message) for at, message in part.wrong())
            if part.metric in seen:
                yield f"/parts/{n}/metric", f"{part.metric} gives points already"
            seen.add(part.metric)

    def _wrong_thresholds(self) -> Iterator[tuple[str, str]]:
        for n, threshold in enumerate(self.thresholds):
            above = self.thresholds[n - 1] if n else None
            if above and threshold.at_least > above.at_least - (above.when is None):
                yield f"/thresholds/{n}/at_least", "must lie below the threshold before it"
            if threshold.when is not None:
                yield from ((f"/thresholds/{n}/when", why) for why in unreachable([threshold.when]).values())
        names = self.class_names
        if len(names) != len(self.thresholds) + 1:
            yield "/thresholds", "each class has one threshold, the default has none"

    @property
    def conditions(self) -> list[tuple[str, Node]]:
        return [(f"/thresholds/{n}/when", each.when) for n, each in enumerate(self.thresholds) if each.when]

    @property
    def class_names(self) -> list[str]:
        return list(dict.fromkeys([*(threshold.name for threshold in self.thresholds), self.default]))

    @property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys([*(part.metric for part in self.parts), *metrics_of(self.leaves)]))

    @property
    def _breakpoints_of_its_own(self) -> set[str]:
        return {name for part in self.parts for name in (part.metric, *part.breakpoints)}

    @property
    def breakpoint_paths(self) -> dict[str, tuple[str, ...]]:
        edges = {name: (part.metric, str(edge)) for part in self.parts for edge, name in enumerate(part.breakpoints)}
        return edges | super().breakpoint_paths

    def read_score(self, score: int | None) -> dict[str, int] | None:
        """The whole points."""
        return None if score is None else {"score": score}
