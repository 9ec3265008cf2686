"""Ordered rules over metrics, fields, tags, classes and events: the first that holds decides."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.classification.definitions.conditions import AskingDocument
from app.classification.definitions.document import Part, refuse
from app.classification.definitions.reach import unreachable
from app.core.bounds import Code
from app.core.predicates import Node, Predicate


class Rule(Part):
    """When the condition holds, this class."""

    name: Code = Field(alias="class")
    when: Predicate


class RulesDocument(AskingDocument):
    """Ordered rules: the first that holds decides, else the default."""

    kind: Literal["rules"]
    rules: Annotated[list[Rule], Field(min_length=1, max_length=50)]
    default: Code

    @model_validator(mode="after")
    def _reachable(self) -> "RulesDocument":
        refuse((f"/rules/{n}", why) for n, why in unreachable([rule.when for rule in self.rules]).items())
        return self

    @property
    def conditions(self) -> list[tuple[str, Node]]:
        return [(f"/rules/{n}/when", rule.when) for n, rule in enumerate(self.rules)]

    @property
    def class_names(self) -> list[str]:
        return list(dict.fromkeys([*(rule.name for rule in self.rules), self.default]))
