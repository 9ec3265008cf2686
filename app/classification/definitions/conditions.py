"""Documents that ask conditions: what may be asked, how much of it, and what the population must give for it."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from sqlalchemy import Text, column

from app.classification.definitions.document import BaseDocument, Fact, Part, Share, refuse
from app.classification.metrics import INSTANTS, MEDIAN_GAP, METRICS, metric_type
from app.core.bounds import DecimalText, Key
from app.core.errors import Invalid
from app.core.predicates import (
    ORDERED,
    BreakpointRef,
    ClassIs,
    FieldIs,
    HasEvents,
    HasTag,
    Leaf,
    MetricIs,
    compare,
    located,
)
from app.customers import fields
from app.purchases import counting

MAX_CONDITIONS = 200
MAX_FACTS = 20
MAX_EVENTS = 5
"""Events are counted customer by customer: each kind of them costs a pass over their purchases."""


class PopulationQuantile(Part):
    """A quantile of the population's gaps between purchase days; `otherwise` when there are no gaps."""

    of: Literal["gap_days", "first_gap_days"]
    quantile: Share
    otherwise: Annotated[DecimalText, Field(gt=0, le=36_500)]


def metrics_of(conditions: Iterable[Leaf]) -> list[str]:
    """The metrics that conditions compare, each once."""
    return list(dict.fromkeys(leaf.metric for leaf in conditions if isinstance(leaf, MetricIs)))


def facts_of(conditions: Iterable[Leaf]) -> list[Fact]:
    """Whatever else they ask, each once."""
    facts: dict[Fact, None] = {}
    for leaf in conditions:
        match leaf:
            case FieldIs():
                facts[Fact("field", leaf.field)] = None
            case HasTag():
                facts[Fact("tag", leaf.tag)] = None
            case ClassIs():
                facts[Fact("class", leaf.scheme)] = None
            case HasEvents():
                facts[Fact.of_events(leaf)] = None
    return list(facts)


class AskingDocument(BaseDocument):
    """A document with conditions, and with quantiles of the population under the names they have there."""

    population: dict[Key, PopulationQuantile] = Field(default={}, max_length=20)

    @model_validator(mode="after")
    def _askable(self) -> Self:
        asked = [each for pointer, node in self.conditions for each in located(node, pointer)]
        refuse([*self._wrong_leaves(asked), *self._wrong_population(), *self._too_much(len(asked))])
        return self

    def _wrong_leaves(self, asked: Iterable[tuple[str, Leaf]]) -> Iterator[tuple[str, str]]:
        for at, leaf in asked:
            try:
                _check(leaf, at)
            except Invalid as error:
                yield from ((each.pointer, each.message) for each in error.errors)
            if isinstance(leaf, MetricIs) and isinstance(leaf.value, BreakpointRef):
                name = leaf.value.breakpoint
                if name not in self.population:
                    yield f"{at}/value/breakpoint", f"there is no breakpoint {name} under population"

    def _wrong_population(self) -> Iterator[tuple[str, str]]:
        for name in self.population:
            if name == "id" or name in self._breakpoints_of_its_own:
                yield f"/population/{name}", f"{name} is a name of the breakpoints themselves"
        if not self._needs_median() <= self.population.keys():
            yield "/population", f"must define {MEDIAN_GAP}, which a metric in use needs"

    def _too_much(self, conditions: int) -> Iterator[tuple[str, str]]:
        events = [fact for fact in self.facts if fact.kind == "events"]
        for number, most, what in (
            (conditions, MAX_CONDITIONS, "conditions"),
            (len(self.facts), MAX_FACTS, "different fields, tags, classes and events"),
            (len(events), MAX_EVENTS, "different kinds of events"),
        ):
            if number > most:
                yield "", f"a document may ask {most} {what} at most"

    def _needs_median(self) -> set[str]:
        return {name for metric in self.metrics if metric in METRICS for name in METRICS[metric].population}

    @property
    def _breakpoints_of_its_own(self) -> set[str]:
        """Names among its breakpoints that the population's quantiles may not have."""
        return set()

    @property
    def leaves(self) -> list[Leaf]:
        """Every condition, in the order in which they are asked."""
        return [leaf for _, node in self.conditions for _, leaf in located(node)]

    @property
    def metrics(self) -> list[str]:
        return metrics_of(self.leaves)

    @property
    def facts(self) -> list[Fact]:
        return facts_of(self.leaves)

    @property
    def breakpoint_paths(self) -> dict[str, tuple[str, ...]]:
        return {name: (name,) for name in self.population}


def _check(leaf: Leaf, at: str) -> None:
    """Raises `Invalid` for a condition that no customer could ever be asked."""
    match leaf:
        case MetricIs():
            _check_metric(leaf, at)
        case FieldIs():
            compare(fields.field(leaf.field, pointer=f"{at}/field"), leaf.op, leaf.value, at)
        case ClassIs():
            compare(column(leaf.scheme, Text), leaf.op, leaf.value, at)
        case HasEvents():
            counting.conditions_of(leaf, at)


def _check_metric(leaf: MetricIs, at: str) -> None:
    if leaf.metric not in METRICS:
        raise Invalid.at(f"{at}/metric", f"there is no metric {leaf.metric}; there are: {', '.join(METRICS)}")
    if isinstance(leaf.value, BreakpointRef):
        if leaf.op not in ORDERED or leaf.metric in INSTANTS:
            raise Invalid.at(f"{at}/op", "a breakpoint is a number to be above or below: lt, lte, gt, gte")
        return
    compare(column(leaf.metric, metric_type(leaf.metric)), leaf.op, leaf.value, at)
