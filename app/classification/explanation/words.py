"""How explanations are worded: what every language says, and in which order. The words are each language's own."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from app.classification.definitions import IN, BaseDocument, SegmentDocument, StaticDocument
from app.classification.explanation.judged import Judged, Need
from app.classification.explanation.steps import Step
from app.classification.metrics import METRICS
from app.core import clock
from app.core.bounds import plain_decimal
from app.core.settings import get_settings

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Told:
    """What there is to say about one customer and scheme."""

    title: str
    document: BaseDocument
    name: str | None
    decided: str | None
    since: datetime | None
    in_force: bool
    fitted: bool
    pending: tuple[str, date] | None
    forced: bool
    forced_until: datetime | None
    score: dict[str, int] | None
    reasons: Sequence[Judged]
    default: bool
    steps: Sequence[Step]


class Words(ABC):
    """One language. What is abstract here are its phrases."""

    language: Language

    # ---- values ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def metric_title(self, name: str) -> str: ...

    @abstractmethod
    def money(self, amount: str) -> str: ...

    @abstractmethod
    def unknown(self) -> str: ...

    @abstractmethod
    def yes_or_no(self, value: str | None) -> str: ...

    def class_title(self, document: BaseDocument, name: str | None) -> str:
        """What people call the class in this language; its name where they don't."""
        if isinstance(document, SegmentDocument | StaticDocument):
            return self.in_segment() if name == IN else self.not_in_segment()
        if name is None:
            return self.no_class()
        title = document.titles.get(name)
        return (title and getattr(title, self.language)) or name

    @abstractmethod
    def no_class(self) -> str: ...

    @abstractmethod
    def in_segment(self) -> str: ...

    @abstractmethod
    def not_in_segment(self) -> str: ...

    def value(self, each: Judged, value: str | None) -> str:
        """A value of what is compared, with its unit."""
        if each.asked.subject in ("tag", "member"):
            return self.yes_or_no(value)
        if value is None:
            return self.unknown()
        if each.asked.subject != "metric":
            return value
        return self.measure(each.asked.name, value)

    def measure(self, metric: str, value: str) -> str:
        """A metric's value: money with its currency, instants by their day."""
        unit = METRICS[metric].unit
        if unit == "instant":
            return day_of(value).isoformat()
        if unit == "money":
            return self.money(money(value))
        return number(value)

    def limits(self, each: Judged, threshold: str | list[str] | None) -> list[str]:
        given = threshold if isinstance(threshold, list) else [threshold]
        return [self.unknown() if limit is None else self.value(each, limit) for limit in given]

    # ---- sentences ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def condition(self, document: BaseDocument, each: Judged) -> str:
        """One comparison: value, what is asked, whether it is met, when time turns it."""

    @abstractmethod
    def step(self, document: BaseDocument, decided: str | None, step: Step) -> str:
        """The way to a neighbouring class."""

    def needs(self, needs: Sequence[Need]) -> str:
        return self.all_of([self.need(each) for each in needs])

    @abstractmethod
    def all_of(self, parts: Sequence[str]) -> str:
        """Several as one enumeration."""

    @abstractmethod
    def need(self, each: Need) -> str: ...

    @abstractmethod
    def whole(self, told: Told) -> str:
        """What stands and why; what waits or is set by a person; what comes next."""


def direction(document: BaseDocument, decided: str | None, name: str | None) -> Literal["up", "down"]:
    """Whether a class lies above or below another, in the document's order; no class at all lies below."""
    ranked = document.ranked
    if name is None:
        return "down"
    return "up" if decided is None or ranked.index(name) < ranked.index(decided) else "down"


def foremost(told: Told) -> Step | None:
    """The step that a person should hear of first: what time brings, else the nearest better class."""
    in_time = [each for each in told.steps if each.on is not None]
    if in_time:
        return min(in_time, key=lambda each: each.on or date.max)
    better = [each for each in told.steps if each.needs and direction(told.document, told.decided, each.name) == "up"]
    ranked = told.document.ranked
    return max(better, key=lambda each: (ranked.index(each.name or ranked[0]), -len(each.needs)), default=None)


def money(amount: str) -> str:
    """1240 as 1,240.00; of further digits four at most stay."""
    whole, _, cents = number(amount).partition(".")
    return f"{whole}.{cents.rstrip('0'):0<2}"


def number(value: str) -> str:
    """1240.5 as 1,240.5; four digits after the point at most."""
    try:
        return f"{Decimal(plain_decimal(round(Decimal(value), 4))):,f}"
    except ArithmeticError:
        return value


def day_of(instant: str | datetime) -> date:
    """The business day of an instant."""
    return clock.business_day(datetime.fromisoformat(instant) if isinstance(instant, str) else instant)


def currency() -> str:
    return get_settings().currency


def whole_steps(each: Need) -> int:
    """How many more (positive) or fewer of something counted are needed."""
    gap = Decimal(each.judged.gap or 0)
    whole = int(gap // 1)
    if each.op in ("gt", "lte"):
        return whole + (1 if each.op == "gt" else 0)
    return whole if gap == whole else whole + 1


def preferred(accept_language: str | None) -> Language:
    """The language that an Accept-Language header prefers among ours; English when it names none of them."""
    best, weight = "en", 0.0
    for each in (accept_language or "").split(","):
        tag, _, parameter = each.partition(";")
        name = tag.strip().lower().split("-")[0]
        found = _quality(parameter)
        if name in ("en", "zh") and found > weight:
            best, weight = name, found
    return "zh" if best == "zh" else "en"


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0
