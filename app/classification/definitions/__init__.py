"""Scheme documents: what a scheme says, as JSON, checked when it is saved.

A document knows its classes, best first, the metrics and facts it reads and the breakpoints the population must
give it. What it means in SQL is said in `compile`; how its breakpoints are found, in `fitting`.
"""

from typing import Annotated

from pydantic import Field

from app.classification.definitions.abc import AbcDocument
from app.classification.definitions.conditions import AskingDocument, PopulationQuantile
from app.classification.definitions.document import BaseDocument, Fact, Movement
from app.classification.definitions.rfm import CODES, CellRange, Rfm8Document, RfmDocument, SegmentCells
from app.classification.definitions.rules import Rule, RulesDocument
from app.classification.definitions.score import ScoreDocument, ScorePart, ScoreThreshold
from app.classification.definitions.segment import IN, SegmentDocument, StaticDocument

__all__ = [
    "CODES",
    "IN",
    "AbcDocument",
    "AskingDocument",
    "BaseDocument",
    "CellRange",
    "Document",
    "Fact",
    "Movement",
    "PopulationQuantile",
    "Rfm8Document",
    "RfmDocument",
    "Rule",
    "RulesDocument",
    "ScoreDocument",
    "ScorePart",
    "ScoreThreshold",
    "SegmentCells",
    "SegmentDocument",
    "StaticDocument",
]

Document = Annotated[
    AbcDocument | RfmDocument | Rfm8Document | RulesDocument | ScoreDocument | SegmentDocument | StaticDocument,
    Field(discriminator="kind"),
]
