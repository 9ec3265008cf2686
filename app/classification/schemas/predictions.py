"""Predictions as long work, and what the models came to."""

from datetime import datetime

from pydantic import ConfigDict, Field

from app.classification.schemas.recalculations import AsOf
from app.core.bounds import Count, In, Out
from app.core.work import WorkOut


class PredictionIn(In):
    """Fit the models to everybody's purchases up to an instant, and write what they expect of each customer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"as_of": "2026-01-31"}]})

    as_of: AsOf | None = Field(default=None, description="an instant, or a day: its end. Now if null")


class BgNbdOut(Out):
    """How often customers buy and when they stop: BG/NBD at its highest likelihood. Times are in weeks."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float | None
    reason: str | None = Field(description="why these parameters are not used; null when they are")


class GammaGammaOut(Out):
    """What they spend on a day: Gamma-Gamma at its highest likelihood. `gamma` is in the base currency."""

    p: float
    q: float
    gamma: float
    log_likelihood: float | None
    reason: str | None = Field(description="why these parameters are not used; null when they are")


class PredictionOut(WorkOut):
    """Long work: a prediction and how far it is."""

    as_of: datetime
    estimable: bool | None = Field(description="whether the purchases determine the models; null before the fit")
    reason: str | None = Field(description="why nothing is estimable, or only no value")
    population: Count | None = Field(description="customers with a purchase")
    bg_nbd: BgNbdOut | None
    gamma_gamma: GammaGammaOut | None


class PredictionPage(Out):
    """A page of predictions, the latest first."""

    items: list[PredictionOut]
    next_cursor: str | None
