"""Scheme documents: what a scheme says, as JSON, checked when it is saved.

A document knows its classes, best first, the metrics it reads and the breakpoints the population must
give it. What it means in SQL is said in `compile`; how its breakpoints are found, in `breakpoints`.
"""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import column

from app.classification.metrics import INSTANTS, MEDIAN_GAP, METRICS, metric_type
from app.core.bounds import Code, DecimalText, Key
from app.core.errors import Invalid
from app.core.predicates import ORDERED, BreakpointRef, ClassIs, FieldIs, HasTag, MetricIs, Predicate, compare, leaves

Share = Annotated[DecimalText, Field(gt=0, lt=1)]


def _known_metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"there is no metric {name}; there are: {', '.join(METRICS)}")
    return name


def _number_of_its_own(name: str) -> str:
    metric = METRICS[_known_metric(name)]
    if metric.unit == "instant":
        raise ValueError(f"{name} is an instant; breakpoints are found among numbers")
    if metric.population:
        raise ValueError(f"{name} depends on the population; it cannot decide the population's breakpoints")
    return name


MetricName = Annotated[Key, AfterValidator(_number_of_its_own)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, json_schema_serialization_defaults_required=True)

    def read_score(self, score: int | None) -> dict[str, int] | None:
        """A stored score as people read it; kinds without scores have none."""
        return None


class AbcDocument(_Document):
    """Pareto classes by cumulative share of a metric, largest customers first."""

    kind: Literal["abc"]
    metric: MetricName = "monetary"
    rule: Literal["crossing", "inclusive"] = "crossing"
    cut_offs: Annotated[list[Share], Field(min_length=1, max_length=8)] = [Decimal("0.80"), Decimal("0.95")]
    classes: Annotated[list[Code], Field(min_length=2, max_length=9)] = ["A", "B", "C"]

    @model_validator(mode="after")
    def _fitting(self) -> "AbcDocument":
        if len(self.classes) != len(self.cut_offs) + 1 or len(set(self.classes)) != len(self.classes):
            raise ValueError("classes: one more than cut_offs, all different")
        if "id" in self.classes[:-1]:
            raise ValueError("classes: id is a name of the breakpoints themselves")
        if any(later <= earlier for earlier, later in zip(self.cut_offs, self.cut_offs[1:], strict=False)):
            raise ValueError("cut_offs must increase")
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


class CellRange(_Document):
    """Cells of the R x F grid: both bounds included."""

    r: tuple[Annotated[int, Field(ge=1, le=5)], Annotated[int, Field(ge=1, le=5)]]
    f: tuple[Annotated[int, Field(ge=1, le=5)], Annotated[int, Field(ge=1, le=5)]]

    def cells(self) -> Iterator[tuple[int, int]]:
        for r in range(self.r[0], self.r[1] + 1):
            for f in range(self.f[0], self.f[1] + 1):
                yield r, f


class SegmentCells(_Document):
    """A named segment and the cells it takes."""

    name: Code = Field(alias="class")
    cells: Annotated[list[CellRange], Field(min_length=1, max_length=25)]


