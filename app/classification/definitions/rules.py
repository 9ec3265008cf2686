"""Ordered rules over metrics, fields, tags, classes and events: the first that holds decides."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.classification.definitions.document import BaseDocument, Fact, Part, Share, check_leaf
from app.classification.metrics import MEDIAN_GAP, METRICS
from app.core.bounds import Code, DecimalText, Key
from app.core.predicates import (
    BreakpointRef,
    ClassIs,
    FieldIs,
    HasEvents,
    HasTag,
    Leaf,
    MetricIs,
    Node,
    Predicate,
    leaves,
)


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


class PopulationQuantile(Part):
    """A quantile of the population's gaps between purchase days; `otherwise` when there are no gaps."""

    of: Literal["gap_days", "first_gap_days"]
    quantile: Share
    otherwise: Annotated[DecimalText, Field(gt=0)]


class Rule(Part):
    """When the condition holds, this class."""

    name: Code = Field(alias="class")
    when: Predicate


class RulesDocument(BaseDocument):
    """Ordered rules: the first that holds decides, else the default."""

    kind: Literal["rules"]
    population: dict[Key, PopulationQuantile] = Field(default={}, max_length=20)
    rules: Annotated[list[Rule], Field(min_length=1, max_length=50)]
    default: Code

    @model_validator(mode="after")
    def _known_names(self) -> "RulesDocument":
        for leaf in self.leaves:
            check_leaf(leaf)
            if not isinstance(leaf, MetricIs):
                continue
            if isinstance(leaf.value, BreakpointRef) and leaf.value.breakpoint not in self.population:
                raise ValueError(f"there is no breakpoint {leaf.value.breakpoint} under population")
        if "id" in self.population:
            raise ValueError("population: id is a name of the breakpoints themselves")
        if not self._needs_median() <= self.population.keys():
            raise ValueError(f"population must define {MEDIAN_GAP}, which a metric in use needs")
        return self

    @property
    def conditions(self) -> list[tuple[str, Node]]:
        return [(f"/rules/{n}/when", rule.when) for n, rule in enumerate(self.rules)]

    @property
    def leaves(self) -> list[Leaf]:
        """Every condition, in the order of the rules."""
        return [leaf for rule in self.rules for leaf in leaves(rule.when)]

    def _needs_median(self) -> set[str]:
        return {name for metric in self.metrics for name in METRICS[metric].population}

    @property
    def class_names(self) -> list[str]:
        return list(dict.fromkeys([*(rule.name for rule in self.rules), self.default]))

    @property
    def metrics(self) -> list[str]:
        return metrics_of(self.leaves)

    @property
    def facts(self) -> list[Fact]:
        return facts_of(self.leaves)

    @property
    def breakpoint_paths(self) -> dict[str, tuple[str, ...]]:
        return {name: (name,) for name in self.population}
