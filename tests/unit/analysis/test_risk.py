"""The bound that paces a risk-limited ramp covers, shrinks with traffic, and is honest."""

import math

import numpy as np
import pytest

from modelrollout.analysis import rates, risk
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.questions import Better, Margin, Question
from modelrollout.analysis.rates import RateEvidence
from tests.unit.analysis import many

ASKED = Question(margin=Margin(relative=0.5))
RAMP = [0.05] * 6 + [0.1] * 6 + [0.25] * 8 + [0.5] * 10


def seen(*looks: tuple[int, int, int, int], question: Question = ASKED) -> RateEvidence:
    evidence = rates.fresh(question)
    for n_c, x_c, n_s, x_s in looks:
        evidence = rates.advance(
            evidence, question, candidate=RateCounts(n_c, x_c), stable=RateCounts(n_s, x_s)
        )
    return evidence


@pytest.mark.parametrize(
    ("stable", "worse_by", "requests"),
    [(0.0005, 0.002, 600), (0.001, 0.01, 600), (0.005, 0.005, 600), (0.3, 0.05, 100)],
)
def test_is_seldom_ever_below_the_truth(stable: float, worse_by: float, requests: int) -> None:
    rng, runs, below = np.random.default_rng(81), 100, 0
    for _ in range(runs):
        evidence, hit = rates.fresh(ASKED), False
        for weight in RAMP:
            n_c, n_s = rng.poisson(requests * weight), rng.poisson(requests * (1.0 - weight))
            evidence = rates.advance(
                evidence,
                ASKED,
                candidate=RateCounts(int(n_c), int(rng.binomial(n_c, stable + worse_by))),
                stable=RateCounts(int(n_s), int(rng.binomial(n_s, stable))),
            )
            hit = hit or risk.upper_bound(evidence, ASKED) < worse_by
        below += hit
    assert below / runs <= many.most(risk.ALPHA, runs=runs)


def test_worked_number_one_look_of_many_requests() -> None:
    # Equal arms of 10^6 with 1 %: variance of the sum of o (p_c - p_s), o = n_c n_s / N, is
    # o^2 2 p (1 - p) / n, plus half an event; its clock is four times that (one event: 1/4).
    evidence = seen((10**6, 10**4, 10**6, 10**4))
    variance = (5e5) ** 2 * 2 * 0.01 * 0.99 / 1e6 + 0.5
    twice = 2.0 * math.log(1.0 / 0.4)
    time = 4.0 * variance * (twice + math.log1p(twice))
    width = math.sqrt(
        2.0 * (1.0 + time) / time * math.log1p(math.sqrt(1.0 + time) / (2.0 * risk.ALPHA))
    )
    expected = width * math.sqrt(variance) / 5e5
    assert risk.upper_bound(evidence, ASKED) == pytest.approx(expected, rel=1e-6)


def test_shrinks_with_traffic_and_grows_with_bad_outcomes() -> None:
    bounds = [risk.upper_bound(seen((n, 0, 9 * n, 0)), ASKED) for n in (10, 100, 1_000, 10**6)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] < 1e-5
    worse = [risk.upper_bound(seen((1_000, x, 9_000, 45)), ASKED) for x in (0, 5, 10, 50)]
    assert worse == sorted(worse)


def test_nothing_seen_is_the_whole_risk() -> None:
    assert risk.upper_bound(rates.fresh(ASKED), ASKED) == 1.0
    assert risk.upper_bound(seen((0, 0, 1_000, 5)), ASKED) == 1.0
    assert risk.trials_left(rates.fresh(ASKED), ASKED, at_most=0.1) == math.inf


def test_successes_are_bounded_as_failures_are() -> None:
    higher = Question(margin=Margin(relative=0.1), better=Better.HIGHER)
    failures = risk.upper_bound(seen((1_000, 20, 5_000, 50)), ASKED)
    successes = risk.upper_bound(seen((1_000, 980, 5_000, 4_950), question=higher), higher)
    assert successes == pytest.approx(failures)


def test_what_is_left_is_what_equal_versions_need() -> None:
    evidence = seen((1_000, 5, 9_000, 45))
    left = risk.trials_left(evidence, ASKED, at_most=0.002)
    n = 1_000 + round(left)
    later = seen((n, round(0.005 * n), 9 * n, round(0.045 * n)))
    assert risk.upper_bound(later, ASKED) == pytest.approx(0.002, rel=0.05)
    assert risk.trials_left(later, ASKED, at_most=0.003) == 0.0


def test_stands_in_the_largest_counts() -> None:
    bound = risk.upper_bound(seen((10**12, 10**9, 10**12, 10**9)), ASKED)
    assert 0.0 < bound < 1e-6
    assert math.isfinite(bound)


@pytest.mark.parametrize("alpha", [0.0, -1.0, 0.6, math.nan])
def test_a_level_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="expected an alpha"):
        risk.upper_bound(rates.fresh(ASKED), ASKED, alpha=alpha)


def test_noise_widens_it() -> None:
    evidence = seen((1_000, 5, 9_000, 45))
    calm, noisy = (risk.upper_bound(evidence, ASKED, dispersion=phi) for phi in (1.0, 4.0))
    assert noisy > 1.8 * calm
    with pytest.raises(ValueError, match="dispersion of at least 1"):
        risk.upper_bound(evidence, ASKED, dispersion=0.5)


def test_a_bound_that_is_never_reached_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a bound above 0"):
        risk.trials_left(rates.fresh(ASKED), ASKED, at_most=0.0)