class RfmDocument(_Document):
    """Recency, frequency and monetary scores by value edges, and named segments on (R, F)."""

    kind: Literal["rfm"]
    bins: Literal[3, 5] = 5
    recency: MetricName = "recency_days"
    frequency: MetricName = "frequency"
    monetary: MetricName = "monetary"
    segments: Annotated[list[SegmentCells], Field(min_length=1, max_length=25)]

    @model_validator(mode="after")
    def _partition(self) -> "RfmDocument":
        taken = Counter(cell for segment in self.segments for cells in segment.cells for cell in cells.cells())
        grid = {(r, f) for r in range(1, self.bins + 1) for f in range(1, self.bins + 1)}
        wrong = {
            "not covered": sorted(grid - taken.keys()),
            "covered twice": sorted(cell for cell, times in taken.items() if times > 1),
            "outside the grid": sorted(taken.keys() - grid),
        }
        problems = [f"{what}: {_cells(cells)}" for what, cells in wrong.items() if cells]
        if problems:
            raise ValueError("segments must take every (R, F) cell exactly once; " + "; ".join(problems))
        return self

    @property
    def class_names(self) -> list[str]:
        return list(dict.fromkeys(segment.name for segment in self.segments))

    @property
    def metrics(self) -> list[str]:
        return [self.recency, self.frequency, self.monetary]

    @property
    def breakpoint_paths(self) -> dict[str, tuple[str, ...]]:
        return {f"{metric}_{edge}": (metric, str(edge)) for metric in self.metrics for edge in range(self.bins - 1)}

    def read_score(self, score: int | None) -> dict[str, int] | None:
        """543 as {"r": 5, "f": 4, "m": 3}."""
        if score is None:
            return None
        return {"r": score // 100, "f": score // 10 % 10, "m": score % 10}

    def segment_of(self, r: int, f: int) -> str:
        """The segment that takes a cell."""
        return next(s.name for s in self.segments for cells in s.cells if (r, f) in set(cells.cells()))


def _cells(cells: list[tuple[int, int]]) -> str:
    return ", ".join(f"R{r}F{f}" for r, f in cells)


class PopulationQuantile(_Document):
    """A quantile of the population's gaps between purchase days; `otherwise` when there are no gaps."""

    of: Literal["gap_days", "first_gap_days"]
    quantile: Share
    otherwise: Annotated[DecimalText, Field(gt=0)]


def _check_comparison(leaf: MetricIs) -> None:
    """Raises ValueError for a comparison that could never be made."""
    subject = column(_known_metric(leaf.metric), metric_type(leaf.metric))
    if isinstance(leaf.value, BreakpointRef):
        if leaf.op not in ORDERED or leaf.metric in INSTANTS:
            raise ValueError(f"{leaf.metric} {leaf.op} breakpoint: a breakpoint is a number to be above or below")
        return
    try:
        compare(subject, leaf.op, leaf.value, "")
    except Invalid as error:
        raise ValueError(f"{leaf.metric} {leaf.op}: {error.detail}") from error


class Rule(_Document):
    """When the condition holds, this class."""

    name: Code = Field(alias="class")
    when: Predicate


class RulesDocument(_Document):
    """Ordered rules: the first that holds decides, else the default."""

    kind: Literal["rules"]
    population: Annotated[dict[Key, PopulationQuantile], Field(max_length=20)] = {}
    rules: Annotated[list[Rule], Field(min_length=1, max_length=50)]
    default: Code

    @model_validator(mode="after")
    def _known_names(self) -> "RulesDocument":
        for leaf in self._leaves():
            if isinstance(leaf, FieldIs | ClassIs | HasTag):
                raise ValueError("rules of a scheme compare metrics")
            _check_comparison(leaf)
            if isinstance(leaf.value, BreakpointRef) and leaf.value.breakpoint not in self.population:
                raise ValueError(f"there is no breakpoint {leaf.value.breakpoint} under population")
        if "id" in self.population:
            raise ValueError("population: id is a name of the breakpoints themselves")
        if not self._needs_median() <= self.population.keys():
            raise ValueError(f"population must define {MEDIAN_GAP}, which a metric in use needs")
        return self

    def _leaves(self) -> Iterator[MetricIs | FieldIs | ClassIs | HasTag]:
        for rule in self.rules:
            yield from leaves(rule.when)

    def _needs_median(self) -> set[str]:
        return {name for metric in self.metrics for name in METRICS[metric].population}

    @property
    def class_names(self) -> list[str]:
        return list(dict.fromkeys([*(rule.name for rule in self.rules), self.default]))

    @property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys(leaf.metric for leaf in self._leaves() if isinstance(leaf, MetricIs)))

    @property
    def breakpoint_paths(self) -> dict[str, tuple[str, ...]]:
        return {name: (name,) for name in self.population}


Document = Annotated[AbcDocument | RfmDocument | RulesDocument, Field(discriminator="kind")]
