"""Both models fitted to a population, whether they may be trusted, and what they expect of each customer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.classification.predictions import bgnbd, gamma_gamma
from app.classification.predictions.maximum import Estimate, Floats

DAYS_AHEAD = 365
MIN_REPEAT_CUSTOMERS = 30
"""Standard errors say little about fewer."""
MOST = 1e15
"""The largest value that is kept."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Histories:
    """Customers with a purchase, those that are alike in one row.

    `repeats` purchase days after the first, `recency` and `age` in days, `spend`: the mean of a repeat day, 0 without
    one; `customers`: how many there are.
    """

    repeats: Integers
    recency: Integers
    age: Integers
    spend: Floats
    customers: Integers

    @classmethod
    def of(cls, rows: list[Any]) -> "Histories":
        """Rows of (repeats, recency, age, spend, customers)."""
        repeats, recency, age, customers = (np.array([row[n] for row in rows], np.int64) for n in (0, 1, 2, 4))
        return cls(repeats, recency, age, np.array([row[3] for row in rows], np.float64), customers)

    @classmethod
    def together(cls, parts: list["Histories"]) -> "Histories":
        """Parts of a population as one, in an order of its own: however it was cut, sums come out the same."""
        columns = [np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__]
        repeats, recency, age, spend, customers = (column[np.lexsort(columns[3::-1])] for column in columns)
        differs = (np.diff(repeats) != 0) | (np.diff(recency) != 0) | (np.diff(age) != 0) | (np.diff(spend) != 0)
        first = np.flatnonzero(np.concatenate([np.ones(min(len(repeats), 1), bool), differs]))
        together = np.add.reduceat(customers, first) if len(first) else customers
        return cls(repeats[first], recency[first], age[first], spend[first], together)


def weeks(days: Integers) -> Floats:
    """Days as weeks, to the two decimals in which the published reference data count them."""
    rounded: Floats = np.round(days / 7, 2)
    return rounded


@dataclass(frozen=True, slots=True)
class Estimates:
    """What the population says. `reason`: why nothing is estimable; `value_reason`: why at least no value is."""

    bg_nbd: Estimate | None
    gamma_gamma: Estimate | None
    reason: str | None
    value_reason: str | None

    def document(self) -> dict[str, Any]:
        """As it is kept: parameters in weeks and in the base currency."""
        models = {"bg_nbd": self.bg_nbd, "gamma_gamma": self.gamma_gamma}
        return {name: None if each is None else each.document() for name, each in models.items()}


def estimate(histories: Histories, *, check: Callable[[], None] = lambda: None) -> Estimates:
    """Fit both models. Takes seconds for a hundred thousand customers; `check` may raise to leave early."""
    again = histories.repeats > 0
    repeat_customers = int(np.sum(histories.customers[again]))
    if repeat_customers < MIN_REPEAT_CUSTOMERS:
        reason = (
            f"too few customers have bought on more than one day: {repeat_customers},"
            f" at least {MIN_REPEAT_CUSTOMERS} are needed"
        )
        return Estimates(None, None, reason, reason)
    buying = bgnbd.fit(_buying(histories), span=max(_mean_age(histories), 1.0), check=check)
    spent = again & (histories.spend > 0)
    spending = None
    if np.any(spent):
        spending = gamma_gamma.fit(
            histories.repeats[spent].astype(np.float64),
            histories.spend[spent],
            histories.customers[spent].astype(np.float64),
            check=check,
        )
    value_reason = "no repeat purchase has an amount" if spending is None else spending.reason
    return Estimates(buying, spending, _named("drop-out", buying.reason), _named("spend", value_reason))


def _named(what: str, reason: str | None) -> str | None:
    return None if reason is None else f"{what}: {reason}"


def _mean_age(histories: Histories) -> float:
    return float(np.average(weeks(histories.age), weights=histories.customers))


def _buying(histories: Histories) -> bgnbd.Likelihood:
    """Customers that differ in their spend alone are one row here."""
    key = (histories.repeats << 40) | (histories.recency << 20) | histories.age
    _, first, of_row = np.unique(key, return_index=True, return_inverse=True)
    return bgnbd.Likelihood(
        histories.repeats[first].astype(np.float64),
        weeks(histories.recency[first]),
        weeks(histories.age[first]),
        np.bincount(of_row, histories.customers).astype(np.float64),
    )


class Model:
    """The estimates in use: what they expect of a customer; of a model that is not estimable, nothing."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        def usable(name: str) -> dict[str, float] | None:
            found = parameters[name]
            return None if found is None or found["reason"] is not None else found["parameters"]

        buying, spending = usable("bg_nbd"), usable("gamma_gamma")
        self._buying = bgnbd.BgNbd(**buying) if buying else None
        self._spending = gamma_gamma.GammaGamma(**spending) if buying and spending else None

    def expect(self, histories: Histories) -> tuple[Floats, Floats, Floats]:
        """Probability alive, purchase days and value in the next 365 days; NaN where there is no estimate."""
        nothing = np.full(len(histories.repeats), np.nan)
        if self._buying is None:
            return nothing, nothing, nothing
        repeats = histories.repeats.astype(np.float64)
        row = (repeats, weeks(histories.recency), weeks(histories.age))
        alive = bgnbd.probability_alive(self._buying, *row)
        purchases = _finite(bgnbd.expected_purchases(self._buying, DAYS_AHEAD / 7, *row))
        if self._spending is None:
            return alive, purchases, nothing
        spend = gamma_gamma.expected_spend(self._spending, repeats, histories.spend)
        return alive, purchases, _finite(purchases * spend)


def _finite(values: Floats) -> Floats:
    """Within what a column can hold."""
    bounded: Floats = np.clip(values, 0.0, MOST)
    return bounded
