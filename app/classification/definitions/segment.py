"""Segments: in or out. By a condition, or as a list of members that people keep."""

from typing import Literal

from pydantic import model_validator

from app.classification.definitions.conditions import AskingDocument
from app.classification.definitions.document import BaseDocument, Fact, refuse
from app.classification.definitions.reach import unreachable
from app.core.predicates import Node, Predicate

IN = "in"


class SegmentDocument(AskingDocument):
    """Whoever the condition holds for is in; the others have no class."""

    kind: Literal["segment"]
    when: Predicate

    @model_validator(mode="after")
    def _reachable(self) -> "SegmentDocument":
        refuse(("/when", why) for why in unreachable([self.when]).values())
        return self

    @property
    def conditions(self) -> list[tuple[str, Node]]:
        return [("/when", self.when)]

    @property
    def class_names(self) -> list[str]:
        return [IN]


class StaticDocument(BaseDocument):
    """Whoever people put there is in; the others have no class."""

    kind: Literal["static"]

    @property
    def class_names(self) -> list[str]:
        return [IN]

    @property
    def metrics(self) -> list[str]:
        return []

    @property
    def facts(self) -> list[Fact]:
        return [Fact("member")]
