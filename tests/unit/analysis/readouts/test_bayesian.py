"""Posteriors: closed forms for whole numbers, GrowthBook's figures, and the far corners."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from modelrollout.analysis.counts import MeanCounts, RateCounts
from modelrollout.analysis.questions import Better
from modelrollout.analysis.readouts import bayesian
from modelrollout.analysis.readouts.bayesian import Beta, Normal

HUGE = 10**12


def counts(events: int, trials: int) -> RateCounts:
    return RateCounts(trials=trials, events=events)


def millers(x: Beta, y: Beta) -> float:
    """P(X > Y) for whole parameters: Evan Miller (2015), Formulas for Bayesian A/B Testing."""
    i = np.arange(int(x.a))
    logs = special.betaln(y.a + i, x.b + y.b) - np.log(x.b + i)
    return float(np.sum(np.exp(logs - special.betaln(1 + i, x.b) - special.betaln(y.a, y.b))))


def stucchios(x: Beta, y: Beta) -> float:
    """E max(X - Y, 0) for whole parameters: Stucchio (2014), A Bayesian A/B decision rule."""
    more = x.a / (x.a + x.b) * millers(Beta(x.a + 1, x.b), y)
    return more - y.a / (y.a + y.b) * millers(x, Beta(y.a + 1, y.b))


def test_a_small_case_by_hand() -> None:
    # One success of one against none of one: densities 2x and 2(1 - y), P(x > y) = 5/6, and
    # E max(x - y, 0) is the integral of P(y < t) P(x > t) = (1 - (1-t)^2)(1 - t^2), 11/30.
    found = bayesian.rates(counts(1, 1), counts(0, 1), better=Better.HIGHER)
    assert found.chance_to_beat == pytest.approx(5 / 6, rel=1e-12)
    assert found.loss_of_staying == pytest.approx(11 / 30, rel=1e-12)
    assert found.loss == pytest.approx(11 / 30 - 1 / 3, rel=1e-11)


@pytest.mark.parametrize("base", [0.0005, 0.05, 0.3])
def test_rates_agree_with_the_closed_forms(base: float) -> None:
    rng = np.random.default_rng(23)
    for _ in range(30):
        n, m = (int(size) for size in rng.integers(10, 5_000, size=2))
        c, s = counts(int(rng.binomial(n, base * 1.1)), n), counts(int(rng.binomial(m, base)), m)
        x, y = Beta().after(c), Beta().after(s)
        found = bayesian.rates(c, s, better=Better.HIGHER)
        assert found.chance_to_beat == pytest.approx(millers(x, y), abs=1e-8)
        scale = math.hypot(*(math.sqrt(stats.beta(z.a, z.b).var()) for z in (x, y)))
        assert found.loss_of_staying == pytest.approx(stucchios(x, y), abs=1e-8 * scale)
        assert found.loss == pytest.approx(stucchios(y, x), abs=1e-8 * scale)


def test_the_losses_differ_by_the_means() -> None:
    found = bayesian.rates(counts(3, 100), counts(9, 400), prior=Beta(2.5, 40.0))
    gap = 5.5 / 142.5 - 11.5 / 442.5
    assert found.loss - found.loss_of_staying == pytest.approx(gap, rel=1e-9)


def test_lower_and_higher_are_mirror_images() -> None:
    c, s = counts(12, 300), counts(20, 310)
    lower, higher = bayesian.rates(c, s), bayesian.rates(c, s, better=Better.HIGHER)
    assert lower.chance_to_beat == pytest.approx(1 - higher.chance_to_beat)
    assert (lower.loss, lower.loss_of_staying) == (higher.loss_of_staying, higher.loss)
    swapped = bayesian.rates(s, c, better=Better.HIGHER)
    assert lower.chance_to_beat == pytest.approx(swapped.chance_to_beat, abs=1e-9)
    # Fewer errors, which is what is wanted unless told otherwise.
    assert lower.chance_to_beat > 0.9


def test_before_any_request_the_prior_is_even() -> None:
    found = bayesian.rates(counts(0, 0), counts(0, 0))
    assert found.chance_to_beat == pytest.approx(0.5)
    # E max(X - Y, 0) of two uniforms.
    assert found.loss == pytest.approx(1 / 6)


@pytest.mark.parametrize("parameter", [0.01, 0.1, 0.5])
def test_priors_that_pile_up_at_the_ends_are_even_too(parameter: float) -> None:
    arm = counts(0, 10)
    found = bayesian.rates(arm, arm, prior=Beta(parameter, parameter))
    assert found.chance_to_beat == pytest.approx(0.5, abs=1e-5)


def test_the_prior_of_jeffreys_agrees_with_draws() -> None:
    c, s, prior = counts(2, 50), counts(0, 40), Beta(0.5, 0.5)
    rng = np.random.default_rng(29)
    x, y = rng.beta(2.5, 48.5, 10**6), rng.beta(0.5, 40.5, 10**6)
    found = bayesian.rates(c, s, better=Better.HIGHER, prior=prior)
    assert found.chance_to_beat == pytest.approx(np.mean(x > y), abs=2e-3)
    assert found.loss_of_staying == pytest.approx(np.mean(np.maximum(x - y, 0)), rel=1e-2)
    assert found.loss == pytest.approx(np.mean(np.maximum(y - x, 0)), rel=3e-2)


def test_normal_posteriors_are_those_of_growthbook() -> None:
    # gbstats, test of GaussianEffectABTest: 49 against 51 of 100, mean 0.04082, deviation 0.14725,
    # chance 0.60918, risks 0.0814 and 0.04058.
    found = bayesian.normal(Normal(0.0408163, 0.14725), better=Better.HIGHER)
    assert found.chance_to_beat == pytest.approx(0.60918, abs=1e-5)
    assert found.loss_of_staying == pytest.approx(0.0814, abs=1e-5)
    assert found.loss == pytest.approx(0.04058, abs=1e-5)


@given(z=st.floats(min_value=-37.0, max_value=37.0))
def test_the_loss_of_a_normal_is_its_integral(z: float) -> None:
    # With t = |z| u the integral of Phi(-z - t): phi(z) times the integral of t exp(-t|z| - t^2/2).
    t = np.linspace(0.0, 12.0, 240_001)
    density = t * np.exp(-abs(z) * t - t * t / 2.0)
    integral = float(np.sum((density[1:] + density[:-1]) / 2.0) * (t[1] - t[0]))
    small = integral * math.exp(-z * z / 2.0) / math.sqrt(2.0 * math.pi)
    found = bayesian.normal(Normal(2.0 * z, 2.0))
    low, high = sorted((found.loss, found.loss_of_staying))
    assert low == pytest.approx(2.0 * small, rel=1e-5)
    assert high == pytest.approx(2.0 * (abs(z) + small), rel=1e-6)
    assert (found.loss > found.loss_of_staying) == (z > 0.0) or abs(z) < 1e-9


def test_certainty_is_no_division() -> None:
    assert bayesian.normal(Normal(0.0, 0.0)).chance_to_beat == 0.5
    worse = bayesian.normal(Normal(0.2, 0.0))
    assert (worse.chance_to_beat, worse.loss, worse.loss_of_staying) == (0.0, 0.2, 0.0)
    assert bayesian.normal(Normal(-0.2, 0.0)).chance_to_beat == 1.0


CONTROL = MeanCounts(count=10, total=100.0, squares=1002.25)
TREATED = MeanCounts(count=10, total=105.0, squares=1111.5)


def test_lifts_are_those_of_growthbook() -> None:
    # gbstats, test of GaussianEffectABTest: mean 0.05, deviation 0.03572, chance 0.91923, risks
    # 0.05131 and 0.00131.
    found = bayesian.lifts(TREATED, CONTROL, better=Better.HIGHER)
    assert found.chance_to_beat == pytest.approx(0.91923, abs=6e-6)
    assert found.loss_of_staying == pytest.approx(0.05131, abs=6e-6)
    assert found.loss == pytest.approx(0.00131, abs=6e-6)
    assert bayesian.lifts(TREATED, CONTROL).chance_to_beat == pytest.approx(1 - 0.91923, abs=6e-6)


def test_differences_by_hand() -> None:
    # Variances 0.25 and 1, each over 10: 0.5 is 1.414 standard errors.
    found = bayesian.differences(TREATED, CONTROL, better=Better.HIGHER)
    assert found.chance_to_beat == pytest.approx(stats.norm.cdf(0.5 / math.sqrt(0.125)))
    sure = bayesian.differences(TREATED, CONTROL, prior=Normal(-1.0, 1e-9), better=Better.HIGHER)
    assert sure.chance_to_beat == 0.0
    assert sure.loss == pytest.approx(1.0)
    # A prior as sure as the data, of the opposite: as good as nothing known.
    even = bayesian.differences(TREATED, CONTROL, prior=Normal(-0.5, math.sqrt(0.125)))
    assert even.chance_to_beat == pytest.approx(0.5)
    doubtful = Normal(0.0, math.sqrt(0.125))
    lift = bayesian.lifts(TREATED, CONTROL, prior=doubtful, better=Better.HIGHER)
    assert 0.5 < lift.chance_to_beat < 0.91923


def test_informative_priors_shrink_as_in_growthbook() -> None:
    # gbstats, test of GaussianEffectABTest on quantiles, absolute, with a flat prior and one of
    # deviation 1 for the lift, which is 7.157987 here, the quantile of stable.
    reach = 1.959963984540054
    flat = Normal(0.5365124375579775, (0.6157689162044129 - 0.45725595891154214) / (2 * reach))
    found = Normal(0.0, 7.157987489967789).after(flat)
    assert found.mean == pytest.approx(0.536495315442269, rel=1e-9)
    assert found.mean - reach * found.deviation == pytest.approx(0.4572401014910488, rel=1e-9)
    assert found.mean + reach * found.deviation == pytest.approx(0.6157505293934893, rel=1e-9)
    assert Normal(0.0, 1.0).after(Normal(0.3, 0.0)) == Normal(0.3, 0.0)


def test_10_to_the_12_requests_are_nearly_normal() -> None:
    found = bayesian.rates(counts(HUGE // 2 + 500_000, HUGE), counts(HUGE // 2, HUGE))
    normal = bayesian.normal(Normal(5e-7, math.sqrt(0.5 / HUGE)))
    assert found.chance_to_beat == pytest.approx(normal.chance_to_beat, abs=2e-5)
    assert found.loss == pytest.approx(normal.loss, rel=1e-3)
    assert found.loss_of_staying == pytest.approx(normal.loss_of_staying, rel=1e-3)


def test_rare_events_of_10_to_the_12_follow_the_gamma_law() -> None:
    # X with 21 and Y with 11 events and one, of equally many requests: X / (X + Y) is Beta, and
    # P(X > Y) the chance of at most 10 heads of 31 throws of a fair coin.
    found = bayesian.rates(counts(20, HUGE), counts(10, HUGE), better=Better.HIGHER)
    assert found.chance_to_beat == pytest.approx(special.bdtrc(10, 31, 0.5), rel=1e-7)


def test_few_requests_against_10_to_the_12_are_few_requests_against_a_number() -> None:
    found = bayesian.rates(counts(3, 100), counts(3 * 10**10, HUGE), better=Better.HIGHER)
    assert found.chance_to_beat == pytest.approx(special.betaincc(4, 98, 0.03), abs=1e-6)
    law = stats.beta(4, 98)
    above = law.expect(lambda p: p - 0.03, lb=0.03)
    assert found.loss_of_staying == pytest.approx(above, rel=1e-5)


def test_none_against_all_is_certain() -> None:
    found = bayesian.rates(counts(0, HUGE), counts(HUGE, HUGE))
    assert found.chance_to_beat == pytest.approx(1.0)
    assert found.loss == 0.0
    assert found.loss_of_staying == pytest.approx(1.0)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_priors_that_are_none_are_refused(value: float) -> None:
    for a, b in ((value, 1.0), (1.0, value)):
        with pytest.raises(ValueError, match="finite parameters above 0"):
            Beta(a, b)


@pytest.mark.parametrize(
    ("mean", "deviation"), [(math.nan, 1.0), (math.inf, 1.0), (0.0, -1.0), (0.0, math.nan)]
)
def test_normals_that_are_none_are_refused(mean: float, deviation: float) -> None:
    with pytest.raises(ValueError, match="expected a finite"):
        Normal(mean, deviation)
