"""Scheme documents: what a scheme says, as JSON, checked when it is saved.

A document knows its classes, best first, the metrics and facts it reads and the breakpoints the population must
give it. What it means in SQL is said in `compile`; how its breakpoints are found, in `fitting`.
"""

from typing import Annotated

from pydantic import Field

from app.classification.definitions.abc import AbcDocument
from app.classification.definitions.document import BaseDocument, Fact, Movement
from app.classification.definitions.rfm import CellRange, RfmDocument, SegmentCells
from app.classification.definitions.rules import PopulationQuantile, Rule, RulesDocument

__all__ = [
    "AbcDocument",
    "BaseDocument",
    "CellRange",
    "Document",
    "Fact",
    "Movement",
    "PopulationQuantile",
    "RfmDocument",
    "Rule",
    "RulesDocument",
    "SegmentCells",
]

Document = Annotated[AbcDocument | RfmDocument | RulesDocument, Field(discriminator="kind")]
