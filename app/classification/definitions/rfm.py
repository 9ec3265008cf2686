"""RFM: scores of recency, frequency and monetary value, and named segments over them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import product
from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.classification.definitions.document import BaseDocument, MetricName, Part, increasing, refuse
from app.core.bounds import Code, DecimalText

Bounds = tuple[Annotated[int, Field(ge=1, le=5)], Annotated[int, Field(ge=1, le=5)]]
Edges = Annotated[list[DecimalText], Field(min_length=2, max_length=4)]
Cell = tuple[int, ...]
"""(R, F) or (R, F, M)."""

NAMED_CELLS = 12
"""So many cells a message names before it counts the rest."""

# The eight-class model's codes, best first: R, F and M each high (1) or low (0).
CODES = ("111", "101", "011", "001", "110", "100", "010", "000")


class CellRange(Part):
    """Cells of the grid: both bounds included; without `m`, whatever the monetary score."""

    r: Bounds
    f: Bounds
    m: Bounds | None = None


class SegmentCells(Part):
    """A named segment and the cells it takes."""

    name: Code = Field(alias="class")
    cells: Annotated[list[CellRange], Field(min_length=1, max_length=125)]


class RfmEdges(Part):
    """Fixed thresholds, rising: a value on one belongs to the bin below it."""

    recency: Edges
    frequency: Edges
    monetary: Edges


class _ThreeScores(BaseDocument):
    """Scores of three metrics, of which less is better in the first."""

    recency: MetricName = "recency_days"
    frequency: MetricName = "frequency"
    monetary: MetricName = "monetary"

    @model_validator(mode="after")
    def _three_metrics(self) -> "_ThreeScores":
        seen: list[str] = []
        for name in ("recency", "frequency", "monetary"):
            metric = getattr(self, name)
            if metric in seen:
                refuse([(f"/{name}", f"{metric} has a score already: three different metrics are needed")])
            seen.append(metric)
        return self

    @property
    def metrics(self) -> list[str]:
        return [self.recency, self.frequency, self.monetary]

    def read_score(self, score: int | None) -> dict[str, int] | None:
        """543 as {"r": 5, "f": 4, "m": 3}."""
        if score is None:
            return None
        return {"r": score // 100, "f": score // 10 % 10, "m": score % 10}


class RfmDocument(_ThreeScores):
    """Recency, frequency and monetary scores by value edges or fixed ones; named segments on (R, F) or (R, F, M)."""

    kind: Literal["rfm"]
    bins: Literal[3, 5] = 5
    edges: RfmEdges | None = None
    segments: Annotated[list[SegmentCells], Field(min_length=1, max_length=125)]

    @model_validator(mode="after")
    def _rising_edges(self) -> "RfmDocument":
        if self.edges is None:
            return self
        for name in ("recency", "frequency", "monetary"):
            edges = getattr(self.edges, name)
            if len(edges) != self.bins - 1 or not increasing(edges):
                refuse([(f"/edges/{name}", f"{self.bins} bins need {self.bins - 1} edges, each above the one before")])
        return self

    @model_validator(mode="after")
    def _partition(self) -> "RfmDocument":
        taken = Counter(cell for segment in self.segments for each in segment.cells for cell in self._cells(each))
        grid = set(product(range(1, self.bins + 1), repeat=self.dimensions))
        wrong = {
            "not covered": sorted(grid - taken.keys()),
            "covered twice": sorted(cell for cell, times in taken.items() if times > 1),
            "outside the grid": sorted(taken.keys() - grid),
        }
        problems = [f"{what}: {_named(cells)}" for what, cells in wrong.items() if cells]
        if problems:
            axes = ", ".join("RFM"[: self.dimensions])
            refuse([("/segments", f"must take every ({axes}) cell exactly once; " + "; ".join(problems))])
        return self

    @property
    def dimensions(self) -> int:
        """3 when a segment asks for a monetary score, else 2."""
        return 3 if any(each.m for segment in self.segments for each in segment.cells) else 2

    def _cells(self, each: CellRange) -> Iterator[Cell]:
        sides = [each.r, each.f, each.m or (1, self.bins)][: self.dimensions]
        return product(*(range(first, last + 1) for first, last in sides))

    def fixed_edges(self, metric: str) -> list[Decimal] | None:
        """The edges that the document itself gives; None when the population does."""
        if self.edges is None:
            return None
        given = (self.edges.recency, self.edges.frequency, self.edges.monetary)
        return dict(zip(self.metrics, given, strict=True))[metric]

    @property
    def class_names(self) -> list[str]:
        return list(dict.fromkeys(segment.name for segment in self.segments))

    @property
    def breakpoint_paths(self) -> dict[str, tuple[str, ...]]:
        if self.edges is not None:
            return {}
        return {f"{metric}_{edge}": (metric, str(edge)) for metric in self.metrics for edge in range(self.bins - 1)}

    def segment_of(self, *cell: int) -> str:
        """The segment that takes a cell: R and F, and M where the map asks for it."""
        return self.segments_by_cell[cell[: self.dimensions]]

    @property
    def segments_by_cell(self) -> dict[Cell, str]:
        """The map, cell by cell, in the order of the grid."""
        found = {cell: each.name for each in self.segments for cells in each.cells for cell in self._cells(cells)}
        return dict(sorted(found.items()))


class Rfm8Document(_ThreeScores):
    """The eight-class model: R, F and M each high or low against the population's mean.

    R is high when recency is at most the mean, F and M when they are above it.
    """

    kind: Literal["rfm8"]
    classes: Annotated[dict[Annotated[str, Field(pattern=r"^[01]{3}$")], Code], Field(min_length=8, max_length=8)]

    @property
    def class_names(self) -> list[str]:
        return list(dict.fromkeys(self.classes[code] for code in CODES))

    @property
    def breakpoint_paths(self) -> dict[str, tuple[str, ...]]:
        return {metric: (metric,) for metric in self.metrics}


def _named(cells: Sequence[Cell]) -> str:
    names = ["".join(f"{axis}{score}" for axis, score in zip("RFM", cell, strict=False)) for cell in cells]
    rest = len(names) - NAMED_CELLS
    return ", ".join(names[:NAMED_CELLS]) + (f" and {rest} more" if rest > 0 else "")
