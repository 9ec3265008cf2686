"""ABC: Pareto classes by the cumulative share of a metric."""

from decimal import Decimal
from typing import Literal

from pydantic import Field, model_validator

from app.classification.definitions.document import BaseDocument, MetricName, Share, increasing, refuse
from app.core.bounds import Code


class AbcDocument(BaseDocument):
    """Pareto classes by cumulative share of a metric, largest customers first."""

    kind: Literal["abc"]
    metric: MetricName = "monetary"
    rule: Literal["crossing", "inclusive"] = "crossing"
    cut_offs: list[Share] = Field(default=[Decimal("0.80"), Decimal("0.95")], min_length=1, max_length=8)
    classes: list[Code] = Field(default=["A", "B", "C"], min_length=2, max_length=9)

    @model_validator(mode="after")
    def _fitting(self) -> "AbcDocument":
        wrong = []
        if len(self.classes) != len(self.cut_offs) + 1 or len(set(self.classes)) != len(self.classes):
            wrong.append(("/classes", "one more than cut_offs, all different"))
        if "id" in self.classes[:-1]:
            wrong.append(("/classes", "id is a name of the breakpoints themselves"))
        if not increasing(self.cut_offs):
            wrong.append(("/cut_offs", "must increase"))
        refuse(wrong)
        return self

    @property
    def class_names(self) -> list[str]:
        return list(self.classes)

    @property
    def metrics(self) -> list[str]:
        return [self.metric]

    @property
    def breakpoint_paths(self) -> dict[str, tuple[str, ...]]:
        return {name: (name,) for name in self.classes[:-1]}
