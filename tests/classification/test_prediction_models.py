"""BG/NBD and Gamma-Gamma: the published numbers, the formulas' own laws, and when nothing can be said."""

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from app.classification.predictions import bgnbd, gamma_gamma
from app.classification.predictions.bgnbd import BgNbd, expected_purchases, probability_alive
from app.classification.predictions.estimates import MIN_REPEAT_CUSTOMERS, Histories, Model, estimate
from app.classification.predictions.gamma_gamma import GammaGamma, expected_spend
from app.classification.predictions.maximum import Floats, maximise

REFERENCE = BgNbd(0.242593, 4.413532, 0.792886, 2.425753)
"""Of CDNOW's 39-week calibration."""

shapes = st.floats(0.05, 20) | st.integers(1, 20).map(float)
scales = st.floats(0.1, 100) | st.integers(1, 100).map(float)
models = st.builds(BgNbd, shapes, scales, shapes, shapes)
spans = st.floats(0, 300)
counts = st.integers(0, 2_000)


def one(number: float) -> Floats:
    return np.array([float(number)])


def row(repeats: int, recency: float, silence: float) -> tuple[Floats, Floats, Floats]:
    """A customer: whoever bought once has no recency."""
    recency = recency if repeats else 0.0
    return one(repeats), one(recency), one(recency + silence)


# ---- the published customer ------------------------------------------------------------------------------------------


def test_the_published_customer_is_expected_to_buy_as_published() -> None:
    customer = row(2, 30.43, 38.86 - 30.43)
    assert round(float(expected_purchases(REFERENCE, 39, *customer)[0]), 5) == 1.22591
    assert round(float(probability_alive(REFERENCE, *customer)[0]), 5) == 0.72661
    published = BgNbd(0.243, 4.414, 0.793, 2.426)
    assert round(float(expected_purchases(published, 39, *customer)[0]), 3) == 1.226


# ---- laws of the formulas --------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(models, counts, spans, spans, st.floats(0.1, 100))
def test_a_probability_is_one_and_falls_with_silence(
    model: BgNbd, repeats: int, recency: float, silence: float, more: float
) -> None:
    now = float(probability_alive(model, *row(repeats, recency, silence))[0])
    later = float(probability_alive(model, *row(repeats, recency, silence + more))[0])
    assert 0 <= later <= now <= 1
    assert repeats or now == 1


@settings(deadline=None)
@given(models, st.integers(1, 2_000), st.floats(0, 100), st.floats(0, 100), st.floats(0.1, 50))
def test_of_two_customers_as_old_the_one_who_bought_later_is_rather_alive(
    model: BgNbd, repeats: int, recency: float, silence: float, later: float
) -> None:
    age = recency + later + silence
    early = probability_alive(model, one(repeats), one(recency), one(age))
    late = probability_alive(model, one(repeats), one(recency + later), one(age))
    assert early <= late


@settings(deadline=None)
@given(models, counts, spans, spans, st.floats(0.1, 100), st.floats(0.1, 100))
def test_expected_purchases_grow_with_time_and_are_never_more_than_without_leaving(
    model: BgNbd, repeats: int, recency: float, silence: float, horizon: float, more: float
) -> None:
    customer = row(repeats, recency, silence)
    near = float(expected_purchases(model, horizon, *customer)[0])
    far = float(expected_purchases(model, horizon + more, *customer)[0])
    assert 0 <= near <= far * (1 + 1e-9)
    assert far <= (model.r + repeats) / (model.alpha + customer[2][0]) * (horizon + more) * (1 + 1e-9)


