"""Buckets: exact at their bounds, honest between them."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.analysis import histograms, moments
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.histograms import Histogram, Looks

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, math.inf)


def made(*in_buckets: int, bounds: tuple[float, ...] = BOUNDS) -> Histogram:
    return Histogram(bounds, tuple(itertools.accumulate(in_buckets)))


def of(values: np.ndarray, bounds: tuple[float, ...] = BOUNDS) -> Histogram:
    ordered = np.sort(values)
    counts = np.searchsorted(ordered, bounds, side="right")
    return Histogram(bounds, tuple(int(count) for count in counts))


HISTOGRAMS = st.lists(st.integers(min_value=0, max_value=10**11), min_size=7, max_size=7).map(
    lambda inside: made(*inside)
)


POSITIVE = Histogram((0.1, 0.2, 1.0, math.inf), (50, 70, 110, 120))
NEGATIVE = Histogram((-0.2, -0.1, 0.3, math.inf), (10, 20, 20, 30))
"""prometheus/prometheus, promql/promqltest/testdata/histograms.test, `testhistogram` at 50m."""


@pytest.mark.parametrize(
    ("histogram", "q", "expected"),
    [
        pytest.param(POSITIVE, 0.0, 0.0, id="positive-0"),
        pytest.param(POSITIVE, 0.2, 0.048, id="positive-20"),
        pytest.param(POSITIVE, 0.5, 0.15, id="positive-50"),
        pytest.param(POSITIVE, 0.8, 0.72, id="positive-80"),
        pytest.param(POSITIVE, 1.0, 1.0, id="positive-in-the-last-bucket"),
        pytest.param(NEGATIVE, 0.0, -0.2, id="negative-0"),
        pytest.param(NEGATIVE, 0.2, -0.2, id="negative-20"),
        pytest.param(NEGATIVE, 0.5, -0.15, id="negative-50"),
        pytest.param(NEGATIVE, 0.8, 0.3, id="negative-in-the-last-bucket"),
        pytest.param(Histogram((1.0, math.inf), (0, 0)), 0.5, None, id="no-values"),
        pytest.param(Histogram((math.inf,), (9,)), 0.5, None, id="one-bucket"),
    ],
)
def test_quantiles_are_those_of_prometheus(
    histogram: Histogram, q: float, expected: float | None
) -> None:
    assert histograms.quantile(histogram, q) == pytest.approx(expected)


def test_exceedance_is_exact_and_ready_for_rates() -> None:
    found = histograms.exceedance(made(5, 5, 10, 0, 0, 0, 1), bound=0.25)
    assert found == RateCounts(trials=21, events=1)


def test_a_threshold_between_bounds_is_refused_with_its_neighbours() -> None:
    with pytest.raises(ValueError, match=r"found 0.3; the nearest are 0.25 and 0.5"):
        histograms.exceedance(made(1, 1, 1, 1, 1, 1, 1), bound=0.3)


def test_order_statistics_are_those_of_the_tables() -> None:
    # Median of 20 values, 95 %: 6th and 15th; of 10: 2nd and 9th (Conover, Practical
    # Nonparametric Statistics, table A3; Hahn and Meeker, Statistical Intervals).
    fine = (*(float(value) for value in range(1, 21)), math.inf)
    of20 = of(np.arange(1.0, 21.0) - 0.5, fine)
    of10 = of(np.arange(1.0, 11.0) - 0.5, fine)
    twenty, ten = (histograms.quantile_interval(h, 0.5) for h in (of20, of10))
    assert (twenty.low, twenty.high) == (5.0, 15.0)  # buckets (5, 6] and (14, 15]
    assert (ten.low, ten.high) == (1.0, 9.0)


def test_the_99th_percentile_needs_396_values() -> None:
    assert histograms.enough(0.99) == 396
    assert histograms.enough(0.01) == 396
    few = histograms.quantile_interval(made(100, 100, 90, 0, 0, 0, 0), 0.99)
    assert few.high == math.inf
    assert few.note == (
        "290 values are too few for an upper end of the 0.99-quantile, about 396 are needed"
    )
    assert histograms.quantile_interval(made(100, 200, 100, 0, 0, 0, 0), 0.99).high < math.inf


def test_an_interval_in_the_last_bucket_says_so() -> None:
    found = histograms.quantile_interval(made(900, 0, 0, 0, 0, 0, 100), 0.95)
    assert (found.low, found.high) == (2.5, math.inf)
    assert "beyond the last finite bound, 2.5" in found.note


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_intervals_hold_their_level(q: float) -> None:
    # 300 runs; standard error 1.3 points at 5 %. The true quantile of the exponential law is
    # no bucket bound, so buckets make the intervals wider; fine ones show the level itself.
    bounds = (*np.linspace(0.01, 6.0, 600).tolist(), math.inf)
    rng, true, missed = np.random.default_rng(71), -math.log1p(-q), np.zeros(2)
    for _ in range(300):
        values, ever = rng.exponential(size=800), False
        for seen in (50, 100, 200, 400, 800):
            found = histograms.quantile_interval(of(values[:seen], bounds), q, looks=Looks.ANY)
            ever = ever or not found.low <= true <= found.high
        fixed = histograms.quantile_interval(of(values, bounds), q)
        missed += [not fixed.low <= true <= fixed.high, ever]
    assert np.all(missed / 300 <= 0.05 + 2.0 * math.sqrt(0.05 * 0.95 / 300))


@given(histogram=HISTOGRAMS, q=st.floats(min_value=0.001, max_value=0.999))
def test_intervals_hold_the_estimate_and_any_looks_cost_width(
    histogram: Histogram, q: float
) -> None:
    one = histograms.quantile_interval(histogram, q)
    ever = histograms.quantile_interval(histogram, q, looks=Looks.ANY)
    estimate = histograms.quantile(histogram, q)
    assert ever.low <= one.low <= one.high <= ever.high
    assert estimate is None or one.low <= estimate <= max(one.high, BOUNDS[-2])


@given(first=HISTOGRAMS, second=HISTOGRAMS)
def test_adding_and_taking_away_looks_is_exact(first: Histogram, second: Histogram) -> None:
    assert (first + second) - second == first
    total = histograms.exceedance(first + second, bound=0.5)
    assert total == sum(
        (histograms.exceedance(part, bound=0.5) for part in (first, second)), RateCounts()
    )


@given(
    values=st.lists(st.floats(min_value=0.001, max_value=2.5), min_size=1, max_size=60),
)
def test_moments_of_any_values_lie_within_the_bounds(values: list[float]) -> None:
    seen = np.asarray(values)
    found = moments.from_buckets(of(seen), total=float(seen.sum()))
    assert found.mean == pytest.approx(seen.mean())
    assert found.means[0] - 1e-9 <= seen.mean() <= found.means[1] + 1e-9
    assert found.variances[0] - 1e-9 <= seen.var() <= found.variances[1] + 1e-9
    assert found.variances[0] <= found.variances[1]


def test_variance_bounds_are_those_of_the_extreme_values() -> None:
    # By hand. (0, 1] and (2, 3], one value each: at least (1 - 2)^2/4, at most (0 - 3)^2/4.
    found = moments.from_buckets(made(1, 0, 1, 0, bounds=(1.0, 2.0, 3.0, math.inf)))
    assert found.variances == pytest.approx((0.25, 2.25))
    assert (found.mean, found.variance, *found.means) == pytest.approx((1.5, 1.0, 1.0, 2.0))
    # One bucket [0, 1]: Popoviciu's inequality, (1 - 0)^2/4.
    assert moments.from_buckets(made(7, 0, bounds=(1.0, math.inf))).variances == (0.0, 0.25)


def test_variance_is_that_of_histogram_stdvar() -> None:
    # The same file, `testhistogram3`, start="positive": 7.527045454545455 around a mean of 3 (its
    # sum contradicts its buckets, so ours is taken around the middles and moved).
    found = moments.from_buckets(Histogram((0.0, 0.1, 0.2, 1.0, math.inf), (0, 50, 70, 110, 110)))
    assert found.variance + (found.mean - 3.0) ** 2 == pytest.approx(7.527045454545455)


def test_the_last_bucket_has_no_upper_bound_unless_told() -> None:
    overflow = made(1, 0, 0, 0, 0, 0, 1)
    assert moments.from_buckets(overflow).variances[1] == math.inf
    assert moments.from_buckets(overflow, most=10.0).variances[1] == pytest.approx(25.0)
    with pytest.raises(ValueError, match=r"between 2.5 and inf"):
        moments.from_buckets(overflow, most=2.0)


def test_moments_refuse_a_sum_of_other_values() -> None:
    with pytest.raises(ValueError, match="same instant"):
        moments.from_buckets(made(1, 1, 0, 0, 0, 0, 0), total=5.0)
    with pytest.raises(ValueError, match="found none"):
        moments.from_buckets(made(0, 0, 0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("bounds", "counts", "sentence"),
    [
        pytest.param((1.0, 2.0), (1, 2), r"the last \+Inf", id="no-inf"),
        pytest.param((2.0, 1.0, math.inf), (1, 2, 3), "rising bounds", id="falling-bounds"),
        pytest.param((math.nan, math.inf), (1, 2), "rising bounds", id="nan"),
        pytest.param((1.0, math.inf), (3, 2), "never fall", id="falling-counts"),
        pytest.param((1.0, math.inf), (-1, 2), "at least 0, found -1", id="negative"),
        pytest.param((math.inf,), (), "one count per bound", id="lengths"),
        pytest.param((), (), "at least one", id="empty"),
    ],
)
def test_refuses_what_is_no_histogram(
    bounds: tuple[float, ...], counts: tuple[int, ...], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        Histogram(bounds, counts)


def test_refuses_a_reset_other_bounds_and_impossible_questions() -> None:
    with pytest.raises(ValueError, match="at least 0, found -1"):
        _ = made(1, 0, 0, 0, 0, 0, 0) - made(2, 0, 0, 0, 0, 0, 0)
    with pytest.raises(ValueError, match="same bounds"):
        _ = made(1, 1, bounds=(1.0, math.inf)) + made(1, 1, bounds=(2.0, math.inf))
    with pytest.raises(ValueError, match="between 0 and 1"):
        histograms.quantile(made(1, 0, 0, 0, 0, 0, 0), 1.5)
    with pytest.raises(ValueError, match="q and alpha"):
        histograms.quantile_interval(made(1, 0, 0, 0, 0, 0, 0), 0.5, alpha=1.0)
    with pytest.raises(ValueError, match="quantile"):
        histograms.enough(1.0)
