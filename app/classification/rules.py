"""Pure arithmetic of classification: quantiles and means, exact to the last digit that can matter."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor

PLACES = 10
"""Digits after the point that breakpoints keep. No metric has as many: one that is above a breakpoint rounded down is
above the breakpoint itself."""


def positions(population: int, quantiles: Sequence[Decimal | Fraction]) -> list[tuple[int, Fraction]]:
    """For each quantile the 0-based rank below it and the fraction of the way to the next rank.

    Linear interpolation at (n - 1) * q, the default of numpy, pandas and percentile_cont.
    """
    found = []
    for quantile in quantiles:
        place = (population - 1) * Fraction(quantile)
        rank = int(place)
        found.append((rank, place - rank))
    return found


def interpolate(low: Decimal, high: Decimal, fraction: Fraction) -> Decimal:
    """The value that lies a fraction of the way from low to high, rounded down."""
    return rounded_down(Fraction(low) + (Fraction(high) - Fraction(low)) * fraction)


def rounded_down(value: Fraction) -> Decimal:
    """The nearest decimal of so many places that is not above the value."""
    return Decimal(f"{floor(value * 10**PLACES)}E-{PLACES}")


def weighted_quantile(histogram: Sequence[tuple[int, int]], quantile: Decimal) -> Decimal | None:
    """The interpolated quantile of values given as ascending (value, how often); None of nothing."""
    total = sum(weight for _, weight in histogram)
    if total == 0:
        return None
    ((rank, fraction),) = positions(total, [quantile])
    low = _ranked(histogram, rank)
    high = _ranked(histogram, min(rank + 1, total - 1))
    return interpolate(low, high, fraction)


def _ranked(histogram: Sequence[tuple[int, int]], rank: int) -> Decimal:
    passed = 0
    for value, weight in histogram:
        passed += weight
        if rank < passed:
            return Decimal(value)
    raise IndexError(rank)


_MONTHS = {"monthly": 1, "quarterly": 3}


def refit_due(every: str, fitted_on: date, today: date) -> bool:
    """Whether breakpoints of one day are to be fitted anew on another: after a week, a month or a quarter, or never."""
    if every == "weekly":
        return (today - fitted_on).days >= 7
    if every not in _MONTHS:
        return False
    months = fitted_on.year * 12 + fitted_on.month - 1 + _MONTHS[every]
    year, month = months // 12, months % 12 + 1
    return today >= date(year, month, min(fitted_on.day, monthrange(year, month)[1]))