@settings(deadline=None)
@given(models, counts, spans, spans, st.floats(0.5, 104))
def test_expected_purchases_are_the_mean_over_all_rates_and_drop_outs(
    model: BgNbd, repeats: int, recency: float, silence: float, horizon: float
) -> None:
    customer = row(repeats, recency, silence)
    age = float(customer[2][0])

    def until_leaving(share: float) -> float:
        """Purchases of a customer who leaves with the probability at this quantile of the beta distribution."""
        leaves = max(float(special.betaincinv(model.a, model.b + repeats, share)), 1e-300)
        stays = -(model.r + repeats) * math.log1p(leaves * horizon / (model.alpha + age))
        return -math.expm1(stays) / leaves

    mean, _ = integrate.quad(until_leaving, 0, 1, limit=400, epsrel=1e-6)
    found = float(expected_purchases(model, horizon, *customer)[0])
    assert found == pytest.approx(mean * float(probability_alive(model, *customer)[0]), rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("model", [BgNbd(0.5, 4, 1.0, 2), BgNbd(0.5, 4, 0.4, 0.6), BgNbd(2, 9, 1 + 1e-9, 0.5)])
@pytest.mark.parametrize("repeats", [0, 1, 7])
def test_where_the_formula_divides_by_nothing_it_goes_on_smoothly(model: BgNbd, repeats: int) -> None:
    customer = row(repeats, 20, 5)
    beside = BgNbd(model.r, model.alpha, model.a + 1e-4, model.b + 1e-4)
    found, near = expected_purchases(model, 52, *customer), expected_purchases(beside, 52, *customer)
    assert found == pytest.approx(near, rel=1e-3)


@settings(deadline=None)
@given(st.builds(GammaGamma, st.floats(0.1, 50), st.floats(1.1, 20), st.floats(0.01, 1e6)), counts, st.floats(0, 1e6))
def test_expected_spend_lies_between_ones_own_mean_and_everybodys(model: GammaGamma, repeats: int, mean: float) -> None:
    everybodys = model.p * model.gamma / (model.q - 1)
    found = float(expected_spend(model, one(repeats), one(mean))[0])
    low, high = sorted((mean, everybodys)) if repeats else (everybodys, everybodys)
    assert low * (1 - 1e-9) <= found <= high * (1 + 1e-9)


# ---- likelihoods -----------------------------------------------------------------------------------------------------

customers = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 700), st.integers(0, 700), st.integers(1, 9)), min_size=1, max_size=20
)


def _log_likelihood(model: BgNbd, x: int, t_x: float, age: float) -> float:
    """Equation 6 of the paper, for one customer."""
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    silent = special.betaln(a, b + x) - special.betaln(a, b) - (r + x) * math.log(alpha + age)
    left = special.betaln(a + 1, b + x - 1) - special.betaln(a, b) - (r + x) * math.log(alpha + t_x) if x else -np.inf
    both = float(np.logaddexp(silent, left))
    return both + float(special.gammaln(r + x) - special.gammaln(r)) + r * math.log(alpha)


@settings(deadline=None)
@given(models, customers)
def test_the_likelihood_is_that_of_the_paper_customer_by_customer(
    model: BgNbd, population: list[tuple[int, int, int, int]]
) -> None:
    rows = [(x, t_x / 7 if x else 0.0, ((t_x if x else 0) + silence) / 7, n) for x, t_x, silence, n in population]
    columns = [np.array([each[n] for each in rows], np.float64) for n in range(4)]
    found, _ = bgnbd.Likelihood(*columns)(np.array([model.r, model.alpha, model.a, model.b]))
    expected = sum(n * _log_likelihood(model, x, t_x, age) for x, t_x, age, n in rows)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-6)


def _slopes(likelihood: Callable[[Floats], tuple[float, Floats]], at: Floats) -> list[float]:
    steps = np.diag(at * 1e-5)
    return [(likelihood(at + step)[0] - likelihood(at - step)[0]) / (2 * step.sum()) for step in steps]


@settings(deadline=None)
@given(st.tuples(*[st.floats(0.2, 5)] * 4), customers)
def test_the_gradients_are_those_of_the_likelihoods(
    parameters: tuple[float, ...], population: list[tuple[int, int, int, int]]
) -> None:
    x, t_x, silence, n = (np.array([each[k] for each in population], np.float64) for k in range(4))
    recency = np.where(x > 0, t_x, 0.0) / 7
    buying = bgnbd.Likelihood(x, recency, recency + silence / 7, n)
    spending = gamma_gamma.Likelihood(x + 1, t_x / 100 + 0.1, n)
    for likelihood, at in ((buying, np.array(parameters)), (spending, np.array(parameters[:3]))):
        found = likelihood(at)[1]
        assert found == pytest.approx(_slopes(likelihood, at), rel=1e-4, abs=1e-3 * float(n.sum()))


# ---- fits ------------------------------------------------------------------------------------------------------------


