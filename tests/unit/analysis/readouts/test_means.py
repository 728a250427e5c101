"""Two means: R, NIST and GrowthBook on the same numbers, statsmodels on random ones."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import weightstats

from modelrollout.analysis.counts import MeanCounts
from modelrollout.analysis.readouts import means
from modelrollout.analysis.readouts.shown import Estimate, Side

FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
"""Extra hours of sleep after two drugs: Student (1908), as in R's sleep."""
CONTROL = MeanCounts(count=3407, total=1396.87, squares=52377.9767)
TREATED = MeanCounts(count=3461, total=2422.7, squares=134698.29)
"""As in the tests of GrowthBook's gbstats."""


def summed(values: Sequence[float]) -> MeanCounts:
    return MeanCounts(
        count=len(values), total=math.fsum(values), squares=math.fsum(v * v for v in values)
    )


def described(count: int, mean: float, deviation: float) -> MeanCounts:
    squares = (count - 1) * deviation**2 + count * mean**2
    return MeanCounts(count=count, total=count * mean, squares=squares)


def triple(found: Estimate) -> tuple[float, float, float]:
    return found.value, found.low, found.high


def test_students_sleep_reads_as_in_r() -> None:
    # R: t.test(extra ~ group, data = sleep): t = -1.8608, df = 17.776, p-value = 0.07939, interval
    # -3.3654832 to 0.2054832.
    c, s = summed(FIRST), summed(SECOND)
    found = means.welch(c, s)
    assert found.statistic == pytest.approx(-1.8608, abs=5e-5)
    assert found.freedom == pytest.approx(17.776, abs=5e-4)
    assert found.p_value == pytest.approx(0.07939, abs=5e-6)
    gap = means.difference(c, s)
    assert triple(gap) == pytest.approx((-1.58, -3.3654832, 0.2054832), abs=5e-8)


def test_miles_per_gallon_read_as_at_nist() -> None:
    # NIST/SEMATECH e-Handbook, section 1.3.5.3: 249 cars of the USA, 79 of Japan; with unequal
    # variances T = -12.94627, 136.8750 degrees of freedom.
    usa, japan = described(249, 20.14458, 6.41470), described(79, 30.48101, 6.10771)
    found = means.welch(usa, japan)
    assert found.statistic == pytest.approx(-12.94627, abs=1e-4)
    assert found.freedom == pytest.approx(136.8750, abs=1e-3)


def test_lifts_and_differences_are_those_of_growthbook() -> None:
    # gbstats, tests of TwoSidedTTest, relative and absolute.
    assert triple(means.lift(TREATED, CONTROL)) == pytest.approx(
        (0.70732, -0.03526, 1.44989), abs=6e-6
    )
    assert triple(means.difference(TREATED, CONTROL)) == pytest.approx(
        (0.29, 0.04538, 0.53462), abs=6e-6
    )
    assert means.welch(TREATED, CONTROL).p_value == pytest.approx(0.02016, abs=6e-6)


@pytest.mark.parametrize("rate", [0.0005, 0.05, 0.3])
def test_means_agree_with_statsmodels(rate: float) -> None:
    rng = np.random.default_rng(17)
    names = {Side.TWO_SIDED: "two-sided", Side.GREATER: "larger", Side.LESS: "smaller"}
    for _ in range(8):
        n, m = (int(size) for size in rng.integers(5_000, 20_000, size=2))
        # Mostly zeros, some long: latencies of the share of requests that miss a cache.
        x = rng.lognormal(0.0, 1.0, n) * rng.binomial(1, rate * 1.2, n) + rng.normal(0, 0.01, n)
        y = rng.lognormal(0.0, 1.0, m) * rng.binomial(1, rate, m) + rng.normal(0, 0.01, m)
        other = weightstats.CompareMeans(weightstats.DescrStatsW(x), weightstats.DescrStatsW(y))
        c, s = summed(x.tolist()), summed(y.tolist())
        for side, alternative in names.items():
            found = means.welch(c, s, side=side, difference=0.001)
            t, p, freedom = other.ttest_ind(alternative=alternative, usevar="unequal", value=0.001)
            assert found.statistic == pytest.approx(t, rel=1e-9, abs=1e-11)
            assert found.freedom == pytest.approx(freedom, rel=1e-9)
            assert found.p_value == pytest.approx(p, rel=1e-8)
        gap = means.difference(c, s, alpha=0.01)
        expected = other.tconfint_diff(alpha=0.01, usevar="unequal")
        assert (gap.low, gap.high) == pytest.approx(expected, rel=1e-9, abs=1e-11)
        alone = means.mean(c, alpha=0.01)
        expected = weightstats.DescrStatsW(x).tconfint_mean(alpha=0.01)
        assert (alone.low, alone.high) == pytest.approx(expected, rel=1e-9)


def test_one_sided_p_values_are_about_the_candidate() -> None:
    greater = means.welch(TREATED, CONTROL, side=Side.GREATER).p_value
    assert greater == pytest.approx(0.02016 / 2, abs=6e-6)
    assert means.welch(TREATED, CONTROL, side=Side.LESS).p_value == pytest.approx(1 - greater)


