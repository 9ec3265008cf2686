"""Maximum likelihood over positive parameters, from several starts that must agree."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

Floats = NDArray[np.float64]
Likelihood = Callable[[Floats], tuple[float, Floats]]
"""Parameters to the log-likelihood there and its gradient."""

BOX = 10.0
"""Parameters are sought between e^-10 and e^10."""
AT_BOUND = 0.05
FLAT = 1e-6
"""Of the mean log-likelihood: a steeper slope at the end means that the search has not arrived."""
SAME = 1e-3
"""Starts agree when no parameter of theirs differs by more than this share."""
MAX_STANDARD_ERROR = 1.0
"""Of a parameter's logarithm. Beyond it, the data leave the parameter uncertain by more than a factor of e."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Parameters by name and the log-likelihood there; `reason` says why they must not be used, if so."""

    parameters: dict[str, float]
    log_likelihood: float
    reason: str | None

    def document(self) -> dict[str, Any]:
        """As it is kept."""
        return asdict(self)


def weighted(weights: Floats, values: Floats) -> float:
    """The sum of the values, each times its weight. Not by BLAS: its threads wait for each other on a busy machine."""
    return float(np.sum(weights * values))


def maximise(
    likelihood: Likelihood,
    names: Sequence[str],
    starts: Sequence[Sequence[float]],
    *,
    population: float,
    units: Mapping[str, float] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Estimate:
    """The likeliest parameters, those with a unit multiplied by it. `check` is called at every step; it may raise.

    The search runs on logarithms of the parameters and the mean over the population, so that neither the number of
    customers nor a parameter's size decides when it is near enough.
    """

    def cost(logs: Floats) -> tuple[float, Floats]:
        check()
        parameters = np.exp(logs)
        value, gradient = likelihood(parameters)
        return -value / population, -gradient * parameters / population

    found = [_descend(cost, np.log(start)) for start in starts]
    best = min(found, key=lambda each: float(each.fun))
    scale = units or {}
    parameters = {name: float(np.exp(log)) * scale.get(name, 1.0) for name, log in zip(names, best.x, strict=True)}
    reason = (
        _bound(best.x, names)
        or _disagreement(found, best)
        or _uncertainty(cost, best.x, parameters, population=population)
    )
    return Estimate(parameters, -float(best.fun) * population, reason)


def _descend(cost: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Any:
    return optimize.minimize(
        cost,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-BOX, BOX)] * len(start),
        options={"maxiter": 500, "ftol": 1e-15, "gtol": 1e-9},
    )


def _disagreement(found: Sequence[Any], best: Any) -> str | None:
    """Half of the starts at least must end where the best one does."""
    if not np.all(np.isfinite(best.x)) or _slope(best) > FLAT:
        return "the search for the likeliest parameters does not converge"
    same = [each for each in found if np.all(np.abs(each.x - best.x) <= SAME)]
    if 2 * len(same) < len(found):
        return f"only {len(same)} of {len(found)} starts of the search end at the same parameters"
    return None


def _slope(end: Any) -> float:
    """The steepest direction that does not lead out of the box."""
    inside = ~((end.x <= -BOX) & (end.jac > 0) | (end.x >= BOX) & (end.jac < 0))
    return float(np.max(np.abs(np.where(inside, end.jac, 0.0))))


def _bound(logs: Floats, names: Sequence[str]) -> str | None:
    for log, name in zip(logs, names, strict=True):
        if abs(log) > BOX - AT_BOUND:
            return f"the likelihood has no maximum: it grows as {name} goes to {'infinity' if log > 0 else 'zero'}"
    return None


def _uncertainty(
    cost: Callable[[Floats], tuple[float, Floats]], logs: Floats, parameters: dict[str, float], *, population: float
) -> str | None:
    """Standard errors from the curvature at the maximum: on a ridge or a plateau nothing is determined."""
    step = 1e-4
    slopes = [(cost(logs + step * axis)[1] - cost(logs - step * axis)[1]) / (2 * step) for axis in np.eye(len(logs))]
    curvature = population * (np.array(slopes) + np.array(slopes).T) / 2
    if np.min(np.linalg.eigvalsh(curvature)) <= 0:
        return "the likelihood has no single maximum: it is flat around its highest point"
    errors = np.sqrt(np.diag(np.linalg.inv(curvature)))
    uncertain = [
        f"{name} = {value:.4g} (uncertain by a factor of {np.exp(min(error, BOX)):,.0f})"
        for (name, value), error in zip(parameters.items(), errors, strict=True)
        if error > MAX_STANDARD_ERROR
    ]
    return f"the purchases do not determine {' and '.join(uncertain)}" if uncertain else None
