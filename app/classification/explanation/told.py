"""What there is to say about one customer and scheme, before it is put into words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from app.classification.definitions import BaseDocument
from app.classification.explanation.judged import Judged
from app.classification.explanation.steps import Step


@dataclass(frozen=True, slots=True)
class Told:
    """What stands, what was decided and by which comparisons, what waits, and the ways on."""

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

    @property
    def foremost(self) -> Step | None:
        """The step that a person should hear of first: what time brings, else the nearest better class."""
        in_time = [each for each in self.steps if each.on is not None]
        if in_time:
            return min(in_time, key=lambda each: each.on or date.max)
        ranked = self.document.ranked
        better = [each for each in self.steps if each.needs and self._lies_above(each.name)]
        return max(better, key=lambda each: (ranked.index(each.name or ranked[0]), -len(each.needs)), default=None)

    def _lies_above(self, name: str | None) -> bool:
        return direction(self.document, self.decided, name) == "up"


def direction(document: BaseDocument, decided: str | None, name: str | None) -> Literal["up", "down"]:
    """Whether a class lies above or below another, in the document's order; no class at all lies below."""
    ranked = document.ranked
    if name is None:
        return "down"
    return "up" if decided is None or ranked.index(name) < ranked.index(decided) else "down"