@given(
    count=st.integers(min_value=2, max_value=10**12),
    mean=st.floats(min_value=0.5, max_value=1e3),
    deviation=st.floats(min_value=0.01, max_value=10.0),
)
def test_the_limits_of_fieller_are_just_not_refuted(
    count: int, mean: float, deviation: float
) -> None:
    c, s = described(50, 1.1, 0.5), described(count, mean, deviation)
    found = means.fieller(c, s)
    if math.isinf(found.low):
        assert means.mean(s).low < means.mean(s).value
        return
    freedom = means.welch(c, s).freedom
    assert freedom is not None
    for limit in (found.low + 1.0, found.high + 1.0):
        error = math.sqrt(0.25 / 50 + limit * limit * deviation**2 / count)
        t = (1.1 - limit * mean) / error
        assert 2 * stats.t.sf(abs(t), freedom) == pytest.approx(0.05, rel=1e-4)
    assert found.low <= found.value <= found.high


def test_with_a_sure_denominator_both_lifts_agree() -> None:
    c, s = described(10**6, 1.1, 0.5), described(10**9, 1.0, 0.5)
    assert triple(means.fieller(c, s)) == pytest.approx(triple(means.lift(c, s)), abs=1e-6)


def test_a_mean_of_stable_that_may_be_zero_has_no_limits_of_its_ratio() -> None:
    found = means.fieller(described(50, 1.1, 0.5), described(5, 0.1, 1.0))
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_digits_hold_where_the_mean_dwarfs_the_deviation() -> None:
    # 60,000,000 and 60,000,001: their squares add up exactly in a double, the square of their sum
    # does not fit one. Deviation sqrt(1/2), so that half the width is t(1) / 2.
    exact = MeanCounts(2, 120_000_001.0, float(60_000_000**2 + 60_000_001**2))
    found = means.mean(exact)
    assert found.value == 60_000_000.5
    assert found.high - found.value == pytest.approx(12.706204736432095 / 2, rel=1e-8)


def test_10_to_the_12_values_have_the_interval_they_should() -> None:
    c, s = described(10**12, 0.2004, 0.3), described(10**12, 0.2, 0.3)
    gap = means.difference(c, s)
    reach = 1.959963984540054 * 0.3 * math.sqrt(2 / 10**12)
    assert gap.value == pytest.approx(0.0004, rel=1e-9)
    assert (gap.high - gap.low) / 2 == pytest.approx(reach, rel=1e-6)


def test_constant_values_in_one_arm_are_judged_by_the_other() -> None:
    found = means.welch(described(10, 1.0, 0.0), described(10, 2.0, 1.0))
    assert found.freedom == pytest.approx(9.0)
    assert found.statistic == pytest.approx(-math.sqrt(10.0))


@pytest.mark.parametrize(
    ("c", "s", "sentence"),
    [
        pytest.param(MeanCounts(), TREATED, "at least two values", id="empty"),
        pytest.param(MeanCounts(1, 2.0, 4.0), TREATED, "at least two values", id="one"),
        pytest.param(TREATED, MeanCounts(9, 2.0), "sum of squares of the values", id="no-squares"),
        pytest.param(MeanCounts(2, 2.0, 2.0), MeanCounts(2, 4.0, 8.0), "vary", id="constant"),
    ],
)
def test_values_that_show_no_spread_are_refused(
    c: MeanCounts, s: MeanCounts, sentence: str
) -> None:
    for read in (means.welch, means.difference, means.lift, means.fieller):
        with pytest.raises(ValueError, match=sentence):
            read(c, s)


@pytest.mark.parametrize("mean", [0.0, -2.0])
def test_percentages_of_nothing_or_less_are_refused(mean: float) -> None:
    for read in (means.lift, means.fieller):
        with pytest.raises(ValueError, match="mean of stable above 0"):
            read(TREATED, described(100, mean, 1.0))


@pytest.mark.parametrize("alpha", [0.0, 1.0, math.nan])
def test_levels_that_are_none_are_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha above 0 and below 1"):
        means.mean(TREATED, alpha=alpha)
    for read in (means.difference, means.lift, means.fieller):
        with pytest.raises(ValueError, match="alpha above 0 and below 1"):
            read(TREATED, CONTROL, alpha=alpha)


@pytest.mark.parametrize("difference", [math.nan, math.inf])
def test_a_difference_that_is_no_number_is_refused(difference: float) -> None:
    with pytest.raises(ValueError, match="finite difference"):
        means.welch(TREATED, CONTROL, difference=difference)


@pytest.mark.parametrize(
    ("total", "squares"), [(math.nan, 1.0), (1.0, math.nan), (10.0, 1.0), (1.0, -1.0)]
)
def test_sums_that_cannot_be_are_refused_at_the_door(total: float, squares: float) -> None:
    with pytest.raises(ValueError, match=r"expected|at least"):
        MeanCounts(count=5, total=total, squares=squares)
