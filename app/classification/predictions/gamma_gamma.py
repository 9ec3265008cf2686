"""Gamma-Gamma: what a customer spends on a day with a purchase.

Fader, Hardie (2013): The Gamma-Gamma Model of Monetary Value, brucehardie.com/notes/025. Spend per purchase day is
gamma distributed around the customer's own mean (shape p), and those means vary as q and gamma say; gamma is in units
of money.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln

from app.classification.predictions.maximum import Estimate, Floats, maximise, weighted

NAMES = ("p", "q", "gamma")
STARTS = [(1.0, 2.0, 1.0), (5.0, 4.0, 0.5), (2.0, 1.5, 2.0), (10.0, 3.0, 0.2)]
"""For a mean spend of 1."""


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """Parameters of the population."""

    p: float
    q: float
    gamma: float


class Likelihood:
    """The log-likelihood of repeat customers: `repeats` purchase days after the first, their `mean` spend above 0."""

    def __init__(self, repeats: Floats, mean: Floats, weights: Floats) -> None:
        self.population = float(np.sum(weights))
        self._counts, of_count = np.unique(repeats, return_inverse=True)
        self._by_count = np.bincount(of_count, weights).astype(np.float64)
        self._repeats, self._weights = repeats, weights
        self._spent = repeats * mean
        log_spent = np.log(self._spent)
        self._log_mean = weighted(weights, np.log(mean))
        self._log_spent = weighted(weights, repeats * log_spent)

    def __call__(self, parameters: Floats) -> tuple[float, Floats]:
        p, q, gamma = parameters.tolist()
        n, x, counts = self.population, self._repeats, self._counts
        total = gamma + self._spent
        log_total = np.log(total)
        after = digamma(p * counts + q)
        value = (
            weighted(self._by_count, gammaln(p * counts + q) - gammaln(p * counts))
            + n * (q * np.log(gamma) - gammaln(q))
            + p * self._log_spent
            - self._log_mean
            - weighted(self._weights, (p * x + q) * log_total)
        )
        slopes = np.array(
            [
                weighted(self._by_count, counts * (after - digamma(p * counts)))
                + self._log_spent
                - weighted(self._weights, x * log_total),
                weighted(self._by_count, after) + n * (np.log(gamma) - digamma(q)) - weighted(self._weights, log_total),
                n * q / gamma - weighted(self._weights, (p * x + q) / total),
            ]
        )
        return float(value), slopes


def fit(repeats: Floats, mean: Floats, weights: Floats, *, check: Callable[[], None] = lambda: None) -> Estimate:
    """The likeliest parameters, sought in units of the mean spend, so that the currency does not matter."""
    unit = float(np.average(mean, weights=weights))
    likelihood = Likelihood(repeats, mean / unit, weights)
    units = {"gamma": unit}
    found = maximise(likelihood, NAMES, STARTS, population=likelihood.population, units=units, check=check)
    log_likelihood = found.log_likelihood - likelihood.population * float(np.log(unit))
    reason, q = found.reason, found.parameters["q"]
    if reason is None and q <= 1:
        reason = f"the likeliest distribution of spend has no mean: q = {q:.4g}, at most 1"
    return Estimate(found.parameters, log_likelihood, reason)


def expected_spend(model: GammaGamma, repeats: Floats, mean: Floats) -> Floats:
    """What each customer is expected to spend on a purchase day: its own mean, drawn towards the population's
    the more, the fewer days there are."""
    expected: Floats = model.p * (model.gamma + repeats * mean) / (model.p * repeats + model.q - 1)
    return expected
