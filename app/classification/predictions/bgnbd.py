"""BG/NBD: how often customers buy, and whether they still do.

Fader, Hardie, Lee (2005): "Counting Your Customers" the Easy Way: An Alternative to the Pareto/NBD Model, Marketing
Science 24(2). While alive, a customer buys at a rate that is gamma distributed (shape r, rate alpha); after each
repeat purchase it leaves with a probability that is beta distributed (a, b).

A customer is three numbers: `repeats`, days with a purchase after the first; `recency`, the time from the first to
the last; `age`, the time from the first to now. Times are in weeks, as in the literature; alpha too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, expit, gammaln, hyp2f1

from app.classification.predictions.maximum import Estimate, Floats, maximise, weighted

NAMES = ("r", "alpha", "a", "b")
ASIDE = 1e-6
MAX_TERMS = 20_000
PRECISION = 1e-15


@dataclass(frozen=True, slots=True)
class BgNbd:
    """Parameters of the population."""

    r: float
    alpha: float
    a: float
    b: float


class Likelihood:
    """The log-likelihood of a population, of which customers that are alike are one row with a weight.

    Everything that depends on one of a customer's numbers alone is computed once for each value of it that occurs:
    the gamma functions of a million customers are those of a few hundred counts.
    """

    def __init__(self, repeats: Floats, recency: Floats, age: Floats, weights: Floats) -> None:
        self.population = float(np.sum(weights))
        self._counts, of_count = np.unique(repeats, return_inverse=True)
        self._by_count = np.bincount(of_count, weights).astype(np.float64)
        again = repeats > 0
        self._ages_of_once, of_once = np.unique(age[~again], return_inverse=True)
        self._once = np.bincount(of_once, weights[~again], minlength=len(self._ages_of_once)).astype(np.float64)
        self._repeats, self._weights = repeats[again], weights[again]
        self._ages, self._of_age = np.unique(age[again], return_inverse=True)
        self._recencies, self._of_recency = np.unique(recency[again], return_inverse=True)

    def __call__(self, parameters: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = parameters.tolist()
        n, x, counts = self.population, self._repeats, self._counts
        value = n * (r * np.log(alpha) - gammaln(r) + gammaln(a + b) - gammaln(b)) + weighted(
            self._by_count, gammaln(r + counts) + gammaln(b + counts) - gammaln(a + b + counts)
        )
        left = weighted(self._by_count, digamma(a + b + counts))
        slopes = np.array(
            [
                n * (np.log(alpha) - digamma(r)) + weighted(self._by_count, digamma(r + counts)),
                n * r / alpha,
                n * digamma(a + b) - left,
                n * (digamma(a + b) - digamma(b)) - left + weighted(self._by_count, digamma(b + counts)),
            ]
        )
        log_once = np.log(alpha + self._ages_of_once)
        value -= r * weighted(self._once, log_once)
        slopes[0] -= weighted(self._once, log_once)
        slopes[1] -= r * weighted(self._once, 1 / (alpha + self._ages_of_once))

        log_age = np.log(alpha + self._ages)[self._of_age]
        silence = log_age - np.log(alpha + self._recencies)[self._of_recency]
        # The odds that a customer left after the last purchase against having been silent since.
        odds = np.log(a / (b + x - 1)) + (r + x) * silence
        gone = self._weights * expit(odds)
        value += weighted(self._weights, np.logaddexp(0.0, odds) - (r + x) * log_age)
        slopes[0] += weighted(gone, silence) - weighted(self._weights, log_age)
        slopes[1] -= weighted(self._weights - gone, (r + x) * (1 / (alpha + self._ages))[self._of_age])
        slopes[1] -= weighted(gone, (r + x) * (1 / (alpha + self._recencies))[self._of_recency])
        slopes[2] += np.sum(gone) / a
        slopes[3] -= weighted(gone, 1 / (b + x - 1))
        return float(value), slopes


def fit(likelihood: Likelihood, *, span: float, check: Callable[[], None] = lambda: None) -> Estimate:
    """The likeliest parameters; `span`, the mean age in weeks, gives the starts their scale of time."""
    starts = [
        (1.0, span, 1.0, 1.0),
        (0.25, span / 5, 0.5, 2.0),
        (0.5, span / 2, 0.1, 1.0),
        (2.0, span, 0.05, 2.0),
        (0.3, span / 4, 2.0, 10.0),
        (1.0, span / 10, 0.01, 0.1),
    ]
    return maximise(likelihood, NAMES, starts, population=likelihood.population, check=check)


def _log_odds_gone(model: BgNbd, repeats: Floats, recency: Floats, age: Floats) -> Floats:
    """Of the repeat customers; whoever has not bought again cannot have left, which happens after a repeat purchase."""
    silence = np.log((model.alpha + age) / (model.alpha + recency))
    again: NDArray[np.bool_] = repeats > 0
    odds = np.log(model.a / (model.b + np.where(again, repeats, 1.0) - 1)) + (model.r + repeats) * silence
    return np.where(again, odds, -np.inf)


def probability_alive(model: BgNbd, repeats: Floats, recency: Floats, age: Floats) -> Floats:
    """The probability that each customer has not left: Fader, Hardie, Lee (2008), "Computing P(alive) Using the
    BG/NBD Model"."""
    alive: Floats = expit(-_log_odds_gone(model, repeats, recency, age))
    return alive


def _hypergeometric(first: float, second: float, third: Floats, z: Floats) -> Floats:
    """Gauss's 2F1 for 0 <= z < 1. SciPy's overflows at whole numbers; there its series is summed term by term."""
    found: Floats = np.asarray(hyp2f1(first, second, third, z))
    broken = ~np.isfinite(found)
    term, total = np.ones(np.count_nonzero(broken)), np.ones(np.count_nonzero(broken))
    for n in range(MAX_TERMS if len(term) else 0):
        term = term * (first + n) * (second + n) / ((third[broken] + n) * (n + 1)) * z[broken]
        total = total + term
        if np.all(np.abs(term) <= PRECISION * np.abs(total)):
            break
    found[broken] = total
    return found


def expected_purchases(model: BgNbd, horizon: float, repeats: Floats, recency: Floats, age: Floats) -> Floats:
    """Purchase days that each customer is expected to have in the next `horizon` weeks; equation 10 of the paper.

    Its hypergeometric function is taken in Euler's transformed form, whose arguments do not grow with the number of
    purchases: the paper's own overflows for customers with hundreds. At a = 1 and, for customers without a repeat
    purchase, a + b = 1, the quotient is 0 / 0 though its limit exists; a step aside of a millionth gives it.
    """
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    if abs(a - 1) < ASIDE:
        a = 1 + ASIDE
    if abs(a + b - 1) < ASIDE:
        b += 2 * ASIDE
    passed = horizon / (alpha + age + horizon)
    scale = a + b + repeats - 1
    series = _hypergeometric(a + b - 1 - r, a - 1, scale, passed)
    while_alive = scale / (a - 1) * (1 - (1 - passed) ** (a - 1) * series)
    # Rounding may lead a hair out of what is possible: fewer than none, more than without anybody leaving.
    most = (r + repeats) / (alpha + age) * horizon
    expected: Floats = np.clip(while_alive, 0.0, most) * probability_alive(model, repeats, recency, age)
    return expected