def population(size: int, model: BgNbd, *, seed: int = 1) -> Histories:
    """Customers as the model says, observed for up to two years; spend as Gamma-Gamma says."""
    random = np.random.default_rng(seed)
    rate, leaves = random.gamma(model.r, 1 / model.alpha, size), random.beta(model.a, model.b, size)
    age = random.integers(1, 730, size) / 7
    repeats, recency, now, active = np.zeros(size, np.int64), np.zeros(size), np.zeros(size), np.ones(size, bool)
    while active.any():
        now = now + random.exponential(1 / rate)
        active &= now <= age
        repeats[active] += 1
        recency[active] = now[active]
        active &= random.random(size) > leaves
    days = np.maximum(repeats, 1)
    spend = np.round(random.gamma(6.0 * days, 1 / random.gamma(4.0, 1 / 15.0, size)) / days, 2)
    return Histories(
        repeats,
        np.round(recency * 7).astype(np.int64),
        np.round(age * 7).astype(np.int64),
        np.where(repeats > 0, spend, 0.0),
        np.ones(size, np.int64),
    )


def test_a_fit_finds_the_parameters_that_made_the_population() -> None:
    made = BgNbd(0.6, 8.0, 0.8, 3.0)
    found = estimate(population(20_000, made))
    assert (found.reason, found.value_reason) == (None, None)
    assert found.bg_nbd is not None
    assert found.gamma_gamma is not None
    assert found.bg_nbd.parameters == pytest.approx({"r": 0.6, "alpha": 8, "a": 0.8, "b": 3}, rel=0.1)
    assert found.gamma_gamma.parameters == pytest.approx({"p": 6, "q": 4, "gamma": 15}, rel=0.1)


def test_alike_customers_in_one_row_or_in_many_are_one_population() -> None:
    apart = population(2_000, BgNbd(0.6, 8.0, 0.8, 3.0))
    together = Histories.together([apart])
    assert len(together.repeats) < len(apart.repeats)
    first, second = estimate(apart).document(), estimate(together).document()
    for name in ("bg_nbd", "gamma_gamma"):
        assert first[name]["parameters"] == pytest.approx(second[name]["parameters"], rel=1e-4)
        assert first[name]["log_likelihood"] == pytest.approx(second[name]["log_likelihood"])


def test_however_a_population_is_cut_it_is_the_same_to_the_last_bit() -> None:
    whole = population(2_000, BgNbd(0.6, 8.0, 0.8, 3.0))
    order = np.random.default_rng(5).permutation(len(whole.repeats))

    def some(rows: Any) -> Histories:
        return Histories(*(getattr(whole, name)[rows] for name in Histories.__slots__))

    once = Histories.together([some(slice(None))])
    cut = Histories.together([Histories.of([]), *(some(order[start::7]) for start in range(7))])
    assert int(cut.customers.sum()) == 2_000
    assert len(cut.repeats) < 2_000
    for name in Histories.__slots__:
        assert np.array_equal(getattr(once, name), getattr(cut, name)), name
    assert estimate(once) == estimate(cut)
    assert len(Histories.together([Histories.of([])]).repeats) == 0


def test_the_currency_does_not_decide_what_is_found() -> None:
    cheap = population(3_000, BgNbd(0.6, 8.0, 0.8, 3.0))
    dear = Histories(cheap.repeats, cheap.recency, cheap.age, cheap.spend * 10_000, cheap.customers)
    first, second = estimate(cheap).gamma_gamma, estimate(dear).gamma_gamma
    assert first is not None
    assert second is not None
    scaled = {**first.parameters, "gamma": first.parameters["gamma"] * 10_000}
    assert second.parameters == pytest.approx(scaled, rel=1e-4)


def test_too_few_who_came_back_say_nothing() -> None:
    some = population(40, BgNbd(0.6, 8.0, 0.8, 3.0))
    found = estimate(some)
    came_back = int(np.sum(some.repeats > 0))
    assert came_back < MIN_REPEAT_CUSTOMERS
    assert found.reason == found.value_reason
    assert str(found.reason).endswith(f"on more than one day: {came_back}, at least 30 are needed")
    assert estimate(Histories.of([])).reason is not None
    everybody = Model(found.document()).expect(some)
    assert all(np.isnan(values).all() for values in everybody)


def test_a_population_that_nobody_leaves_says_nothing_of_leaving() -> None:
    loyal = population(3_000, BgNbd(2.0, 8.0, 1e-4, 5.0))
    found = estimate(loyal)
    assert str(found.reason).startswith("drop-out: ")
    assert found.bg_nbd is not None
    assert found.bg_nbd.parameters["a"] < 0.05
    assert np.isnan(Model(found.document()).expect(loyal)[0]).all()


def without_a_mean(made: Histories) -> Floats:
    """Gamma-Gamma with q = 0.7: a few customers spend without bound."""
    random, days = np.random.default_rng(3), np.maximum(made.repeats, 1)
    spend: Floats = random.gamma(6.0 * days, 1 / random.gamma(0.7, 1 / 15.0, len(days))) / days
    return spend


