"""What every scheme document has: its kind's own words, how classes move, how often breakpoints are fitted anew."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from app.classification.metrics import METRICS
from app.core.bounds import Code, DecimalText, Key, Line
from app.core.predicates import HasEvents, Node

Share = Annotated[DecimalText, Field(gt=0, lt=1)]
Days = Annotated[int, Field(ge=0, le=3_650)]
Freshness = Literal["event", "clock", "population"]


def known_metric(name: str) -> str:
    """The name; ValueError when there is no such metric."""
    if name not in METRICS:
        raise ValueError(f"there is no metric {name}; there are: {', '.join(METRICS)}")
    return name


def _number_of_its_own(name: str) -> str:
    metric = METRICS[known_metric(name)]
    if metric.unit == "instant":
        raise ValueError(f"{name} is an instant; breakpoints are found among numbers")
    if metric.population:
        raise ValueError(f"{name} depends on the population; it cannot decide the population's breakpoints")
    return name


MetricName = Annotated[Key, AfterValidator(_number_of_its_own)]
"""A metric that is a number and needs no breakpoints itself."""


def refuse(wrong: Iterable[tuple[str, str]]) -> None:
    """Raises a ValidationError that says of each JSON pointer what is wrong there; nothing when nothing is."""
    errors = [
        InitErrorDetails(
            type=PydanticCustomError("document", "{message}", {"message": message}), loc=_location(at), input=None
        )
        for at, message in wrong
    ]
    if errors:
        raise ValidationError.from_exception_data("document", errors)


def _location(pointer: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in pointer.split("/")[1:])


@dataclass(frozen=True, slots=True)
class Fact:
    """What a document reads besides metrics: a field of the record, a tag, a class, events, a membership.

    `name` is the field's, the tag's or the scheme's; of events it is their condition as JSON; a membership has none.
    """

    kind: Literal["field", "tag", "class", "events", "member"]
    name: str = ""

    @classmethod
    def of_events(cls, leaf: HasEvents) -> "Fact":
        return cls("events", json.dumps(leaf.model_dump(mode="json", by_alias=True), sort_keys=True))

    @property
    def events(self) -> HasEvents:
        """The condition that `of_events` was given."""
        return HasEvents.model_validate_json(self.name)


class Part(BaseModel):
    """A piece of a document: nothing unknown is accepted."""

    # One schema, whether written or read: what is left out has its default.
    model_config = ConfigDict(extra="forbid", populate_by_name=True, json_schema_mode_override="validation")


class Downgrade(Part):
    """A lower class waits `grace_days`; with `one_step` it falls one class at a time, each after its own grace."""

    grace_days: Days = 0
    one_step: bool = False


class Movement(Part):
    """How a customer goes from one class to another; without it every decision stands at once.

    `order` names the classes from best to worst (default: as the document lists them). An upgrade waits for
    `upgrade`: at_once, or the first day of the next month, quarter or year. No class is left before
    `minimum_stay_days`. `corrections`: a refund, a back-dated purchase or a merge waits like anything else, or
    takes effect at once.
    """

    order: Annotated[list[Code], Field(min_length=2, max_length=100)] | None = None
    upgrade: Literal["at_once", "next_month", "next_quarter", "next_year"] = "at_once"
    downgrade: Downgrade = Downgrade()
    minimum_stay_days: Days = 0
    corrections: Literal["as_usual", "at_once"] = "as_usual"


class Title(Part):
    """What people call a class, by language."""

    en: Line | None = None
    zh: Line | None = None


class BaseDocument(Part, ABC):
    """Parts that every kind of document has."""

    movement: Movement | None = None
    refit: Literal["never", "weekly", "monthly", "quarterly"] = "never"
    titles: Annotated[dict[Code, Title], Field(max_length=125)] = {}

    @model_validator(mode="after")
    def _of_its_classes(self) -> Self:
        names = ", ".join(self.class_names)
        wrong = [(f"/titles/{each}", f"there is no class {each}; there are: {names}") for each in self._unknown_titles]
        if self.movement and self.movement.order is not None:
            order = self.movement.order
            if len(set(order)) != len(order) or set(order) != set(self.class_names):
                wrong.append(("/movement/order", f"must name each class once: {names}"))
        refuse(wrong)
        return self

    @property
    def _unknown_titles(self) -> list[str]:
        return [name for name in self.titles if name not in self.class_names]

    @property
    @abstractmethod
    def class_names(self) -> list[str]:
        """The classes, best first."""

    @property
    @abstractmethod
    def metrics(self) -> list[str]:
        """The metrics it reads, each once, in the order in which history keeps their values."""

    @property
    def conditions(self) -> list[tuple[str, Node]]:
        """Its predicates, each with the JSON pointer that leads to it."""
        return []

    @property
    def facts(self) -> list[Fact]:
        """What else it reads, each once, in the order in which history keeps it."""
        return []

    @property
    def breakpoint_paths(self) -> dict[str, tuple[str, ...]]:
        """The breakpoints it needs, by name, and where in their JSON each is found."""
        return {}

    def read_breakpoint(self, name: str, values: Mapping[str, Any]) -> str | None:
        """A breakpoint from the JSON that the population decided; None where it decided nothing."""
        found: Any = values
        for part in self.breakpoint_paths[name]:
            if found is not None:
                found = found[int(part)] if isinstance(found, list) else found.get(part)
        return None if found is None else str(found)

    def read_score(self, score: int | None) -> dict[str, int] | None:
        """A stored score as people read it; kinds without scores have none."""
        return None

    @property
    def ranked(self) -> list[str]:
        """The classes from best to worst, as movement sees them."""
        return (self.movement and self.movement.order) or self.class_names

    @property
    def schemes_used(self) -> list[str]:
        """The schemes whose classes it reads."""
        return [fact.name for fact in self.facts if fact.kind == "class"]

    @property
    def freshness(self) -> list[Freshness]:
        """What can change an answer of this document, told from the document itself."""
        kinds: set[Freshness] = {"event", *(METRICS[name].freshness for name in self.metrics)}
        if self.breakpoint_paths:
            kinds.add("population")
        if self.movement or any(fact.kind == "events" and fact.events.within_days for fact in self.facts):
            kinds.add("clock")
        return [kind for kind in ("event", "clock", "population") if kind in kinds]


def increasing(values: Sequence[Decimal]) -> bool:
    """Whether each is more than the one before."""
    return all(earlier < later for earlier, later in pairwise(values))
