"""RFM: scores of recency, frequency and monetary value, and named segments over them."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.classification.definitions.document import BaseDocument, MetricName, Part
from app.core.bounds import Code


class CellRange(Part):
    """Cells of the R x F grid: both bounds included."""

    r: tuple[Annotated[int, Field(ge=1, le=5)], Annotated[int, Field(ge=1, le=5)]]
    f: tuple[Annotated[int, Field(ge=1, le=5)], Annotated[int, Field(ge=1, le=5)]]

    def cells(self) -> Iterator[tuple[int, int]]:
        for r in range(self.r[0], self.r[1] + 1):
            for f in range(self.f[0], self.f[1] + 1):
                yield r, f


class SegmentCells(Part):
    """A named segment and the cells it takes."""

    name: Code = Field(alias="class")
    cells: Annotated[list[CellRange], Field(min_length=1, max_length=25)]


class RfmDocument(BaseDocument):
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