@pytest.mark.parametrize(
    ("spend", "reason"),
    [
        (lambda made: np.where(made.repeats > 0, 10.0, 0.0), "grows as p goes to infinity"),
        (lambda made: np.zeros(len(made.repeats)), "no repeat purchase has an amount"),
        (
            lambda made: np.where(made.repeats > 0, without_a_mean(made), 0.0),
            "has no mean: q = 0.",
        ),
    ],
    ids=["all the same", "nothing", "without a mean"],
)
def test_spend_that_cannot_be_foreseen_leaves_the_value_open_alone(
    spend: Callable[[Histories], Floats], reason: str
) -> None:
    made = population(3_000, BgNbd(0.6, 8.0, 0.8, 3.0))
    odd = Histories(made.repeats, made.recency, made.age, spend(made), made.customers)
    found = estimate(odd)
    assert found.reason is None
    assert reason in str(found.value_reason)
    alive, purchases, value = Model(found.document()).expect(odd)
    assert np.isfinite(alive).all()
    assert np.isfinite(purchases).all()
    assert np.isnan(value).all()


def test_what_is_expected_fits_its_column_whatever_was_bought() -> None:
    made = population(3_000, BgNbd(0.6, 8.0, 0.8, 3.0))
    model = Model(estimate(made).document())
    odd = Histories.of([(0, 0, 0, 0.0, 1), (20_000, 20_000, 20_000, 1e14, 1), (5_000, 5_000, 70_000, 0.01, 1)])
    alive, purchases, value = model.expect(odd)
    assert ((alive >= 0) & (alive <= 1)).all()
    assert ((purchases >= 0) & (purchases <= 400)).all()
    assert ((value >= 0) & (value <= 1e15)).all()


def _of_one(log_likelihood: Callable[[float], float]) -> Callable[[Floats], tuple[float, Floats]]:
    """A likelihood of the logarithm of one parameter, its gradient by differences."""

    def likelihood(parameters: Floats) -> tuple[float, Floats]:
        log, step = math.log(parameters[0]), 1e-6
        slope = (log_likelihood(log + step) - log_likelihood(log - step)) / (2 * step)
        return log_likelihood(log), np.array([slope / parameters[0]])

    return likelihood


THREE = (0.02, 0.1, 5.0)


@pytest.mark.parametrize(
    ("log_likelihood", "starts", "reason"),
    [
        (lambda x: -50 * (x - 1) ** 2, THREE, None),
        (lambda x: -((x - 1) ** 2) / 50, THREE, "the purchases do not determine k = 2.718 (uncertain by a factor of"),
        (lambda x: x, THREE, "the likelihood has no maximum: it grows as k goes to infinity"),
        (lambda x: -x, THREE, "the likelihood has no maximum: it grows as k goes to zero"),
        (lambda x: 0.0, THREE, "only 1 of 3 starts"),
        (lambda x: 0.0, (1.0,), "the likelihood has no single maximum"),
        (lambda x: -5 * (x * x - 4) ** 2 + x / 10, (0.13, 0.14, 7.0), "only 1 of 3 starts"),
        (lambda x: -5 * (x * x - 4) ** 2 + x / 10, (0.13, 6.0, 7.0), None),
    ],
    ids=["one", "wide", "rising", "falling", "level", "level from one start", "two", "two, the higher found twice"],
)
def test_a_maximum_is_trusted_when_it_is_one(
    log_likelihood: Callable[[float], float], starts: tuple[float, ...], reason: str | None
) -> None:
    found = maximise(_of_one(log_likelihood), ["k"], [(start,) for start in starts], population=1.0)
    assert (found.reason is None) == (reason is None), found
    assert (reason or "") in (found.reason or "")


def test_a_fit_can_be_left_at_any_step() -> None:
    class Enough(Exception):
        pass

    steps = iter(range(5))

    def check() -> None:
        if next(steps, None) is None:
            raise Enough

    with pytest.raises(Enough):
        estimate(population(1_000, BgNbd(0.6, 8.0, 0.8, 3.0)), check=check)


def test_a_start_imports_neither_numpy_nor_scipy() -> None:
    program = (
        "import sys; from app import cli; from app.main import create_app; create_app(url='postgresql://nowhere',"
        " secret='long enough for a secret of a test, I hope'); print({'numpy', 'scipy'} & set(sys.modules))"
    )
    answer: Any = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == "set()", answer.stderr
